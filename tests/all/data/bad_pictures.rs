//! Hostile, odd and broken picture files.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use epsiloscope::data::Picture;
use epsiloscope::data::random::noise_rng;
use epsiloscope::error::Error;
use image::codecs::gif::GifEncoder;
use image::{
    DynamicImage, Frame, GrayAlphaImage, GrayImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb,
    RgbImage, Rgba, RgbaImage,
};
use rand::RngExt;
use tempfile::tempdir;

use crate::support::{message, message_naming};

/// Writes `bytes` and gives back where.
pub(crate) fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a file can be written");
    path
}

/// Checks every pixel of an opened picture; lossy formats may be a little off.
fn check_even(picture: &Picture, size: [u32; 2], colour: [u8; 3], tolerance: u8) {
    assert_eq!(
        [picture.pixels.width(), picture.pixels.height()],
        size,
        "{}",
        picture.path.display()
    );
    assert_eq!(picture.original, size);
    for pixel in picture.pixels.pixels() {
        check_near(picture, pixel.0, colour, tolerance);
    }
}

fn check_near(picture: &Picture, found: [u8; 3], wanted: [u8; 3], tolerance: u8) {
    let near = found
        .iter()
        .zip(wanted)
        .all(|(&a, b)| a.abs_diff(b) <= tolerance);
    assert!(
        near,
        "{}: {found:?} instead of {wanted:?}",
        picture.path.display()
    );
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Vec::new();
    image
        .write_to(&mut Cursor::new(&mut bytes), format)
        .expect("the picture can be encoded");
    bytes
}

fn noise(width: u32, height: u32) -> DynamicImage {
    let mut rng = noise_rng(5, 0);
    RgbImage::from_fn(width, height, |_, _| {
        Rgb([rng.random(), rng.random(), rng.random()])
    })
    .into()
}

