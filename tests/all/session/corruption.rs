//! The corruption of the open picture, before everything else.

use burn::tensor::Device;
use epsiloscope::attack::{Attack, Norm};
use epsiloscope::compute::{ComputeMessage, Lane, Place, Request, Runner, SeverityPrediction};
use epsiloscope::data::{Corruption, CorruptionKind};
use epsiloscope::session::{Bottom, State, requests};

use super::edit::state;

#[test]
fn a_corruption_comes_before_everything_and_its_sweep_finds_the_flip() {
    let mut state = state();
    let lane = Lane::SeveritySweep(Place::on_screen(0));
    assert!(!requests(&state, &[]).contains_key(&lane), "nobody sees it");
    state.settings.display.bottom = Bottom::Corruption;
    state.settings.corruption = Corruption {
        kind: CorruptionKind::GaussianNoise,
        severity: 0.0,
        seed: 4,
    };
    let asked = |state: &State| requests(state, &[]);
    let clean = asked(&state);
    state.set_severity(9.0);
    assert_eq!(state.settings.corruption.severity, 5.0);
    let corrupted = asked(&state);
    assert!(
        clean[&lane] == corrupted[&lane],
        "the sweep is that of every severity"
    );
    let input = |requests: &std::collections::BTreeMap<Lane, Request>| match &requests
        [&Lane::Prediction(Place::on_screen(0))]
    {
        Request::Predict(input) => input.clone(),
        _ => panic!("a prediction"),
    };
    let mut runner = Runner::new(Device::flex());
    let before = runner.predict(input(&clean)).expect("a prediction");
    let after = runner.predict(input(&corrupted)).expect("a prediction");
    let apart = before.input.planes().iter().zip(after.input.planes());
    let apart = apart.map(|(a, b)| (a - b).abs()).sum::<f32>() / (3.0 * 1024.0);
    assert!(apart > 0.1, "noise of severity 5 is strong: {apart}");
    // The attack is on the corrupted picture.
    let attacked = runner.attack(input(&corrupted), Attack::pgd(Norm::Linf, 0.0, 1));
    assert_eq!(
        attacked.expect("no room").picture.planes(),
        after.input.planes()
    );

    // Another severity leaves the sweep's results, which are not asked for again.
    let mut row = super::requests::row();
    let place = Place::on_screen(0);
    let swept = ComputeMessage::SeveritySwept(SeverityPrediction {
        severity: 1.0,
        probabilities: vec![0.2, 0.8],
        label: 0,
    });
    row.take(lane, swept);
    row.forget(Lane::Prediction(place));
    assert_eq!(
        (row.severity_curve().len(), row.flip_severity()),
        (1, Some(1.0))
    );
    row.forget(lane);
    assert!(row.severity_curve().is_empty());

    let points = runner.sweep_severity(input(&corrupted)).expect("a sweep");
    assert!(points.len() >= 11);
    assert_eq!(points[0].severity, 0.0);
    assert_eq!(points[0].probabilities, before.probabilities);
    let last = points
        .iter()
        .find(|point| point.severity == 5.0)
        .expect("the end");
    assert_eq!(last.probabilities, after.probabilities);
}
