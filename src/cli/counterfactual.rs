//! `epsiloscope counterfactual`: the counterfactual of one picture, its change map and mask, as files.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::attack::save_png;
use super::class_number;
use crate::compute::{
    Backend, Compute, CounterfactualRequest, CounterfactualResult, GpuImage, HeatStyle, PLACES,
    counterfactual,
};
use crate::counterfactual::{Counterfactual, Overlap, overlap};
use crate::data::Picture;
use crate::data::mask::{self, GroundTruthMask, MaskFinder};
use crate::data::picture::unit_planes;
use crate::error::Result;
use crate::evaluate::masks::resized;
use crate::files::write_atomically;
use crate::model::{ModelRef, zoo};

/// Compute the counterfactual of a picture: what it would look like as another class.
#[derive(Debug, Args)]
pub struct CounterfactualArguments {
    /// The picture to translate.
    picture: PathBuf,
    /// A model with a generator.
    #[arg(long, default_value = "cracks-counterfactual")]
    model: ModelRef,
    /// The target class; by default the likeliest class other than the predicted one.
    #[arg(long)]
    target: Option<String>,
    /// Threshold of the change above which a pixel belongs to the mask; by default Otsu's.
    #[arg(long)]
    threshold: Option<f32>,
    /// Ground-truth mask, white on black; by default a file of the same name in a nearby folder whose name
    /// contains “mask”.
    #[arg(long)]
    mask: Option<PathBuf>,
    /// Folder for counterfactual.png, back.png, change.png, mask.png and counterfactual.json.
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Where models run: auto, wgpu, cpu, or a part of a graphics adapter's name.
    #[arg(long, default_value_t)]
    backend: Backend,
}

#[derive(Serialize)]
struct Facts {
    model: String,
    labels: Vec<String>,
    source: String,
    target: String,
    /// Probabilities of the discriminator, in the order of `labels`, for the picture, its counterfactual, and
    /// the translation back.
    seen: [Vec<f32>; 3],
    /// Probabilities of the generator's classification head for the picture.
    head: Vec<f32>,
    change: f32,
    perceptual: f32,
    threshold: f32,
    masked: f64,
    overlap: Option<Overlap>,
}

impl CounterfactualArguments {
    /// Computes the counterfactual and writes all files.
    pub fn run(&self) -> Result<()> {
        let device = Compute::open(&self.backend)?.device;
        let weights = zoo::weights(&self.model, &device)?;
        let model = Counterfactual::new(&weights, self.model.origin(), &device)?;
        let manifest = model.discriminator.manifest().clone();
        let picture = Picture::open(&self.picture)?;
        let cut = picture.cropped_whole(manifest.input);
        let target = self.target.as_ref();
        let asked = CounterfactualRequest {
            model: self.model.clone(),
            picture: GpuImage::from_planes(unit_planes(&cut), manifest.input),
            epsilon: 0.0,
            target: target
                .map(|name| class_number(&model.discriminator, name))
                .transpose()?,
        };
        let answer = counterfactual(&model, asked)?;
        let facts = self.write(&answer, &manifest.labels, manifest.name)?;
        let percent = |seen: &[f32]| {
            let words = facts.labels.iter().zip(seen);
            let words = words.map(|(label, value)| format!("{label} {:.1} %", value * 100.0));
            words.collect::<Vec<_>>().join(", ")
        };
        for (name, seen) in ["picture", "counterfactual", "translated back"]
            .iter()
            .zip(&facts.seen)
        {
            println!("{name}: {}", percent(seen));
        }
        println!(
            "{} to {}, mean change {:.4}, mask {:.1} % of the pixels above {:.3}",
            facts.source,
            facts.target,
            facts.change,
            facts.masked * 100.0,
            facts.threshold
        );
        if let Some(Overlap {
            iou,
            dice,
            precision,
            recall,
        }) = facts.overlap
        {
            println!("IoU {iou:.3}, Dice {dice:.3}, precision {precision:.3}, recall {recall:.3}");
        }
        Ok(())
    }

    fn write(
        &self,
        answer: &CounterfactualResult,
        labels: &[String],
        model: String,
    ) -> Result<Facts> {
        let size = answer.picture.size();
        let threshold = self.threshold.unwrap_or(answer.otsu);
        let change = answer.heat.values();
        let inside: Vec<bool> = change.iter().map(|&value| value > threshold).collect();
        let white: Vec<f32> = inside
            .iter()
            .map(|&inside| f32::from(u8::from(inside)))
            .collect();
        let style = HeatStyle::default();
        let scale = answer.heat.scale(&style);
        let area = change.len();
        let mut coloured = vec![0.0; 3 * area];
        for (at, &value) in change.iter().enumerate() {
            let rgb = [0, 1, 2].map(|channel| answer.request.picture.planes()[channel * area + at]);
            for (channel, value) in style.color(rgb, value, scale).into_iter().enumerate() {
                coloured[channel * area + at] = value;
            }
        }
        let write = |name: &str, planes: &[f32]| save_png(&self.out.join(name), planes, size);
        write("counterfactual.png", answer.picture.planes())?;
        write("back.png", answer.back.planes())?;
        write("change.png", &coloured)?;
        write("mask.png", &[white.clone(), white.clone(), white].concat())?;
        let facts = Facts {
            model,
            labels: labels.to_vec(),
            source: labels[answer.source].clone(),
            target: labels[answer.target].clone(),
            seen: [
                answer.way[0].clone(),
                answer.way[PLACES - 1].clone(),
                answer.seen_back.clone(),
            ],
            head: answer.head.clone(),
            change: answer.change(),
            perceptual: answer.distances.perceptual,
            threshold,
            masked: inside.iter().filter(|inside| **inside).count() as f64 / area as f64,
            overlap: self.overlap(answer, threshold)?,
        };
        let json = serde_json::to_string_pretty(&facts).expect("plain data");
        write_atomically(&self.out.join("counterfactual.json"), json.as_bytes())?;
        Ok(facts)
    }

    /// Overlap with the ground-truth mask, at its own resolution, if there is one.
    fn overlap(&self, answer: &CounterfactualResult, threshold: f32) -> Result<Option<Overlap>> {
        let found = || MaskFinder::default().find(&self.picture);
        let Some(path) = self.mask.clone().or_else(found) else {
            return Ok(None);
        };
        let original = Picture::open(&self.picture)?.original;
        let truth = GroundTruthMask::of(&mask::open(&path, original)?, answer.picture.size());
        let map = resized(answer.heat.values(), answer.picture.size(), truth.size);
        Ok(Some(overlap(
            map.iter().map(|&value| value > threshold),
            truth.inside.into_iter(),
        )))
    }
}