fn open(path: &Path) -> Picture {
    Picture::open(path).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn what_is_no_picture_is_refused_by_name() {
    let folder = tempdir().expect("a folder");
    let mut rng = noise_rng(9, 0);
    let mut random: Vec<u8> = (0..4096).map(|_| rng.random()).collect();
    // No format begins like this.
    random[0] = 0x13;
    let bad = [
        file(folder.path(), "zero.png", b""),
        file(folder.path(), "random.png", &random),
        file(
            folder.path(),
            "text.jpg",
            b"Dear reader,\nthis was never a picture.\n",
        ),
        file(folder.path(), "short.png", b"\x89PNG\r\n\x1a\n"),
        file(folder.path(), "short.jpg", b"\xff\xd8\xff"),
        file(folder.path(), "short.gif", b"GIF89a"),
        file(folder.path(), "short.bmp", b"BM"),
        file(folder.path(), "short.webp", b"RIFF\x10\0\0\0WEBP"),
        file(folder.path(), "short.tif", b"II*\0"),
        file(folder.path(), "short.ppm", b"P6\n3 2\n255\n\0\0"),
    ];
    for path in bad {
        let result = Picture::open(&path);
        assert!(
            matches!(result, Err(Error::Picture { .. })),
            "{}",
            path.display()
        );
        message_naming(&path, result);
    }
    assert!(message(Picture::open(&folder.path().join("zero.png"))).contains("empty"));
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let folder = tempdir().expect("a folder");
    let missing = folder.path().join("missing.png");
    let directory = folder.path().join("folder.png");
    fs::create_dir(&directory).expect("a folder can be made");
    for path in [missing, directory] {
        let result = Picture::open(&path);
        assert!(
            matches!(result, Err(Error::Io { .. })),
            "{}",
            path.display()
        );
        message_naming(&path, result);
    }
}

#[test]
fn files_cut_short_open_or_are_refused_but_never_panic() {
    let folder = tempdir().expect("a folder");
    for (name, format) in [
        ("cut.jpg", ImageFormat::Jpeg),
        ("cut.png", ImageFormat::Png),
    ] {
        let whole = encoded(&noise(40, 24), format);
        for share in 1..40 {
            let path = file(folder.path(), name, &whole[..whole.len() * share / 40]);
            match Picture::open(&path) {
                Ok(picture) => assert_eq!(picture.original, [40, 24]),
                Err(error) => assert!(error.to_string().contains(name), "{error}"),
            }
        }
        assert_eq!(open(&file(folder.path(), name, &whole)).original, [40, 24]);
    }
}

#[test]
fn bytes_decide_and_not_the_name() {
    let folder = tempdir().expect("a folder");
    let image = DynamicImage::from(RgbImage::from_pixel(3, 2, Rgb([10, 200, 30])));
    for name in ["a.jpg", "a.gif", "a.txt", "a"] {
        let path = file(folder.path(), name, &encoded(&image, ImageFormat::Png));
        check_even(&open(&path), [3, 2], [10, 200, 30], 0);
    }
    let dot = DynamicImage::from(RgbImage::from_pixel(1, 1, Rgb([1, 2, 3])));
    let path = file(folder.path(), "dot.bmp", &encoded(&dot, ImageFormat::Bmp));
    check_even(&open(&path), [1, 1], [1, 2, 3], 0);
}

#[test]
fn every_kind_of_pixel_becomes_eight_bit_colour() {
    let deep = |value: u8| u16::from(value) * 257;
    let grey16 = ImageBuffer::from_pixel(3, 2, Luma([deep(171)]));
    let rgb16 = ImageBuffer::from_pixel(3, 2, Rgb([0, deep(128), deep(255)]));
    let clear16 = ImageBuffer::from_pixel(3, 2, LumaA([deep(128), 0]));
    let kinds: [(&str, DynamicImage, [u8; 3]); 9] = [
        (
            "grey",
            GrayImage::from_pixel(3, 2, Luma([77])).into(),
            [77; 3],
        ),
        (
            "clear grey",
            GrayAlphaImage::from_pixel(3, 2, LumaA([100, 0])).into(),
            [255; 3],
        ),
        (
            "solid grey",
            GrayAlphaImage::from_pixel(3, 2, LumaA([100, 255])).into(),
            [100; 3],
        ),
        (
            "solid",
            RgbaImage::from_pixel(3, 2, Rgba([9, 8, 7, 255])).into(),
            [9, 8, 7],
        ),
        (
            "clear",
            RgbaImage::from_pixel(3, 2, Rgba([9, 8, 7, 0])).into(),
            [255; 3],
        ),
        (
            "half clear",
            RgbaImage::from_pixel(3, 2, Rgba([200, 0, 0, 128])).into(),
            [227, 127, 127],
        ),
        ("deep grey", DynamicImage::ImageLuma16(grey16), [171; 3]),
        ("deep", DynamicImage::ImageRgb16(rgb16), [0, 128, 255]),
        (
            "deep clear grey",
            DynamicImage::ImageLumaA16(clear16),
            [255; 3],
        ),
    ];
    let folder = tempdir().expect("a folder");
    for (name, image, colour) in kinds {
        let path = file(
            folder.path(),
            &format!("{name}.png"),
            &encoded(&image, ImageFormat::Png),
        );
        check_even(&open(&path), [3, 2], colour, 1);
    }
}

#[test]
fn print_inks_become_colours_and_cameras_are_turned_upright() {
    let fixtures = Path::new("tests/fixtures");
    // Magenta and yellow ink on the left, half a black on the right; values from Pillow.
    let inks = open(&fixtures.join("cmyk.jpg"));
    assert_eq!(inks.original, [16, 8]);
    check_near(&inks, inks.pixels.get_pixel(2, 2).0, [255, 0, 0], 6);
    check_near(&inks, inks.pixels.get_pixel(13, 5).0, [127; 3], 6);
    // Stored as 16×8, red on the left and blue on the right, to be turned clockwise.
    let turned = open(&fixtures.join("rotated.jpg"));
    assert_eq!(turned.original, [8, 16]);
    check_near(&turned, turned.pixels.get_pixel(4, 2).0, [220, 30, 30], 6);
    check_near(&turned, turned.pixels.get_pixel(4, 13).0, [30, 30, 220], 6);
}

#[test]
fn of_an_animation_the_first_frame_is_taken() {
    let frame = |colour: [u8; 4]| Frame::new(RgbaImage::from_pixel(6, 4, Rgba(colour)));
    let mut bytes = Vec::new();
    let frames = [frame([250, 0, 0, 255]), frame([0, 0, 250, 255])];
    GifEncoder::new(&mut bytes)
        .encode_frames(frames)
        .expect("frames can be encoded");
    let folder = tempdir().expect("a folder");
    check_even(
        &open(&file(folder.path(), "two.gif", &bytes)),
        [6, 4],
        [250, 0, 0],
        8,
    );
}
