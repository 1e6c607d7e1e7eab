//! The numbers behind plots as CSV, maps and pictures as NumPy files.

use std::path::{Path, PathBuf};

use super::figure::Shot;
use crate::attack::Attack;
use crate::compute::{AttackResult, GpuImage, PictureSource, PredictionResult, flips};
use crate::error::{Error, Result};
use crate::evaluate::top;
use crate::files::write_atomically;
use crate::session::{Row, State};
use crate::synthesis::lock;

/// Confidence against ε: one line for each finished attack, the picture itself at ε 0 included.
///
/// Columns: model, epsilon, class (the one left or aimed for), confidence (in it), predicted,
/// predicted_confidence, linf, l2 (of the perturbation, in units of pixels in [0, 1]), inside_box,
/// flipped, attack (in words, with its ε), mask_share (share of the pixels that it may change, 1 without a mask),
/// corruption (in words, of the picture before the attack; empty without one).
pub fn epsilon_csv(state: &State, rows: &[Row]) -> String {
    let mut table = Table::new(&[
        "model",
        "epsilon",
        "class",
        "confidence",
        "predicted",
        "predicted_confidence",
        "linf",
        "l2",
        "inside_box",
        "flipped",
        "attack",
        "mask_share",
        "corruption",
    ]);
    let mask_share = state.attack_mask_share().unwrap_or(1.0);
    let corruption = state.settings.corruption;
    let corruption = corruption.is_active().then(|| corruption.to_string());
    let before = [mask_share.to_string(), corruption.unwrap_or_default()];
    for (row, prediction) in shown(state, rows) {
        let mut attacks: Vec<&AttackResult> = row.sweep.iter().chain(&row.attacked).collect();
        attacks.sort_by(|a, b| a.epsilon.total_cmp(&b.epsilon));
        attacks.dedup_by_key(|attacked| attacked.epsilon.to_bits());
        for attacked in attacks {
            let mut line = attack_line(&state.settings.attack, prediction, attacked);
            line.extend(before.clone());
            table.line(line);
        }
    }
    table.text()
}

fn attack_line(
    attack: &Attack,
    prediction: &PredictionResult,
    attacked: &AttackResult,
) -> Vec<String> {
    let class = match attack.goal {
        crate::attack::Goal::Untargeted => prediction.label,
        crate::attack::Goal::Targeted(class) => class,
    };
    let seen = &attacked.probabilities;
    let predicted = top(seen);
    vec![
        prediction.manifest.name.clone(),
        attacked.epsilon.to_string(),
        prediction.name(class).into(),
        share(seen, class),
        prediction.name(predicted).into(),
        share(seen, predicted),
        attacked.linf.to_string(),
        attacked.l2.to_string(),
        attacked.inside_box.to_string(),
        flips(attack, prediction.label, seen).to_string(),
        Attack {
            epsilon: attacked.epsilon,
            ..attack.clone()
        }
        .to_string(),
    ]
}

/// Confidence against the severity of the corruption: one line for each severity.
///
/// Columns: model, corruption, severity, class (the one left), confidence (in it), predicted, predicted_confidence, flipped.
pub fn severity_csv(state: &State, rows: &[Row]) -> String {
    let mut table = Table::new(&[
        "model",
        "corruption",
        "severity",
        "class",
        "confidence",
        "predicted",
        "predicted_confidence",
        "flipped",
    ]);
    let kind = state.settings.corruption.kind.name();
    for (row, prediction) in shown(state, rows) {
        for at in &row.severity_sweep {
            let predicted = top(&at.probabilities);
            table.line(vec![
                prediction.manifest.name.clone(),
                kind.into(),
                at.severity.to_string(),
                prediction.name(at.label).into(),
                share(&at.probabilities, at.label),
                prediction.name(predicted).into(),
                share(&at.probabilities, predicted),
                at.is_flipped().to_string(),
            ]);
        }
    }
    table.text()
}

/// The probability of a class as text.
fn share(probabilities: &[f32], class: usize) -> String {
    probabilities.get(class).copied().unwrap_or(0.0).to_string()
}

/// Losses of the syntheses: model, iteration, picture, loss; one line for each kept iterate
/// and picture.
pub fn losses_csv(state: &State, rows: &[Row]) -> String {
    let mut table = Table::new(&["model", "iteration", "picture", "loss"]);
    for (row, prediction) in shown(state, rows) {
        let Some(synthesis) = &row.synthesis else {
            continue;
        };
        let history = lock(&synthesis.history);
        for kept in history.iter() {
            for (picture, loss) in kept.losses.iter().enumerate() {
                table.line(vec![
                    prediction.manifest.name.clone(),
                    kept.iteration.to_string(),
                    (picture + 1).to_string(),
                    loss.to_string(),
                ]);
            }
        }
    }
    table.text()
}

/// Deletion and insertion curves of the maps: model, picture (input or attacked), epsilon, share (of
/// the pixels), deletion, insertion.
pub fn faithfulness_csv(state: &State, rows: &[Row]) -> String {
    let mut table = Table::new(&[
        "model",
        "picture",
        "epsilon",
        "share",
        "deletion",
        "insertion",
    ]);
    for (row, prediction) in shown(state, rows) {
        for which in PictureSource::ALL {
            let map = row.attributions[which as usize].as_ref();
            let Some((map, curves)) = map.and_then(|map| Some((map, map.curves.get()?))) else {
                continue;
            };
            let last = curves.deletion.len().saturating_sub(1).max(1) as f32;
            let pairs = curves.deletion.iter().zip(&curves.insertion);
            for (place, (deletion, insertion)) in pairs.enumerate() {
                table.line(vec![
                    prediction.manifest.name.clone(),
                    name(which).into(),
                    map.request.epsilon.to_string(),
                    (place as f32 / last).to_string(),
                    deletion.to_string(),
                    insertion.to_string(),
                ]);
            }
        }
    }
    table.text()
}

