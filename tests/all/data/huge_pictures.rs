//! Small files that claim to be huge pictures.

use epsiloscope::data::Picture;
use tempfile::tempdir;

use crate::data::bad_pictures::file;
use crate::support::allocation::watch;
use crate::support::message_naming;

/// The checksum of a PNG chunk.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        let shift = |crc: u32, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        };
        (0..8).fold(crc ^ u32::from(byte), shift)
    })
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [&kind[..], data].concat();
    let length = (data.len() as u32).to_be_bytes();
    [&length[..], &body, &crc(&body).to_be_bytes()].concat()
}

/// A sound header and next to no pixels.
fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let header = [&size[..], &[8, 2, 0, 0, 0]].concat();
    let no_pixels = [0x78, 0x9C, 0x03, 0, 0, 0, 0, 1];
    let chunks = [
        chunk(b"IHDR", &header),
        chunk(b"IDAT", &no_pixels),
        chunk(b"IEND", &[]),
    ]
    .concat();
    [&b"\x89PNG\r\n\x1a\n"[..], &chunks].concat()
}

fn bmp_claiming(width: i32, height: i32) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    for number in [0, 0, 54, 40, width, height] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    bytes.extend([0; 24]);
    bytes
}

#[test]
fn files_that_claim_too_much_are_refused_at_once() {
    let folder = tempdir().expect("a folder");
    let bad = [
        ("claim.png", png_claiming(30_000, 30_000)),
        ("wide.png", png_claiming(100_000, 2)),
        ("claim.bmp", bmp_claiming(30_000, 30_000)),
        ("claim.ppm", b"P6\n30000 30000\n255\n".to_vec()),
        ("wide.ppm", b"P6\n200000 1\n255\n".to_vec()),
        ("claim.gif", b"GIF89a\xff\xff\xff\xff\0\0\0".to_vec()),
    ];
    for (name, bytes) in bad {
        let path = file(folder.path(), name, &bytes);
        let (text, most) = watch(|| message_naming(&path, Picture::open(&path)));
        assert!(most <= 64 << 20, "{name}: {most} bytes");
        if name == "claim.png" || name == "claim.ppm" {
            let text = text.to_lowercase();
            assert!(text.contains("pixels") || text.contains("limit"), "{text}");
        }
    }
    // The header is sound: a size that can be is not refused for its header.
    let path = file(folder.path(), "empty.png", &png_claiming(30, 30));
    assert!(!message_naming(&path, Picture::open(&path)).contains("pixels are too many"));
}
