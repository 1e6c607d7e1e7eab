//! Agreement with captum and shap on the CPU, and refusals.

use std::sync::Arc;

use burn::tensor::Device;
use epsiloscope::attribution::{
    Background, Baseline, ClassChoice, ExpectedGradients, Fill, Input, IntegratedGradients, Masker,
    Method, Occlusion, PartitionShap, Question, Score, SmoothGrad, Target, explain,
};

use crate::support::attribution_checks::{check_captum, check_partition, input, logit};
use crate::support::parity_checks::{Values, classifier};
use crate::support::{message, tiny_classifier};

#[test]
fn gradient_methods_agree_with_captum() {
    check_captum(&Device::flex());
}

/// Expected gradients within three standard errors of shap's, but for as many of the values as
/// chance explains.
#[test]
fn expected_gradients_agree_with_shap() {
    let device = &Device::flex();
    let model = classifier("cifar_basic", device);
    let file = Values::read("cifar_basic_attributions");
    let background = file.values("background").chunks_exact(3 * 32 * 32);
    let input = Input {
        background: Arc::new(background.map(<[f32]>::to_vec).collect()),
        ..input(&file, "smooth")
    };
    let method = Method::ExpectedGradients(ExpectedGradients {
        samples: 2000,
        ..ExpectedGradients::default()
    });
    let map = explain(&model, &method, logit(&file), &input).expect("a map");
    let errors = map.standard_errors.as_ref().expect("it samples");
    let theirs = file.values("expected").iter();
    let theirs = theirs.zip(file.values("expected_error"));
    let far = map.values.iter().zip(errors).zip(theirs);
    let far = far.filter(|((ours, error), (theirs, their_error))| {
        (*ours - *theirs).abs() > 3.0 * error.hypot(**their_error)
    });
    let share = far.count() as f32 / map.values.len() as f32;
    // Of normally distributed values 0.3 % are further away.
    assert!(
        share < 0.01,
        "{share} of the values are too far from shap's"
    );
    let gap = map.gap.expect("it compares");
    // One sample's sum has a deviation of 1.4 here, so 2000 have one of 0.03.
    assert!(gap.absolute() < 0.15, "additivity gap {gap:?}");
}

#[test]
fn partition_agrees_with_shap() {
    check_partition(&Device::flex());
}

fn refusal(method: Method) -> String {
    let picture = Input {
        pixels: vec![0.5; 3 * 8 * 8],
        size: [8, 8],
        reference: None,
        background: Arc::default(),
    };
    let target = Target {
        score: Score::Logit,
        class: 0,
        against: None,
    };
    message(explain(&tiny_classifier(3, 1), &method, target, &picture))
}

#[test]
fn senseless_settings_are_refused_with_the_number_and_the_range() {
    let integrated = |steps, baseline| {
        Method::IntegratedGradients(IntegratedGradients {
            steps,
            baseline,
            ..IntegratedGradients::default()
        })
    };
    let black = Baseline::Fill(Fill::Black);
    let occlusion = |window, stride| {
        Method::Occlusion(Occlusion {
            window,
            stride,
            fill: Fill::Black,
        })
    };
    for (method, word) in [
        (integrated(0, black), "0 steps"),
        (integrated(1_000_000, black), "1000000 steps"),
        (
            integrated(50_000, Baseline::Uniform(3)),
            "steps times baselines",
        ),
        (integrated(5, Baseline::Uniform(0)), "0 baselines"),
        (integrated(1, Baseline::Uniform(2000)), "2000 baselines"),
        (
            occlusion(9, 1),
            "window of 9 pixels does not fit a picture of 8",
        ),
        (occlusion(0, 1), "window of 0"),
        (occlusion(2, 0), "stride of 0"),
        (
            Method::SmoothGrad(SmoothGrad {
                sigma: f32::NAN,
                ..SmoothGrad::default()
            }),
            "standard deviation of NaN",
        ),
        (
            Method::PartitionShap(PartitionShap {
                evaluations: 3,
                masker: Masker::Inpaint,
            }),
            "3 evaluations",
        ),
        (
            Method::PartitionShap(PartitionShap {
                evaluations: 100,
                masker: Masker::Blur(9),
            }),
            "blur of 9",
        ),
        (
            Method::ExpectedGradients(ExpectedGradients {
                samples: 5,
                background: Background::Library,
                seed: 0,
            }),
            "at least one background picture",
        ),
        (
            integrated(5, Baseline::Fill(Fill::Picture)),
            "has to be chosen first",
        ),
    ] {
        let message = refusal(method);
        assert!(message.contains(word), "{message} does not say {word}");
    }
}

#[test]
fn a_class_is_not_explained_against_itself() {
    let question = Question {
        against: Some(ClassChoice::Second),
        ..Question::default()
    };
    assert!(question.target([4, 2], 4).validate().is_ok());
    assert!(message(question.target([4, 4], 4).validate()).contains("the same"));
}

#[test]
fn a_class_that_is_not_there_is_refused() {
    let question = Question {
        class: ClassChoice::Class(10),
        ..Question::default()
    };
    assert!(message(question.validate(10)).contains("class 10"));
    assert!(Question::default().validate(10).is_ok());
}
