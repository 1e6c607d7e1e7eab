//! Model files that are written and read again.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use epsiloscope::data::picture::unit_planes;
use epsiloscope::data::{Crop, samples};
use epsiloscope::evaluate::predict;
use epsiloscope::model::{Array, Classifier, Precision, Weights, zoo};
use tempfile::tempdir;

use crate::docs::content;
use crate::support::{bits, random_pictures, tiny_classifier, tiny_manifest, tiny_network, values};

/// The tensors and the manifest of a sound model.
pub(crate) fn sound() -> Weights {
    let mut weights = Weights::of(&mut tiny_network(3, 1));
    tiny_manifest(3).attach(&mut weights);
    weights
}

pub(crate) fn written(folder: &Path, weights: &Weights) -> PathBuf {
    let path = folder.join("model.safetensors");
    weights
        .write(&path, Precision::Single)
        .expect("the model can be written");
    path
}

#[test]
fn a_sound_model_opens_as_it_was() {
    let folder = tempdir().expect("a folder");
    let path = written(folder.path(), &sound());
    let opened = Classifier::open(&path, &Device::flex()).expect("a sound model");
    assert_eq!(*opened.manifest(), tiny_manifest(3));
    let x = random_pictures(2, 8, 1);
    let logits = |model: &Classifier| bits(&values(model.logits(x.clone())));
    assert_eq!(logits(&opened), logits(&tiny_classifier(3, 1)));
    let again = zoo::open(&epsiloscope::model::ModelRef::file(&path), &Device::flex())
        .expect("a sound model");
    assert_eq!(logits(&again), logits(&opened));
}

#[test]
fn single_precision_is_exact_and_half_is_near() {
    let folder = tempdir().expect("a folder");
    let path = folder.path().join("deep/er/model.safetensors");
    let mut weights = sound();
    let odd = [f32::MIN_POSITIVE, f32::MAX, -0.0, 1.0 / 3.0];
    weights.tensors.insert(
        "odd".into(),
        Array {
            shape: vec![2, 2],
            values: odd.to_vec(),
        },
    );
    weights
        .write(&path, Precision::Single)
        .expect("the model can be written");
    let single = Weights::read(&path).expect("a sound file");
    assert_eq!(single.metadata, weights.metadata);
    assert_eq!(single.tensors.len(), weights.tensors.len());
    for (name, array) in &weights.tensors {
        assert_eq!(single.tensors[name].shape, array.shape, "{name}");
        assert_eq!(
            bits(&single.tensors[name].values),
            bits(&array.values),
            "{name}"
        );
    }
    weights.tensors.remove("odd");
    weights
        .write(&path, Precision::Half)
        .expect("the model can be written over");
    let half = Weights::read(&path).expect("a sound file");
    for (name, array) in &weights.tensors {
        let found = &half.tensors[name];
        assert_eq!(found.shape, array.shape, "{name}");
        for (a, b) in found.values.iter().zip(&array.values) {
            // Below 6e-5 half precision has fewer digits.
            let near = (a - b).abs() <= 1e-3 * b.abs().max(6e-5);
            assert!(
                near && (array.shape.len() > 1 || a == b),
                "{name}: {a} for {b}"
            );
        }
    }
    let left: Vec<_> = fs::read_dir(path.parent().expect("a folder"))
        .expect("a folder")
        .collect();
    assert_eq!(left.len(), 1, "writing leaves nothing beside the file");
}

/// A card's figures are of the weights beside it: new weights need new figures, and a new hash.
#[test]
fn cards_name_the_content_of_their_weights() {
    let entries = fs::read_dir("assets/models").expect("the bundled models");
    let mut cards = 0;
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path
            .extension()
            .is_none_or(|extension| extension != "safetensors")
        {
            continue;
        }
        let id = path.file_stem().and_then(|stem| stem.to_str());
        let hash = content(id.expect("a name")).expect("weights");
        let card = fs::read_to_string(path.with_extension("md")).expect("a card");
        let row = format!("| content | BLAKE3 `{hash}`… |");
        assert!(
            card.contains(&row),
            "{}: its card has no {row}",
            path.display()
        );
        cards += 1;
    }
    assert_eq!(cards, 9);
}

/// Every bundled model opens, has a card, and is right about most of the bundled photographs of its classes.
#[test]
fn bundled_models_know_the_bundled_photographs() {
    let device = Device::flex();
    for id in zoo::SETS.iter().flat_map(|set| set.models) {
        let model = zoo::open(&(*id).into(), &device).unwrap_or_else(|error| panic!("{error}"));
        let card = fs::read_to_string(format!("assets/models/{id}.md")).expect("a card");
        assert!(card.contains(&format!("`{id}`")) && card.contains("## Measured"));
        let labels = &model.manifest().labels;
        let [h, w] = model.manifest().input;
        let known = samples::all().into_iter().filter_map(|(picture, truth)| {
            let label = labels
                .iter()
                .position(|label| Some(label) == truth.as_ref())?;
            Some((
                unit_planes(&picture.cropped(Crop::default(), [h, w])),
                label,
            ))
        });
        let (mut right, mut all) = (0, 0);
        for (pixels, label) in known {
            let x = Tensor::from_data(TensorData::new(pixels, [1, 3, h, w]), &device);
            right += usize::from(predict(&model, x) == [label]);
            all += 1;
        }
        assert!(2 * right >= all, "{id}: {right} of {all}");
        assert!(
            all > 0 || id.starts_with("cracks"),
            "{id} knows none of them"
        );
    }
}
