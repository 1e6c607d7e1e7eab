//! Films as files. Nothing has its final name before it is whole.

use std::ffi::OsStr;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, DynamicImage, Frame, RgbImage};

use super::Footage;
use crate::error::{Error, Result};
use crate::files::{temporary_file, write_atomically};
use crate::session::Film;
use crate::tasks::TaskProgress;

/// What kind of file a film becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An animated GIF that begins anew at its end.
    Gif,
    /// H.264 through ffmpeg.
    Mp4,
    /// A folder of numbered PNG files.
    Pictures,
}

impl Format {
    /// The one that a path stands for: by its ending; a name without one is a folder's.
    pub fn of(path: &Path) -> Option<Self> {
        let Some(ending) = path.extension().and_then(OsStr::to_str) else {
            return Some(Self::Pictures);
        };
        match ending.to_ascii_lowercase().as_str() {
            "gif" => Some(Self::Gif),
            "mp4" => Some(Self::Mp4),
            _ => None,
        }
    }
}

/// Writes the film as its path says.
///
/// # Errors
/// [`Error::Cancelled`]; [`Error::Io`] naming the path; as [`mp4`].
pub fn write(footage: &Footage, path: &Path, watch: &mut TaskProgress) -> Result<()> {
    match Format::of(path) {
        Some(Format::Gif) => gif(footage, path, watch),
        Some(Format::Mp4) => mp4(footage, path, ffmpeg().as_deref(), watch),
        Some(Format::Pictures) => pictures(footage, path, watch),
        None => {
            let reason = "a film is a .gif file, an .mp4 file or a folder";
            Err(Error::io(path, "write", reason))
        }
    }
}

/// Speed of the search for 256 colours, from 1 for the best to 30.
const SPEED: i32 = 10;

/// Writes an animated GIF.
///
/// # Errors
/// [`Error::Cancelled`]; [`Error::Io`] naming the path.
pub fn gif(footage: &Footage, path: &Path, watch: &mut TaskProgress) -> Result<()> {
    let film = footage.film();
    let writing = |error: image::ImageError| Error::io(path, "write", error);
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, SPEED);
    encoder.set_repeat(Repeat::Infinite).map_err(writing)?;
    each(footage, watch, |index, image| {
        let delay = Delay::from_numer_denom_ms(10 * film.hundredths(index) as u32, 1);
        let pixels = DynamicImage::from(image).into_rgba8();
        let frame = Frame::from_parts(pixels, 0, 0, delay);
        encoder.encode_frame(frame).map_err(writing)
    })?;
    drop(encoder);
    write_atomically(path, &bytes)
}

/// Writes a folder of PNG files, `0001.png` and on. The folder must be new or empty.
///
/// # Errors
/// [`Error::Cancelled`]; [`Error::Io`] naming the path.
pub fn pictures(footage: &Footage, path: &Path, watch: &mut TaskProgress) -> Result<()> {
    let writing = |error: std::io::Error| Error::io(path, "write", error);
    if path.exists() {
        let mut entries = std::fs::read_dir(path).map_err(writing)?;
        if entries.next().is_some() {
            return Err(Error::io(path, "write", "the folder is not empty"));
        }
    }
    let folder = parent(path);
    std::fs::create_dir_all(folder).map_err(writing)?;
    let begun = tempfile::tempdir_in(folder).map_err(writing)?;
    each(footage, watch, |index, image| {
        let file = begun.path().join(format!("{:04}.png", index + 1));
        image
            .save(file)
            .map_err(|error| Error::io(path, "write", error))
    })?;
    if path.exists() {
        // Some systems rename no folder onto another, not even onto an empty one.
        std::fs::remove_dir(path).map_err(writing)?;
    }
    std::fs::rename(begun.path(), path).map_err(writing)?;
    // There is nothing left to be cleaned away.
    let _ = begun.keep();
    Ok(())
}

/// Where ffmpeg is, if it is installed: the first one on the search path.
pub fn ffmpeg() -> Option<PathBuf> {
    let name = format!("ffmpeg{}", std::env::consts::EXE_SUFFIX);
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join(&name))
        .find(|file| file.is_file())
}

