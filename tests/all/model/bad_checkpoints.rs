//! PyTorch and ONNX files from strangers: pickles that ask for code, claims of size, and thousands of
//! mutated files of every kind.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use epsiloscope::data::random::noise_rng;
use epsiloscope::error::Result;
use epsiloscope::model::import::{self, ModelSource};
use epsiloscope::model::zoo;
use rand::{Rng, RngExt};
use tempfile::tempdir;

use crate::support::allocation::watch;
use crate::support::message_naming;

/// Bytes that any file may take, besides twice its own.
const MOST: usize = 100 << 20;

fn fixtures(extensions: &[&str]) -> Vec<PathBuf> {
    let folder = fs::read_dir("tests/fixtures/foreign").expect("the fixtures");
    let files = folder.map(|entry| entry.expect("an entry").path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| {
            let name = path.to_string_lossy();
            let extension = path.extension().map_or("", |e| e.to_str().unwrap_or(""));
            extensions.contains(&extension) && !name.contains("_io")
        })
        .collect();
    files.sort();
    files
}

fn open(path: &Path) -> Result<()> {
    let device = Device::flex();
    let source = import::open(path, &device)?;
    if let ModelSource::Weights(_) = &source {
        zoo::classifier(&source, path, &device)?;
    }
    Ok(())
}

/// A pickle of protocol 2 that begins with `body`, with an end.
fn pickle(body: &[u8]) -> Vec<u8> {
    [b"\x80\x02", body, b"."].concat()
}

#[test]
fn a_pickle_that_asks_for_code_runs_nothing_and_is_refused() {
    let folder = tempdir().expect("a folder");
    let witness = folder.path().join("witness");
    let command = format!("touch {}", witness.display());
    let call = |module: &str, name: &str| {
        let text = format!("c{module}\n{name}\n(S'{command}'\ntR");
        pickle(text.as_bytes())
    };
    let within = |call: &[u8]| {
        // As the value of an entry of a dictionary, where a state would be.
        [
            b"\x80\x02}S'state_dict'\n".as_slice(),
            &call[2..call.len() - 1],
            b"s.",
        ]
        .concat()
    };
    for (name, bytes) in [
        ("system.pt", call("os", "system")),
        ("posix.pt", call("posix", "system")),
        ("eval.pt", call("builtins", "eval")),
        ("within.pt", within(&call("os", "system"))),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a file");
        message_naming(&path, open(&path));
        assert!(!witness.exists(), "{name} ran its command");
    }
}

#[test]
fn bombs_are_refused_at_once() {
    let folder = tempdir().expect("a folder");
    // A list that holds itself twice, thirty times over.
    let mut laughs = b"]q\x00".to_vec();
    for level in 0_u8..30 {
        laughs.extend([b']', b'q', level + 1, b'(', b'h', level, b'h', level, b'e']);
    }
    let long = |opcode: &[u8]| pickle(&[opcode, &[0xFF; 4], b"abc"].concat());
    let memo = pickle(b"]r\xFF\xFF\xFF\xFF");
    for (name, bytes) in [
        ("deep.pt", pickle(&b"(".repeat(2_000_000))),
        (
            "deep-lists.pt",
            pickle(&[b"]".repeat(100_000), b"a".repeat(99_999)].concat()),
        ),
        ("laughs.pt", pickle(&laughs)),
        ("long-string.pt", long(b"X")),
        ("long-bytes.pt", long(b"B")),
        ("long-number.pt", long(b"\x8b")),
        ("far-memo.pt", memo),
        ("zip-nothing.pt", b"PK\x03\x04 and nothing else".to_vec()),
        (
            "zip-end.pt",
            [b"PK\x05\x06".as_slice(), &[0xFF; 18]].concat(),
        ),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a file");
        let (_, most) = watch(|| message_naming(&path, open(&path)));
        let length = fs::metadata(&path).expect("the file").len() as usize;
        assert!(most <= 2 * length + MOST, "{name}: {most} bytes");
    }
}

