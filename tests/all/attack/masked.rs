//! Networks that mask their gradients on purpose: the warnings name each.

use std::sync::atomic::{AtomicU32, Ordering};

use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Device, Tensor};
use epsiloscope::attack::{AutoAttack, AutoPart, Norm};
use epsiloscope::data::{Dataset, Split};
use epsiloscope::evaluate::{AccuracyReport, evaluate_auto};
use epsiloscope::model::{Classifier, FeatureLayer, Network, Normalizer};
use tempfile::tempdir;

use crate::support::{tiny_manifest, write_two_colours};

/// What hides a network's gradients, or its logits.
enum Mask {
    None,
    /// Pixels are rounded to eighths.
    Quantised,
    /// The logits end in a sigmoid that is 0 or 1.
    Saturated,
    /// The outputs are probabilities.
    Softmax,
    /// Every call gives other logits.
    Random(AtomicU32),
}

/// Tells bluish from reddish pictures by their mean colours.
struct Colours(Mask);

impl Network for Colours {
    fn features(&self, x: Tensor<4>, _: FeatureLayer) -> Tensor<4> {
        match self.0 {
            Mask::Quantised => ((x * 8.0).round() / 8.0).detach(),
            _ => x,
        }
    }

    fn embed(&self, features: Tensor<4>) -> Tensor<2> {
        let [n, channels, ..] = features.dims();
        features.mean_dim(3).mean_dim(2).reshape([n, channels])
    }

    fn logits(&self, embedding: Tensor<2>) -> Tensor<2> {
        let blue = embedding.clone().narrow(1, 2, 1) - embedding.narrow(1, 0, 1);
        let logits = Tensor::cat(vec![blue.clone(), blue.neg()], 1) * 20.0;
        match &self.0 {
            Mask::Saturated => sigmoid(logits * 1000.0),
            Mask::Softmax => softmax(logits, 1),
            Mask::Random(calls) => logits + f64::from(calls.fetch_add(1, Ordering::Relaxed)),
            Mask::None | Mask::Quantised => logits,
        }
    }
}

fn report(mask: Mask) -> AccuracyReport {
    let folder = tempdir().expect("a folder");
    write_two_colours(folder.path(), 0, 6);
    let mut manifest = tiny_manifest(2);
    manifest.normalizer = Normalizer::NONE;
    manifest.labels = ["blue", "red"].map(String::from).to_vec();
    let model = Classifier::from_network(Box::new(Colours(mask)), manifest, &Device::flex());
    let data = Dataset::open(folder.path(), Split::Test, [8, 8]).expect("pictures");
    let attack = AutoAttack {
        steps: 10,
        queries: 500,
        ..AutoAttack::standard(Norm::Linf, 0.3)
    };
    attack.validate(2).expect("it can run");
    evaluate_auto(&model, &data, &attack, |_| true)
}

fn warned(report: &AccuracyReport, of: &str) -> bool {
    report.warnings.iter().any(|warning| warning.contains(of))
}

#[test]
fn an_honest_network_falls_and_is_not_suspected() {
    let report = report(Mask::None);
    assert_eq!(report.accuracy, 0.0, "{report:?}");
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    // Two classes are too few for the targeted ratio.
    assert_eq!(report.parts[0], (AutoPart::ApgdCe, 0.0));
    assert!(
        report
            .parts
            .iter()
            .all(|(part, _)| *part != AutoPart::ApgdT)
    );
}

#[test]
fn masked_gradients_are_told() {
    for mask in [Mask::Quantised, Mask::Saturated] {
        let report = report(mask);
        assert!(warned(&report, "APGD-CE found no gradient"), "{report:?}");
        assert!(
            warned(&report, "Square, which uses no gradient, fooled"),
            "{report:?}"
        );
        let [after_gradients, after_square] = [1, 2].map(|part| report.parts[part].1);
        assert!(after_gradients > after_square, "{report:?}");
    }
}

#[test]
fn an_attack_that_more_steps_would_beat_is_told() {
    use epsiloscope::attack::Attack;
    use epsiloscope::evaluate::{evaluate, warning_of_strength};
    let folder = tempdir().expect("a folder");
    write_two_colours(folder.path(), 0, 60);
    let mut manifest = tiny_manifest(2);
    manifest.normalizer = Normalizer::NONE;
    manifest.labels = ["blue", "red"].map(String::from).to_vec();
    let network = Box::new(Colours(Mask::None));
    let model = Classifier::from_network(network, manifest, &Device::flex());
    let data = Dataset::open(folder.path(), Split::Test, [8, 8]).expect("pictures");
    let told = |attack: &Attack| {
        let held = evaluate(&model, &data, Some(attack), |_| true).held;
        assert_eq!(held.len(), data.len());
        warning_of_strength(&model, &data, (attack, &held), || true)
    };
    let weak = Attack {
        step_size: Some(1e-4),
        ..Attack::pgd(Norm::Linf, 0.5, 2)
    };
    let warning = told(&weak).expect("its steps are too short");
    assert!(
        warning.contains("4 steps") && warning.contains("L∞ PGD-2"),
        "{warning}"
    );
    assert_eq!(told(&Attack::pgd(Norm::Linf, 0.5, 10)), None);
    assert_eq!(told(&Attack::pgd(Norm::Linf, 0.0, 10)), None);
}

#[test]
fn outputs_that_are_no_logits_are_told() {
    let softmaxed = report(Mask::Softmax);
    assert!(
        warned(&softmaxed, "are probabilities, not logits"),
        "{softmaxed:?}"
    );
    let random = report(Mask::Random(AtomicU32::new(0)));
    assert!(
        warned(&random, "answers differently when asked again"),
        "{random:?}"
    );
}
