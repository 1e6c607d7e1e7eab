//! Networks for grey pictures: their luma is read, and changed in all channels alike.

use burn::tensor::Device;
use epsiloscope::attack::{Attack, AttackMethod, Norm};
use epsiloscope::compute::{ModelInput, Runner};
use epsiloscope::data::{Picture, samples};
use epsiloscope::evaluate::{evaluate_attack, predict};
use epsiloscope::model::{Array, Classifier, ModelRef, Precision, Weights, zoo};

use super::foreign::{check, opened, path, plain};
use crate::support::parity_checks::Values;
use crate::support::{message, random_pictures, values};

fn model() -> Classifier {
    let known = Values::read("foreign/modern_grey_io");
    opened("modern_grey.safetensors", &plain(&known))
}

#[test]
fn grey_networks_agree_with_pytorch() {
    let known = Values::read("foreign/modern_grey_io");
    for file in ["modern_grey.safetensors", "modern_grey.onnx"] {
        let model = check(file, Some(plain(&known)), 1e-3);
        assert!(model.manifest().grey, "{file}");
        let notes = model.manifest().notes.join("; ");
        assert!(notes.contains("one channel"), "{file}: {notes}");
    }
}

#[test]
fn attacks_change_all_channels_alike_by_lengths_of_one() {
    let model = model();
    // A grey picture, as the window makes of any.
    let x = random_pictures(2, 64, 7).mean_dim(1).repeat_dim(1, 3) * 0.5 + 0.25;
    let labels = predict(&model, x.clone());
    for (norm, epsilon) in [(Norm::Linf, 0.03), (Norm::L2, 0.7), (Norm::L1p5, 6.0)] {
        for method in [
            AttackMethod::Pgd,
            AttackMethod::ApgdCe,
            AttackMethod::Square,
            AttackMethod::DeepFool,
        ] {
            let attack = Attack::pgd(norm, epsilon, 8).by(method);
            if attack.validate(model.classes()).is_err() {
                continue;
            }
            let attacked = attack.run(&model, &x, &labels, &[1, 2]);
            let change = attacked.clone() - x.clone();
            let mean = change.clone().mean_dim(1).repeat_dim(1, 3);
            let apart = (change.clone() - mean).abs().max().into_scalar::<f32>();
            assert!(apart < 1e-5, "{norm} {method}: channels differ by {apart}");
            // The length of one channel's change.
            let one = values(norm.length(change.narrow(1, 0, 1)));
            assert!(
                one.iter().all(|length| *length <= epsilon * 1.001),
                "{norm} {method}: {one:?}"
            );
            if method == AttackMethod::Pgd {
                assert!(
                    one.iter().any(|length| *length > 0.9 * epsilon),
                    "{norm}: {one:?}"
                );
            }
            if norm == Norm::L2 {
                let told = evaluate_attack(&model, &x, &attacked).l2;
                let near = told
                    .iter()
                    .zip(&one)
                    .all(|(told, one)| (told - one).abs() < 1e-4);
                assert!(near, "{told:?}, not {one:?}");
            }
        }
    }
}

#[test]
fn the_window_shows_their_pictures_grey() {
    let mut runner = Runner::new(Device::flex());
    let (picture, truth): (Picture, _) = samples::all().swap_remove(2);
    let reference = ModelRef::file(path("modern_grey.safetensors"));
    let input = ModelInput::new(&reference, &picture, truth);
    let prediction = runner.predict(ModelInput {
        truth: None,
        ..input.clone()
    });
    let shown = prediction.expect("a prediction").input;
    let pixels = shown.planes().len() / 3;
    let [red, green] =
        [0, 1].map(|channel| &shown.planes()[channel * pixels..(channel + 1) * pixels]);
    assert_eq!(red, green);
    let attack = Attack::pgd(Norm::L2, 1.0, 3);
    let attacked = runner.attack(
        ModelInput {
            truth: None,
            ..input
        },
        attack,
    );
    let attacked = attacked.expect("an attack");
    assert!(attacked.l2 <= 1.001 && attacked.l2 > 0.9, "{}", attacked.l2);
}

#[test]
fn four_channels_are_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("four.safetensors");
    let mut weights = Weights {
        tensors: std::collections::BTreeMap::new(),
        metadata: std::collections::BTreeMap::new(),
    };
    let array = Array {
        shape: vec![8, 4, 3, 3],
        values: vec![0.1; 8 * 4 * 9],
    };
    weights.tensors.insert("conv1.weight".into(), array);
    weights.write(&file, Precision::Single).expect("a file");
    let refused = zoo::open(&ModelRef::file(file), &Device::flex());
    let told = message(refused);
    assert!(
        told.contains("4 channels") && told.contains("grey"),
        "{told}"
    );
}
