//! Films: their frames, their files, and what is left when they are stopped.

use std::path::Path;

use burn::tensor::Device;
use epsiloscope::data::{CorruptionKind, samples};
use epsiloscope::error::{Error, Result};
use epsiloscope::export::figure::{Sheet, Shot};
use epsiloscope::export::film::{Footage, Format, gif, mp4, pictures, write};
use epsiloscope::export::headless::Headless;
use epsiloscope::session::{Column, Figure, Film, Motion, Size, State};
use epsiloscope::tasks::{CancelToken, TaskProgress};
use image::AnimationDecoder;
use image::codecs::gif::GifDecoder;

use crate::support::screens::{made, shots};

const FRAMES: usize = 5;

fn film(motion: Motion) -> Film {
    Film {
        figure: Figure {
            columns: vec![Column::Attacked, Column::Synthesis],
            size: Size::Pixels {
                width: 201.0,
                scale: 1.0,
            },
            text: 8.0,
            curves: true,
            ..Figure::default()
        },
        motion,
        frames: FRAMES,
        rate: 20.0,
        hold: 0.5,
    }
}

fn sweep() -> Footage {
    let film = film(Motion::Epsilon {
        from: 0.0,
        to: Some(1.0),
    });
    let shots = shots(&film.figure, &[0.0, 0.25, 0.5, 0.75, 1.0]);
    Footage::of(&film, shots).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs `work`, told to stop once this share is done.
fn watched(until: f32, work: impl FnOnce(&mut TaskProgress) -> Result<()>) -> Result<()> {
    let cancel = CancelToken::default();
    let mut progress = |share| {
        if share >= until {
            cancel.cancel();
        }
    };
    work(&mut TaskProgress {
        progress: &mut progress,
        cancel: &cancel,
    })
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let name =
        |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().into_string().ok();
    let mut names: Vec<String> = entries.filter_map(name).collect();
    names.sort();
    names
}

#[test]
fn an_animation_has_all_frames_of_one_size() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("film.gif");
    let footage = sweep();
    watched(2.0, |watch| gif(&footage, &path, watch)).expect("a film");
    let file = std::fs::File::open(&path).expect("the film");
    let decoder = GifDecoder::new(std::io::BufReader::new(file)).expect("a GIF file");
    let frames = decoder
        .into_frames()
        .collect_frames()
        .expect("whole frames");
    assert_eq!(frames.len(), FRAMES);
    let sizes: Vec<(u32, u32)> = frames
        .iter()
        .map(|frame| frame.buffer().dimensions())
        .collect();
    assert!(sizes.iter().all(|size| *size == sizes[0]));
    assert!(
        sizes[0].0 == 202 && sizes[0].1.is_multiple_of(2),
        "{sizes:?}"
    );
    let milliseconds = |frame: &image::Frame| frame.delay().numer_denom_ms().0;
    assert_eq!(milliseconds(&frames[0]), 50);
    assert_eq!(milliseconds(&frames[FRAMES - 1]), 550);
    // Hundredths of a second do not add up to another speed.
    let fast = Film {
        frames: 31,
        rate: 60.0,
        hold: 0.0,
        ..film(Motion::Counterfactual)
    };
    let whole: f32 = (0..31).map(|frame| fast.hundredths(frame)).sum();
    assert_eq!(whole, (100.0_f32 * 31.0 / 60.0).round());
    assert_eq!(files(folder.path()), ["film.gif"]);
}

#[test]
fn a_sweep_shows_each_epsilon_and_draws_its_curves() {
    let footage = sweep();
    let sheets: Vec<_> = (0..FRAMES)
        .map(|frame| footage.sheet(frame).expect("a frame"))
        .collect();
    assert_eq!(sheets[1].heads[0].note, "ε 0.25");
    assert_eq!(sheets[3].heads[0].note, "ε 0.75");
    assert_eq!(sheets[3].plots[0].until, Some(0.75));
    assert_eq!(sheets[0].plots[0].x, [0.0, 1.0]);
    let points = &sheets[0].plots[0].curves[0].points;
    assert_eq!(points.len(), FRAMES);
    assert_eq!(points[3], [0.75, 0.25]);
    assert!(sheets[0].caption.contains("ε 0 to 1") && sheets[4].caption == sheets[0].caption);
}