/// What discriminators say on the way to counterfactuals: model, share (of the way), class, confidence.
pub fn way_csv(state: &State, rows: &[Row]) -> String {
    let mut table = Table::new(&["model", "share", "class", "confidence"]);
    for (row, prediction) in shown(state, rows) {
        let Some(result) = &row.counterfactual else {
            continue;
        };
        for (place, seen) in result.way.iter().enumerate() {
            for (class, confidence) in seen.iter().enumerate() {
                table.line(vec![
                    prediction.manifest.name.clone(),
                    result.share(place as f32).to_string(),
                    prediction.name(class).into(),
                    confidence.to_string(),
                ]);
            }
        }
    }
    table.text()
}

/// NumPy's file format, version 1.0, of 32-bit floats in row-major order.
pub fn npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let mut sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    if shape.len() > 1 {
        sides.truncate(sides.len() - 2);
    }
    let about = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sides}), }}");
    // Magic, length and header together fill a multiple of 64 bytes and end with a line break.
    let length = (about.len() + 11).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(format!("{about:<width$}\n", width = length - 1).into_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// Writes everything behind the figures of `shots` into a folder: a table for each plot that has
/// points, and each picture and map as it is in memory, `[channels, height, width]`. Returns the
/// files.
///
/// # Errors
/// [`Error::Io`] naming a file.
pub fn write(folder: &Path, shots: &[Shot]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for (index, shot) in shots.iter().enumerate() {
        let (state, rows) = (&shot.state, shot.rows.as_slice());
        let before = if shots.len() > 1 {
            format!("{:02}-", index + 1)
        } else {
            String::new()
        };
        let mut put = |name: &str, bytes: &[u8]| {
            let path = folder.join(format!("{before}{name}"));
            write_atomically(&path, bytes)?;
            files.push(path);
            Ok::<(), Error>(())
        };
        for (name, table) in [
            ("epsilon.csv", epsilon_csv(state, rows)),
            ("severity.csv", severity_csv(state, rows)),
            ("losses.csv", losses_csv(state, rows)),
            ("faithfulness.csv", faithfulness_csv(state, rows)),
            ("way.csv", way_csv(state, rows)),
        ] {
            if table.lines().count() > 1 {
                put(name, table.as_bytes())?;
            }
        }
        if let Some(mask) = state.entry().and_then(|entry| entry.attack_mask.as_ref()) {
            let (width, height) = mask.pixels.dimensions();
            let inside = mask
                .pixels
                .pixels()
                .map(|pixel| f32::from(pixel.0[0]) / 255.0);
            let shape = [height as usize, width as usize];
            put("attack-mask.npy", &npy(&shape, &inside.collect::<Vec<_>>()))?;
        }
        for (place, row) in rows.iter().enumerate() {
            for (name, shape, values) in arrays(row) {
                let name = format!("row{}-{name}.npy", place + 1);
                put(&name, &npy(&shape, values))?;
            }
        }
    }
    Ok(files)
}

/// A named array: its shape and values.
type Array<'a> = (&'static str, [usize; 3], &'a [f32]);

fn planes<'a>(name: &'static str, frame: &'a GpuImage) -> Array<'a> {
    let [h, w] = frame.size();
    let values = frame.planes();
    (name, [values.len() / (h * w).max(1), h, w], values)
}

/// A row's pictures and maps.
fn arrays(row: &Row) -> Vec<Array<'_>> {
    let mut found = Vec::new();
    found.extend(
        row.prediction
            .iter()
            .map(|prediction| planes("input", &prediction.input)),
    );
    let attacked = row.attacked.iter();
    found.extend(attacked.map(|attacked| planes("attacked", &attacked.picture)));
    let synthesis = row.synthesis.iter();
    found.extend(synthesis.map(|synthesis| planes("synthesis", &synthesis.picture)));
    if let Some(result) = &row.counterfactual {
        found.push(planes("counterfactual", &result.picture));
        let back = result.back.iter();
        found.extend(back.map(|back| planes("way-back", &back.picture)));
        found.push(planes("change", result.heat.frame()));
    }
    for which in PictureSource::ALL {
        if let Some(map) = &row.attributions[which as usize] {
            let [h, w] = map.attribution.size;
            let name = match which {
                PictureSource::Input => "attribution",
                PictureSource::Attacked => "attribution-attacked",
            };
            let shape = [map.attribution.channels, h, w];
            found.push((name, shape, &map.attribution.values));
        }
    }
    found
}

fn name(which: PictureSource) -> &'static str {
    match which {
        PictureSource::Input => "input",
        PictureSource::Attacked => "attacked",
    }
}

/// The rows on the screen that have looked.
fn shown<'a>(
    state: &'a State,
    rows: &'a [Row],
) -> impl Iterator<Item = (&'a Row, &'a PredictionResult)> {
    let rows = rows.iter().enumerate();
    let rows = rows.filter(|(index, _)| state.settings.display.shows_row(*index));
    rows.filter_map(|(_, row)| Some((row, row.prediction.as_ref()?)))
}

/// A table on its way to text.
struct Table(csv::Writer<Vec<u8>>);

impl Table {
    fn new(heads: &[&str]) -> Self {
        let mut table = Self(csv::Writer::from_writer(Vec::new()));
        table.line(heads.iter().map(ToString::to_string).collect());
        table
    }

    fn line(&mut self, fields: Vec<String>) {
        self.0
            .write_record(fields)
            .expect("memory takes all, and every line has all fields");
    }

    fn text(self) -> String {
        let bytes = self.0.into_inner().expect("memory takes all");
        String::from_utf8(bytes).expect("it was made of text")
    }
}
