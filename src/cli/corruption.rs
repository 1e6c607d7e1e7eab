//! `epsiloscope corrupt`: corrupted copies of a picture; and the same options of `evaluate`, with the table of what
//! models see in them.

use std::path::PathBuf;

use clap::Args;
use image::{RgbImage, imageops};

use super::console::{answer, require_new, say};
use super::pictures::save_png;
use crate::data::picture::{to_rgb, unit_planes};
use crate::data::{Corruption, CorruptionKind, MAX_SEVERITY, Picture};
use crate::error::{Error, Result};
use crate::evaluate::AccuracyReport;
use crate::files::require_writable;

/// Which corruptions, and how severe.
#[derive(Clone, Debug, Args)]
pub(super) struct CorruptionOptions {
    /// Corrupt the pictures: kinds of ImageNet-C with commas between, for instance fog,motion-blur, or all. Attacks
    /// given by --attack follow each corruption.
    #[arg(long, value_delimiter = ',', value_parser = parse_corruption)]
    corruption: Vec<CorruptionArgument>,
    /// Severities of --corruption, from 0, the picture as it is, to 5; numbers between are ones too. By default
    /// 1,2,3,4,5.
    #[arg(long, value_delimiter = ',', value_parser = parse_severity)]
    severity: Vec<f32>,
}

/// An entry of --corruption.
#[derive(Clone, Copy, Debug)]
enum CorruptionArgument {
    All,
    One(CorruptionKind),
}

fn parse_corruption(text: &str) -> Result<CorruptionArgument, String> {
    if text.eq_ignore_ascii_case("all") {
        return Ok(CorruptionArgument::All);
    }
    let kind = <CorruptionKind as clap::ValueEnum>::from_str(text, true);
    kind.map(CorruptionArgument::One).map_err(|_| {
        let names = CorruptionKind::ALL.map(value_name);
        format!("there are {}, and all", names.join(", "))
    })
}

pub(super) fn parse_severity(text: &str) -> Result<f32, String> {
    let severity = text.parse::<f32>().ok();
    let severity = severity.filter(|severity| (0.0..=MAX_SEVERITY).contains(severity));
    severity.ok_or_else(|| format!("a severity is a number from 0 to {MAX_SEVERITY}"))
}

impl CorruptionOptions {
    /// Whether no corruption was asked for.
    pub(super) fn is_none(&self) -> bool {
        self.corruption.is_empty()
    }

    /// Checks that no severity is given for nothing.
    ///
    /// # Errors
    /// [`Error::Config`] for severities without a corruption.
    pub(super) fn validate(&self) -> Result<()> {
        if self.is_none() && !self.severity.is_empty() {
            return Err(Error::Config(
                "--severity is that of --corruption, which is not given".into(),
            ));
        }
        Ok(())
    }

    fn severities(&self) -> &[f32] {
        match &self.severity[..] {
            [] => &[1.0, 2.0, 3.0, 4.0, 5.0],
            given => given,
        }
    }

    /// The same, of all kinds where none was asked for.
    fn or_all(&self) -> Self {
        let mut all = self.clone();
        if all.is_none() {
            all.corruption.push(CorruptionArgument::All);
        }
        all
    }

    /// The pictures as they are, which the others are compared with, then every corruption of every severity.
    pub(super) fn each(&self, seed: u64) -> Vec<Option<Corruption>> {
        let kinds = self.corruption.iter().flat_map(|argument| match argument {
            CorruptionArgument::All => CorruptionKind::ALL.to_vec(),
            CorruptionArgument::One(kind) => vec![*kind],
        });
        let each = kinds.flat_map(|kind| {
            let corruption = move |&severity: &f32| Corruption {
                kind,
                severity,
                seed,
            };
            self.severities().iter().map(corruption)
        });
        std::iter::once(None).chain(each.map(Some)).collect()
    }
}

/// Writes a PNG file of each kind and severity, and sheet.png with all of them: a row for each kind.
#[derive(Debug, Args)]
pub struct CorruptArguments {
    /// The picture.
    picture: PathBuf,
    #[command(flatten)]
    corruption: CorruptionOptions,
    /// Corrupt the largest centred square of the picture, shrunk to this side in pixels, as a model of that size
    /// sees it; by default the whole picture.
    #[arg(long)]
    size: Option<u32>,
    /// Seed of everything random.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the results.
    #[arg(long)]
    out: PathBuf,
}

