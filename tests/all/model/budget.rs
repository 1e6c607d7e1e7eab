//! How many pictures models take at once, and what failures mean.

use epsiloscope::compute::DeviceFailure;
use epsiloscope::model::BatchSize;

use crate::support::allocation::watch;
use crate::support::{random_pictures, tiny_classifier, tiny_manifest};

#[test]
fn chunks_are_short_steps() {
    assert_eq!(BatchSize::new([32, 32], true).at_once(), 8);
    assert_eq!(BatchSize::new([224, 224], true).at_once(), 1);
    assert!(
        BatchSize::new([224, 224], false).at_once() > 1,
        "a GPU takes more"
    );
    assert_eq!(
        BatchSize::new([8, 8], false).at_once(),
        64,
        "more gain nothing"
    );
}

#[test]
fn chunks_fit_into_the_memory_there_is() {
    let budget = BatchSize::new([32, 32], true);
    budget.note(1 << 20);
    assert_eq!(budget.at_once(), 8, "a megabyte a picture fits everywhere");
    let free = budget.free().expect("it was looked up");
    budget.note(free / 6);
    let at_once = budget.at_once();
    assert!(
        (2..=3).contains(&at_once),
        "half of the memory holds three: {at_once}"
    );
    budget.note(free * 2);
    assert_eq!(budget.at_once(), 1, "one must always be tried");
    assert_eq!(budget.bytes(), Some(free * 2));
}

#[test]
fn the_memory_of_a_gradient_is_estimated_from_the_shapes() {
    let model = tiny_classifier(3, 1);
    let estimate = model.budget().bytes().expect("known before the first step");
    let [side, _] = tiny_manifest(3).input;
    let x = random_pictures(1, side, 1);
    let loss = |features| model.logits_of(features).sum_dim(1).squeeze_dim(1);
    // The first gradient also sets up threads and kernels.
    model.gradient(&x, &loss);
    let (_, most) = watch(|| model.gradient(&x, &loss));
    let most = most as u64;
    assert!(
        most <= 8 * estimate && estimate <= 8 * most,
        "estimated {estimate}, held {most}"
    );
}

#[test]
fn what_did_not_fit_is_halved_down_to_one() {
    let budget = BatchSize::new([32, 32], true);
    let left: Vec<(bool, usize)> = (0..4).map(|_| (budget.halve(), budget.at_once())).collect();
    assert_eq!(left, [(true, 4), (true, 2), (true, 1), (false, 1)]);
}

#[test]
fn failures_are_told_apart_by_what_burn_and_wgpu_say() {
    for (message, problem) in [
        (
            "out of device memory allocating 99 bytes\nbacktrace",
            DeviceFailure::Memory,
        ),
        ("wgpu error: Out of Memory", DeviceFailure::Memory),
        (
            "An out-of-memory error happened during launch",
            DeviceFailure::Memory,
        ),
        (
            "The device is poisoned\nCaused by:\n  Unknown: reset",
            DeviceFailure::Device,
        ),
        (
            "wgpu error: Validation Error: Device is lost",
            DeviceFailure::Device,
        ),
        ("index out of bounds", DeviceFailure::Other),
    ] {
        assert_eq!(DeviceFailure::of(message), problem, "{message}");
    }
}
