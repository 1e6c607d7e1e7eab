//! Export of the selected pictures: copies in a folder.

use std::fs::OpenOptions;
use std::io::{Cursor, ErrorKind, Write};
use std::path::{Path, PathBuf};

use image::ImageFormat;

use crate::data::PictureLocation;
use crate::error::{Error, Result};
use crate::triage::table::Table;

/// Copies the files of the records `selected` to `folder` under their own names, with a number appended
/// where a name exists; nothing is overwritten. Records inside larger files become PNGs. Returns the
/// paths of the copies.
///
/// # Errors
/// [`Error::Io`] for the first that cannot be read or written.
pub fn copy(table: &Table, selected: &[usize], folder: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, "write", error))?;
    let one = |&index: &usize| {
        let path = Path::new(&table.records[index].path);
        let entry = PictureLocation::at(path.into());
        let bytes = entry.bytes()?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if !entry.is_record() {
            let extension = path.extension().unwrap_or_default().to_string_lossy();
            return place(folder, &stem, &extension, &bytes);
        }
        let mut png = Cursor::new(Vec::new());
        let picture = entry.decode(&bytes)?;
        let encoded = picture.pixels.write_to(&mut png, ImageFormat::Png);
        encoded.map_err(|error| Error::io(folder, "write", error))?;
        place(folder, &stem, "png", &png.into_inner())
    };
    selected.iter().map(one).collect()
}

/// Writes a new file under the first name that does not exist.
fn place(folder: &Path, stem: &str, extension: &str, bytes: &[u8]) -> Result<PathBuf> {
    for number in 1.. {
        let name = match (number, extension) {
            (1, "") => stem.to_owned(),
            (1, _) => format!("{stem}.{extension}"),
            (_, "") => format!("{stem} {number}"),
            _ => format!("{stem} {number}.{extension}"),
        };
        let path = folder.join(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                let written = file.write_all(bytes);
                written.map_err(|error| Error::io(&path, "write", error))?;
                return Ok(path);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io(&path, "write", error)),
        }
    }
    unreachable!("numbers do not end")
}
