//! Example sheets of a counterfactual training: pictures, counterfactuals, changes and masks as one image.

use std::path::Path;

use crate::counterfactual::{Generator, change_map, otsu};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::model::tensor_values;

/// Number of examples of each class.
const EXAMPLES: usize = 8;
/// Number of examples of all classes together, but for one of each class.
const MOST_EXAMPLES: usize = 30;

/// Writes an image with a column for each example: the picture, its counterfactual (of the next class),
/// the change map (white at its maximum), the mask by Otsu's threshold, and the translation back.
pub fn write(path: &Path, generator: &Generator, data: &Dataset) -> Result<()> {
    let chosen = examples(data);
    let outputs = generator.outputs();
    let places = chosen.iter().map(|&index| data.labels[index]);
    let labels: Vec<usize> = places.clone().map(|class| outputs[class]).collect();
    let next = places.map(|class| outputs[(class + 1) % outputs.len()]);
    let targets: Vec<usize> = next.collect();
    let x = data.tensor(&chosen, generator.device());
    let made = generator.translate(x.clone(), &targets).picture;
    let back = generator.translate(made.clone(), &labels).picture;
    let changes = tensor_values(change_map(x.clone(), made.clone()));
    let [h, w] = data.size;
    let grey = |values: Vec<f32>| [values.clone(), values.clone(), values].concat();
    let (mut heats, mut masks) = (Vec::new(), Vec::new());
    for change in changes.chunks_exact(h * w) {
        let (most, threshold) = (change.iter().copied().fold(1e-6, f32::max), otsu(change));
        heats.extend(grey(change.iter().map(|value| value / most).collect()));
        let mask = change
            .iter()
            .map(|&value| f32::from(u8::from(value > threshold)));
        masks.extend(grey(mask.collect()));
    }
    let rows = [
        tensor_values(x),
        tensor_values(made),
        heats,
        masks,
        tensor_values(back),
    ];
    let (columns, count) = (chosen.len(), rows.len());
    let mut page = image::RgbImage::new((columns * w) as u32, (count * h) as u32);
    for (row, values) in rows.iter().enumerate() {
        for (at, pixel) in (0..columns * h * w).map(|at| (at, at % (h * w))) {
            let column = at / (h * w);
            let value = |channel: usize| values[(column * 3 + channel) * h * w + pixel];
            let colour = [0, 1, 2].map(|channel| (value(channel) * 255.0).round() as u8);
            let (x, y) = (column * w + pixel % w, row * h + pixel / w);
            page.put_pixel(x as u32, y as u32, image::Rgb(colour));
        }
    }
    let writing = |error: image::ImageError| Error::io(path, "write", error);
    page.save(path).map_err(writing)
}

/// Indices of examples, evenly spaced over the set, equally many of every class where possible.
fn examples(data: &Dataset) -> Vec<usize> {
    let mut chosen = Vec::new();
    let most = EXAMPLES.min((MOST_EXAMPLES / data.classes.len().max(1)).max(1));
    for class in 0..data.classes.len() {
        let of_class = |index: &usize| data.labels[*index] == class;
        let all: Vec<usize> = (0..data.len()).filter(of_class).collect();
        let count = most.min(all.len());
        chosen.extend((0..count).map(|index| all[index * all.len() / count]));
    }
    chosen
}