/// Longest side of a picture on the sheet, in pixels.
const SHEET_SIDE: u32 = 160;

impl CorruptArguments {
    /// Writes the pictures.
    pub fn run(&self) -> Result<()> {
        let picture = Picture::open(&self.picture)?;
        let image = match self.size {
            Some(side) if (1..=MAX_SIZE).contains(&side) => {
                picture.cropped_whole([side as usize; 2])
            }
            Some(side) => {
                let reason = format!("a side of {side} pixels; 1 to {MAX_SIZE} are possible");
                return Err(Error::Config(reason));
            }
            None => picture.pixels.as_ref().clone(),
        };
        let size = [image.height() as usize, image.width() as usize];
        let pixels = unit_planes(&image);
        // Without a kind, all of them.
        let corruptions = self.corruption.or_all().each(self.seed);
        let corruptions: Vec<Corruption> = corruptions.into_iter().flatten().collect();
        let file = |corruption: &Corruption| {
            let kind = value_name(corruption.kind);
            self.out.join(format!("{kind}-{}.png", corruption.severity))
        };
        let sheet = self.out.join("sheet.png");
        require_new(corruptions.iter().map(file).chain([sheet.clone()]))?;
        require_writable(&self.out)?;
        let columns = self.corruption.severities().len() as u32;
        let scale = SHEET_SIDE as f32 / size[0].max(size[1]) as f32;
        let [height, width] = size.map(|side| ((side as f32 * scale) as u32).max(1));
        let rows = corruptions.len() as u32 / columns;
        let mut all = RgbImage::new(columns * width, rows * height);
        for (at, corruption) in corruptions.iter().enumerate() {
            let corrupted = corruption.apply(&pixels, size, 0);
            save_png(&file(corruption), &corrupted, size)?;
            let small = imageops::resize(
                &to_rgb(&corrupted, size),
                width,
                height,
                imageops::FilterType::Triangle,
            );
            let (column, row) = (at as u32 % columns, at as u32 / columns);
            let place = |index: u32, side: u32| i64::from(index) * i64::from(side);
            imageops::replace(&mut all, &small, place(column, width), place(row, height));
        }
        let planes = unit_planes(&all);
        save_png(
            &sheet,
            &planes,
            [all.height() as usize, all.width() as usize],
        )?;
        say!(
            "{} pictures in {}, all of them in sheet.png",
            corruptions.len(),
            self.out.display()
        );
        answer(&corruptions)
    }
}

/// Largest side of --size, in pixels.
const MAX_SIZE: u32 = 1024;

/// The name of a kind on the command line.
fn value_name(kind: CorruptionKind) -> String {
    let value = clap::ValueEnum::to_possible_value(&kind);
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Lines of a table of the accuracy on corrupted pictures without an attack: a row for each model and kind, a column for
/// each severity, and the mean over kinds. None if nothing was corrupted.
pub(super) fn table(reports: &[AccuracyReport]) -> Vec<String> {
    let mut rows: Vec<(String, Vec<(f32, f64)>)> = Vec::new();
    let clean = reports.iter().filter(|report| report.attack == "clean");
    for report in clean {
        let Some(corruption) = report.corruption else {
            continue;
        };
        let cell = (corruption.severity, report.accuracy);
        let names = [corruption.kind.name(), "mean of all kinds"];
        for name in names.map(|name| format!("{:<20} {name:<18}", report.model)) {
            match rows.iter_mut().find(|(other, _)| *other == name) {
                Some((_, cells)) => cells.push(cell),
                None => rows.push((name, vec![cell])),
            }
        }
    }
    // The means after the kinds.
    rows.sort_by_key(|(name, _)| name.contains("mean of all kinds"));
    let lines = rows.into_iter().map(|(name, cells)| {
        let mut severities: Vec<f32> = Vec::new();
        for (severity, _) in &cells {
            if !severities.contains(severity) {
                severities.push(*severity);
            }
        }
        let columns = severities.into_iter().map(|severity| {
            let of = cells.iter().filter(|(other, _)| *other == severity);
            let all: Vec<f64> = of.map(|(_, accuracy)| *accuracy).collect();
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            format!("  {severity}: {:5.1} %", mean * 100.0)
        });
        name + &columns.collect::<String>()
    });
    lines.collect()
}