#[test]
fn a_synthesis_goes_from_its_start_to_its_end() {
    let film = film(Motion::Synthesis);
    let footage = Footage::of(&film, made(&film.figure)).expect("a film");
    let until = |frame| footage.sheet(frame).expect("a frame").plots[0].until;
    assert_eq!((until(0), until(FRAMES - 1)), (Some(0.0), Some(20.0)));
    let frames: Vec<_> = footage.frames().collect::<Result<_>>().expect("frames");
    assert_eq!(frames.len(), FRAMES);
    assert!(frames.windows(2).all(|pair| pair[0] != pair[1]));
    // Nothing is being made in the other shots.
    let still = Footage::of(&film, shots(&film.figure, &[0.5]));
    assert!(matches!(still, Err(Error::Config(_))));
    let turned = Film {
        motion: Motion::Counterfactual,
        ..film
    };
    assert!(Footage::of(&turned, made(&turned.figure)).is_err());
}

#[test]
fn a_sequence_is_a_folder_of_numbered_pictures() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("frames");
    let footage = sweep();
    watched(2.0, |watch| pictures(&footage, &path, watch)).expect("a film");
    assert_eq!(files(&path).len(), FRAMES);
    let frames: Vec<_> = footage.frames().collect::<Result<_>>().expect("frames");
    for (name, frame) in files(&path).iter().zip(&frames) {
        let read = image::open(path.join(name)).expect("a picture").to_rgb8();
        assert_eq!(&read, frame);
    }
    // Somebody's folder is not written over.
    let again = watched(2.0, |watch| pictures(&footage, &path, watch));
    assert!(
        again
            .expect_err("a full folder")
            .to_string()
            .contains("not empty")
    );
    assert_eq!(files(folder.path()), ["frames"]);
}

#[test]
fn a_stopped_film_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let footage = sweep();
    for name in ["film.gif", "frames"] {
        let path = folder.path().join(name);
        let result = watched(0.5, |watch| write(&footage, &path, watch));
        assert!(matches!(result, Err(Error::Cancelled)), "{name}");
        assert!(files(folder.path()).is_empty(), "{name}");
    }
}

#[test]
fn without_ffmpeg_a_message_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("film.mp4");
    let result = watched(2.0, |watch| mp4(&sweep(), &path, None, watch));
    let message = result.expect_err("no ffmpeg").to_string();
    assert!(
        message.contains("ffmpeg") && message.contains(".gif"),
        "{message}"
    );
    let gone = folder.path().join("ffmpeg");
    let result = watched(2.0, |watch| mp4(&sweep(), &path, Some(&gone), watch));
    assert!(result.is_err() && files(folder.path()).is_empty());
}

/// A program in place of ffmpeg, which does `what` with the frames and the file named last.
#[cfg(unix)]
fn program(folder: &Path, what: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("ffmpeg");
    let text = format!("#!/bin/sh\nfor last; do :; done\n{what}\n");
    std::fs::write(&path, text).expect("a program");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("a program");
    path
}

#[cfg(unix)]
#[test]
fn ffmpeg_is_given_every_frame() {
    let (folder, bin) = (tempfile::tempdir(), tempfile::tempdir());
    let (folder, bin) = (folder.expect("a folder"), bin.expect("a folder"));
    let path = folder.path().join("film.mp4");
    let footage = sweep();
    let copies = program(bin.path(), "cat > \"$last\"");
    watched(2.0, |watch| mp4(&footage, &path, Some(&copies), watch)).expect("a film");
    let frames: Vec<_> = footage.frames().collect::<Result<_>>().expect("frames");
    let bytes = std::fs::read(&path).expect("the film");
    // The last frame stays for half a second: ten frames more.
    assert_eq!(bytes.len(), (FRAMES + 10) * frames[0].as_raw().len());
    assert!(bytes.starts_with(frames[0].as_raw()) && bytes.ends_with(frames[4].as_raw()));
    std::fs::remove_file(&path).expect("the film");

    let stopped = watched(0.5, |watch| mp4(&footage, &path, Some(&copies), watch));
    assert!(matches!(stopped, Err(Error::Cancelled)) && files(folder.path()).is_empty());

    let complains = program(
        bin.path(),
        "cat > /dev/null; echo 'no such encoder' >&2; exit 3",
    );
    let result = watched(2.0, |watch| mp4(&footage, &path, Some(&complains), watch));
    let message = result.expect_err("it failed").to_string();
    assert!(message.contains("no such encoder"), "{message}");
    assert!(files(folder.path()).is_empty());
}