/// Writes an MP4 file through the program `ffmpeg`.
///
/// # Errors
/// [`Error::Config`] when there is no ffmpeg; [`Error::Io`] with what it says when it fails;
/// [`Error::Cancelled`].
pub fn mp4(
    footage: &Footage,
    path: &Path,
    ffmpeg: Option<&Path>,
    watch: &mut TaskProgress,
) -> Result<()> {
    let ffmpeg = ffmpeg.ok_or_else(|| {
        Error::Config(
            "MP4 films need the program ffmpeg, which is not on the search path (PATH). \
             Install it, or choose a .gif file or a folder of pictures"
                .into(),
        )
    })?;
    let writing = |error: std::io::Error| Error::io(path, "write", error);
    let folder = parent(path);
    std::fs::create_dir_all(folder).map_err(writing)?;
    let begun = temporary_file(folder, ".mp4");
    let begun = begun.map_err(writing)?.into_temp_path();
    let mut errors_file = tempfile::tempfile().map_err(writing)?;
    let mut running: Option<Running> = None;
    let film = footage.film();
    each(footage, watch, |index, image| {
        if running.is_none() {
            let errors = errors_file.try_clone().map_err(writing)?;
            let size = [image.width(), image.height()];
            let started = Running::start(ffmpeg, film, size, &begun, errors);
            running = Some(started.map_err(|error| Error::io(ffmpeg, "run", error))?);
        }
        let last = index + 1 == film.frames;
        let held = if last {
            (film.hold * film.rate).round() as usize
        } else {
            0
        };
        let program = running.as_mut().expect("it was started");
        let sent = (0..=held).try_for_each(|_| program.send(&image));
        // What it says tells more than that it no longer listens.
        sent.map_err(|error| complaint(&mut errors_file, &error.to_string(), path))
    })?;
    let status = running.expect("a film has frames").finish();
    let status = status.map_err(writing)?;
    if !status.success() {
        return Err(complaint(&mut errors_file, &status.to_string(), path));
    }
    begun.persist(path).map_err(|error| writing(error.error))
}

/// Draws one frame after the other and hands each over.
fn each(
    footage: &Footage,
    watch: &mut TaskProgress,
    mut take: impl FnMut(usize, RgbImage) -> Result<()>,
) -> Result<()> {
    let count = footage.film().frames as f32;
    for (index, image) in footage.frames().enumerate() {
        watch.report(index as f32 / count)?;
        take(index, image?)?;
    }
    watch.report(1.0)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// What ffmpeg said before it gave up.
fn complaint(errors_file: &mut std::fs::File, otherwise: &str, path: &Path) -> Error {
    let mut text = Vec::new();
    let read = errors_file
        .rewind()
        .and_then(|()| errors_file.take(4096).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    let reason = match read {
        Ok(_) if !text.is_empty() => text,
        _ => otherwise.to_owned(),
    };
    Error::io(path, "write", format!("ffmpeg: {reason}"))
}

/// ffmpeg at work; it ends with its owner.
struct Running(Child);

impl Running {
    fn start(
        ffmpeg: &Path,
        film: &Film,
        [width, height]: [u32; 2],
        out: &Path,
        errors: std::fs::File,
    ) -> std::io::Result<Self> {
        let mut command = Command::new(ffmpeg);
        command
            .args([
                "-y",
                "-loglevel",
                "error",
                "-f",
                "rawvideo",
                "-pix_fmt",
                "rgb24",
            ])
            .args([
                "-s",
                &format!("{width}x{height}"),
                "-r",
                &film.rate.to_string(),
            ])
            .args(["-i", "-", "-an", "-c:v", "libx264", "-crf", "16"])
            // What every player understands, and begins to play before it has all.
            .args(["-pix_fmt", "yuv420p", "-movflags", "+faststart"])
            .arg(out)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(errors);
        command.spawn().map(Self)
    }

    fn send(&mut self, image: &RgbImage) -> std::io::Result<()> {
        match &mut self.0.stdin {
            Some(stdin) => stdin.write_all(image.as_raw()),
            None => Ok(()),
        }
    }

    fn finish(mut self) -> std::io::Result<std::process::ExitStatus> {
        drop(self.0.stdin.take());
        self.0.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After its end there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
