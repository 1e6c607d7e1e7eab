//! The self-test of the graphics adapter.

use std::time::Duration;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use epsiloscope::app::App;
use epsiloscope::compute::graphics::{
    self, Candidate, Execution, Measurement, Outcome, TestNetwork, Verdict,
};
use epsiloscope::compute::{Backend, Compute};
use epsiloscope::model::{ConvolutionAlgorithm, ModelRef, zoo};

use crate::support::window::{run, until};

const MODEL: &str = "cifar10-robust";
const LONG: Duration = Duration::from_secs(600);

/// What computes wrong numbers or fails is not chosen, however fast; what is right is measured.
pub(crate) fn strikes_out_what_is_wrong(gpu: &Compute) {
    let networks = TestNetwork::open(&[ModelRef::from(MODEL)], &gpu.device).expect("it opens");
    let [shaders, product, burn] = ConvolutionAlgorithm::ALL.map(Execution::Gpu);
    let candidates = [
        Candidate::new(Execution::Cpu),
        Candidate::with(burn, |_| panic!("it fails on purpose")),
        Candidate::with(product, |network| {
            zoo::open(&"cifar10-standard".into(), network.on_gpu().device()).ok()
        }),
        Candidate::new(shaders),
    ];
    let measured = graphics::measure(&networks, &candidates, LONG);
    assert!(
        matches!(&measured[1].outcome, Outcome::Failed { reason } if reason.contains("on purpose")),
        "{measured:?}"
    );
    assert!(
        matches!(measured[2].outcome, Outcome::Wrong { error: Some(error) } if error > 0.01),
        "{measured:?}"
    );
    assert!(
        matches!(measured[3].outcome, Outcome::Right { seconds, error } if seconds > 0.0 && error < 0.02),
        "{measured:?}"
    );
    let adapter = &gpu.adapter.as_ref().expect("it is known").adapter;
    let verdict = Verdict::of(adapter.clone(), measured);
    assert!([Execution::Cpu, shaders].contains(&verdict.choice));
    let table = graphics::table(&verdict);
    for part in ["on purpose", "wrong: error", "* "] {
        assert!(table.contains(part), "{table}");
    }

    // What does not begin within the limit is not measured.
    let late = graphics::measure(&networks, &candidates[3..], Duration::ZERO);
    assert!(
        matches!(late[0].outcome, Outcome::Failed { .. }),
        "{late:?}"
    );
}

/// Emulation in software is tested when a person asks, and nothing is kept of it.
pub(crate) fn keeps_nothing_of_software(gpu: &Compute) {
    let adapter = gpu.adapter.as_ref().expect("it is known");
    if !adapter.adapter.is_software {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let models = [ModelRef::from(MODEL)];
    let tested = graphics::test(&adapter.adapter, &gpu.device, &models, Some(folder.path()));
    let verdict = tested.expect("it runs");
    assert_eq!(verdict.measured.len(), 4);
    // Emulation may be too slow for the limit.
    let is_wrong = |row: &Measurement| matches!(row.outcome, Outcome::Wrong { .. });
    assert!(!verdict.measured.iter().any(is_wrong), "{verdict:?}");
    let found = Verdict::find(folder.path(), &adapter.adapter).expect("no file");
    assert_eq!(found, None);
}

/// *Help: Graphics* names the adapter, and every way to run models with what the test measured.
pub(crate) fn is_in_the_window(gpu: &Compute) {
    let compute = Compute {
        adapter: gpu.adapter.clone(),
        ..Compute::open(&Backend::Cpu).expect("there is always a CPU")
    };
    let context = egui::Context::default();
    let app = App::new(&context, compute, vec![ModelRef::from(MODEL)], Vec::new());
    let mut harness = run(Harness::builder(), app);
    harness.get_by_label("Help").click();
    let item = "Graphics ";
    until(&mut harness, "the menu", |harness| {
        harness.query_by_label(item).is_some()
    });
    harness.get_by_label(item).click();
    until(&mut harness, "the window", |harness| {
        harness.query_by_label("Test").is_some()
    });
    let adapter = &gpu.adapter.as_ref().expect("it is known").adapter;
    harness.get_by_label(&adapter.to_string());
    for execution in Execution::all() {
        harness.get_by_label(execution.name());
    }
    harness.get_by_label("Test").click();
    until(&mut harness, "a time of the CPU", |harness| {
        harness.query_all_by_label_contains("ms   error").count() > 0
    });
    harness.get_by_label("Copy");
    harness.get_by_label("Test again");
}