#[test]
fn endings_say_what_a_film_becomes() {
    let of = |name: &str| Format::of(Path::new(name));
    assert_eq!(of("a/film.GIF"), Some(Format::Gif));
    assert_eq!(of("film.mp4"), Some(Format::Mp4));
    assert_eq!(of("frames"), Some(Format::Pictures));
    assert_eq!(of("film.avi"), None);
}

#[test]
fn hostile_numbers_make_no_film() {
    let usual = film(Motion::Epsilon {
        from: 0.0,
        to: Some(1.0),
    });
    let refused = |film: Film| film.validate().is_err();
    for (frames, rate) in [
        (0, 20.0),
        (1, 20.0),
        (1 << 40, 20.0),
        (10, 0.0),
        (10, f32::NAN),
    ] {
        assert!(refused(Film {
            frames,
            rate,
            ..usual.clone()
        }));
    }
    for (from, to) in [
        (1.0, 0.5),
        (f32::NAN, 1.0),
        (0.0, f32::INFINITY),
        (-1.0, 1.0),
    ] {
        let to = Some(to);
        let motion = Motion::Epsilon { from, to };
        assert!(refused(Film {
            motion,
            ..usual.clone()
        }));
    }
    for (from, to) in [
        (2.0, 2.0),
        (3.0, 1.0),
        (0.0, 5.1),
        (f32::NAN, 1.0),
        (0.0, f32::NAN),
        (-1.0, 1.0),
    ] {
        let motion = Motion::Severity { from, to };
        assert!(refused(Film {
            motion,
            ..usual.clone()
        }));
    }
    assert!(Footage::of(&usual, Vec::<Shot>::new()).is_err());
    let text = serde_json::to_string(&usual).expect("plain data");
    assert_eq!(
        serde_json::from_str::<Film>(&text).expect("the same"),
        usual
    );
}

#[test]
fn a_film_of_a_corruption_goes_through_its_severities() {
    let (picture, truth) = samples::all().swap_remove(2);
    let mut state = State::new(vec!["cifar10-standard".into()]);
    state.add(picture, truth);
    state.settings.attack.steps = 0;
    state.settings.corruption.kind = CorruptionKind::Contrast;
    let film = Film {
        figure: Figure {
            columns: vec![Column::Input],
            curves: true,
            ..Figure::default()
        },
        ..film(Motion::ALL_SEVERITIES)
    };
    let mut engine = Headless::new(Device::flex());
    let mut footage = None;
    watched(2.0, |watch| {
        footage = Some(Footage::compute(&film, &state, &mut engine, watch)?);
        Ok(())
    })
    .expect("a film");
    let footage = footage.expect("a film");
    let sheets: Vec<Sheet> = (0..FRAMES)
        .map(|frame| footage.sheet(frame).expect("a frame"))
        .collect();
    let plot = &sheets[0].plots[0];
    assert_eq!(
        (plot.x, &*plot.across),
        ([0.0, 5.0], "severity of contrast")
    );
    let severities: Vec<f64> = plot.curves[0].points.iter().map(|point| point[0]).collect();
    assert_eq!(severities, [0.0, 1.25, 2.5, 3.75, 5.0]);
    let until: Vec<Option<f64>> = sheets.iter().map(|sheet| sheet.plots[0].until).collect();
    assert_eq!(until[FRAMES - 1], Some(5.0));
    assert!(
        sheets[0].caption.contains("contrast") || sheets[FRAMES - 1].caption.contains("contrast")
    );
    let frames: Vec<_> = footage
        .frames()
        .map(|frame| frame.expect("a picture"))
        .collect();
    assert!(frames[0] != frames[FRAMES - 1]);
}