#[test]
fn a_large_wrong_file_is_refused_at_once() {
    let folder = tempdir().expect("a folder");
    for (name, start) in [
        ("zeros.pt", b"".as_slice()),
        ("pickle.pt", b"\x80\x02"),
        ("zip.pt", b"PK\x03\x04"),
        ("legacy.pt", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."),
        ("zeros.onnx", b""),
        ("begins.onnx", b"\x08\x08\x12\x07pytorch"),
        ("zeros.safetensors", b""),
    ] {
        for length in [5 << 30, (4 << 30) - 4096] {
            let path = folder.path().join(name);
            let mut file = File::create(&path).expect("a file");
            file.write_all(start).expect("its start");
            file.set_len(length).expect("a sparse file of 5 GB");
            let (_, most) = watch(|| message_naming(&path, open(&path)));
            assert!(most <= MOST, "{name}: {most} bytes");
        }
    }
}

/// A field of bytes in a protobuf message.
fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![tag << 3 | 2];
    let mut length = bytes.len();
    while length > 0x7F {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    field.extend(bytes);
    field
}

/// Few bytes that ask for much memory: millions of messages, and bytes that would become long integers.
#[test]
fn onnx_bombs_are_refused() {
    let folder = tempdir().expect("a folder");
    let nodes = field(1, &[]).repeat(4_000_000);
    let raw = field(9, &vec![7; 30_000_000]);
    // 30,000,000 numbers of the type uint8.
    let array = [&[0x08, 0x80, 0x87, 0xA7, 0x0E, 0x10, 2][..], &raw].concat();
    for graph in [nodes, field(5, &array)] {
        let version = [0x08, 8, 0x42, 2, 0x10, 17];
        let bytes = [&version[..], &field(7, &graph)].concat();
        let path = folder.path().join("bomb.onnx");
        fs::write(&path, &bytes).expect("a file");
        let (text, most) = watch(|| message_naming(&path, open(&path)));
        assert!(most <= 2 * bytes.len() + MOST, "{text}: {most} bytes");
    }
}

/// Changes, removes, repeats or inserts some bytes.
fn mutate(bytes: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.random_range(1..6) {
        let at = match bytes.len() {
            0 => return bytes,
            // Most of what a reader believes is at either end.
            length if rng.random_bool(0.7) => {
                let near = rng.random_range(0..length.min(2000));
                if rng.random_bool(0.5) {
                    near
                } else {
                    length - 1 - near
                }
            }
            length => rng.random_range(0..length),
        };
        match rng.random_range(0..7) {
            0 => bytes[at] = rng.random(),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => bytes[at] = [0, 0xFF, 0x7F, 0x80][rng.random_range(0..4)],
            3 => bytes.truncate(at),
            4 => {
                let end = (at + rng.random_range(1..64)).min(bytes.len());
                bytes.drain(at..end);
            }
            5 => {
                let end = (at + rng.random_range(1..64)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let end = (at + 8).min(bytes.len());
                bytes[at..end].fill(0xFF);
            }
        }
    }
    bytes
}

/// Thousands of files that are almost sound: none may panic, hang, or take much more memory than it is
/// long.
#[test]
fn mutated_files_do_no_harm() {
    const CASES: usize = 6000;
    let folder = tempdir().expect("a folder");
    let mut sound: Vec<(String, Vec<u8>)> = Vec::new();
    for path in fixtures(&["pt", "pth", "th", "safetensors", "onnx"]) {
        let bytes = fs::read(&path).expect("a fixture");
        if bytes.len() < 250_000 {
            let extension = path.extension().expect("an extension").to_string_lossy();
            sound.push((extension.into_owned(), bytes));
        }
    }
    assert!(sound.len() > 12, "{} fixtures", sound.len());
    let mut refused = 0;
    for request in 0..CASES {
        let mut rng = noise_rng(77, request as u64);
        let (extension, bytes) = &sound[request % sound.len()];
        let bytes = mutate(bytes, &mut rng);
        let path = folder.path().join(format!("case.{extension}"));
        fs::write(&path, &bytes).expect("a file");
        let (outcome, most) = watch(|| std::panic::catch_unwind(|| open(&path)));
        let kept = folder.path().join(format!("case-{request}.{extension}"));
        let Ok(outcome) = outcome else {
            fs::write(&kept, &bytes).expect("a file");
            panic!(
                "case {request} ({extension}) panicked; {} is kept",
                folder.keep().display()
            );
        };
        assert!(
            most <= 2 * bytes.len() + MOST,
            "case {request}: {most} bytes"
        );
        refused += usize::from(outcome.is_err());
    }
    // A flipped bit in a weight is a sound model all the same.
    assert!(
        refused > CASES / 4 && refused < CASES,
        "{refused} of {CASES}"
    );
}
