//! The numbers behind plots and pictures, read back.

use epsiloscope::compute::SeverityPrediction;
use epsiloscope::data::{Corruption, CorruptionKind, Picture};
use epsiloscope::export::arrays::{self, epsilon_csv, losses_csv, npy, severity_csv};
use epsiloscope::session::Figure;

use crate::support::screens::{attacked, made, shots};

/// The lines of a table by the names of its columns.
fn table(text: &str) -> Vec<Vec<(String, String)>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let heads = reader.headers().expect("heads").clone();
    let line = |record: csv::Result<csv::StringRecord>| {
        let record = record.expect("a whole line");
        let pairs = heads.iter().zip(record.iter());
        pairs
            .map(|(head, field)| (head.into(), field.into()))
            .collect()
    };
    reader.records().map(line).collect()
}

fn field<'a>(line: &'a [(String, String)], name: &str) -> &'a str {
    let found = line.iter().find(|(head, _)| head == name);
    &found.unwrap_or_else(|| panic!("no column {name}")).1
}

#[test]
fn confidence_against_epsilon_is_a_table() {
    let mut shots = shots(&Figure::default(), &[0.75]);
    for row in &mut shots[0].rows {
        row.sweep = [0.0, 0.25, 0.75, 1.0].map(attacked).to_vec();
    }
    let text = epsilon_csv(&shots[0].state, &shots[0].rows);
    let lines = table(&text);
    // The attack that was asked for is also in the grid: four values for each of two models.
    assert_eq!(lines.len(), 8);
    let line = &lines[2];
    assert_eq!(field(line, "model"), "Standard");
    assert_eq!(field(line, "epsilon"), "0.75");
    assert_eq!(field(line, "class"), "bird");
    assert_eq!(field(line, "confidence"), "0.25");
    assert_eq!(field(line, "predicted"), "cat");
    assert_eq!(field(line, "flipped"), "true");
    assert_eq!(field(&lines[0], "flipped"), "false");
    assert_eq!(field(line, "mask_share"), "1");
    assert_eq!(field(line, "corruption"), "");
    // What else shaped the attack is told.
    let state = &mut shots[0].state;
    state.settings.corruption = Corruption {
        kind: CorruptionKind::Fog,
        severity: 2.5,
        ..Corruption::default()
    };
    let entry = state.entry_mut().expect("a picture");
    let (width, height) = entry.picture.pixels.dimensions();
    let half = image::RgbImage::from_fn(width, height, |x, _| {
        image::Rgb([255 * u8::from(x < width / 2); 3])
    });
    entry.attack_mask = Some(Picture::from_image("half.png".into(), half.into()));
    let lines = table(&epsilon_csv(&shots[0].state, &shots[0].rows));
    assert_eq!(field(&lines[2], "mask_share"), "0.5");
    assert_eq!(field(&lines[2], "corruption"), "fog, severity 2.5");
    let folder = tempfile::tempdir().expect("a folder");
    arrays::write(folder.path(), &shots).expect("files");
    let bytes = std::fs::read(folder.path().join("attack-mask.npy")).expect("the mask");
    let (shape, inside) = read_npy(&bytes);
    assert_eq!(shape, format!("({height}, {width})"));
    assert_eq!((inside[0], inside[inside.len() - 1]), (1.0, 0.0));
    // A row that is not on the screen is not in the table.
    shots[0].state.settings.display.hidden = vec![0];
    assert_eq!(
        table(&epsilon_csv(&shots[0].state, &shots[0].rows)).len(),
        4
    );
}

#[test]
fn confidence_against_severity_is_a_table() {
    let mut shots = shots(&Figure::default(), &[0.0]);
    shots[0].state.settings.corruption.kind = CorruptionKind::Fog;
    for row in &mut shots[0].rows {
        let prediction = |severity: f32, seen: [f32; 2]| SeverityPrediction {
            severity,
            probabilities: seen.to_vec(),
            label: 0,
        };
        row.severity_sweep = vec![prediction(0.0, [0.75, 0.25]), prediction(1.5, [0.25, 0.75])];
    }
    let lines = table(&severity_csv(&shots[0].state, &shots[0].rows));
    assert_eq!(lines.len(), 4);
    let line = &lines[1];
    assert_eq!(field(line, "corruption"), "fog");
    assert_eq!(field(line, "severity"), "1.5");
    assert_eq!(field(line, "confidence"), "0.25");
    assert_eq!(field(line, "predicted_confidence"), "0.75");
    assert_eq!(field(line, "flipped"), "true");
    assert_eq!(field(&lines[0], "flipped"), "false");
}

#[test]
fn losses_are_a_table() {
    let shots = made(&Figure::default());
    let lines = table(&losses_csv(&shots[0].state, &shots[0].rows));
    assert_eq!(lines.len(), 2 * 21);
    assert_eq!(field(&lines[3], "iteration"), "3");
    assert_eq!(field(&lines[3], "loss"), "0.25");
}

/// Shape and values of a NumPy file, as its format describes them.
fn read_npy(bytes: &[u8]) -> (String, Vec<f32>) {
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let (head, data) = bytes[10..].split_at(length);
    assert_eq!((10 + length) % 64, 0);
    let head = String::from_utf8(head.to_vec()).expect("a header of text");
    assert!(head.ends_with('\n') && head.contains("'descr': '<f4'"));
    let shape = head.split("'shape': ").nth(1).expect("a shape");
    let end = shape.find(')').expect("its end");
    let values = data
        .chunks_exact(4)
        .map(|value| f32::from_le_bytes(value.try_into().expect("four bytes")));
    (shape[..=end].to_owned(), values.collect())
}

#[test]
fn arrays_are_what_numpy_reads() {
    let values: Vec<f32> = (0..12).map(|value| value as f32 * 0.1 - 0.3).collect();
    assert_eq!(
        read_npy(&npy(&[3, 2, 2], &values)),
        ("(3, 2, 2)".into(), values.clone())
    );
    assert_eq!(read_npy(&npy(&[12], &values)).0, "(12, )");
}

#[test]
fn everything_behind_a_figure_goes_into_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let shots = made(&Figure::default());
    let files = arrays::write(folder.path(), &shots).expect("files");
    let names: Vec<String> = files
        .iter()
        .map(|file| file.file_name().expect("a name").to_string_lossy().into())
        .collect();
    for wanted in [
        "epsilon.csv",
        "losses.csv",
        "row1-input.npy",
        "row2-attacked.npy",
    ] {
        assert!(names.iter().any(|name| name == wanted), "{names:?}");
    }
    assert!(!names.contains(&"way.csv".into()), "a table without lines");
    let bytes = std::fs::read(folder.path().join("row2-synthesis.npy")).expect("a file");
    let made = shots[0].rows[1].synthesis.as_ref().expect("a picture");
    assert_eq!(
        read_npy(&bytes),
        ("(3, 8, 8)".into(), made.picture.planes().to_vec())
    );
}
