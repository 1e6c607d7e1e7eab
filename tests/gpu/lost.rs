//! A device that goes away.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use epsiloscope::compute::scheduler::Scheduler;
use epsiloscope::compute::{
    Backend, Compute, ComputeMessage, ComputeWorker, Lane, ModelInput, Place, Request,
};
use epsiloscope::data::{Corruption, Crop, samples};

/// Longer than a look takes on software Vulkan.
const PATIENCE: Duration = Duration::from_secs(120);

/// On a device of its own, as what is lost stays lost.
pub fn is_told(_: &Compute) {
    let own = Compute::open(&Backend::Adapter(String::new())).unwrap_or_else(|e| panic!("{e}"));
    let device = own.device.clone();
    let mut engine = Scheduler::spawn(move || ComputeWorker::new(device), || {});
    let predicted = prediction(&mut engine, 0);
    assert!(matches!(predicted, ComputeMessage::Predicted(_)));
    own.graphics.expect("a graphics device").device.destroy();
    match prediction(&mut engine, 1) {
        ComputeMessage::DeviceLost(_) => {}
        ComputeMessage::Failed(message) => panic!("it was taken for another failure: {message}"),
        _ => panic!("a lost device cannot look"),
    }
}

/// The message of a look at the bundled picture `number`.
fn prediction(engine: &mut Scheduler<ComputeWorker>, number: usize) -> ComputeMessage {
    let (picture, truth) = samples::all().swap_remove(number);
    let subject = ModelInput {
        model: "cifar10-standard".into(),
        picture,
        crop: Crop::default(),
        truth,
        corruption: Corruption::default(),
        attack_mask: None,
    };
    engine.submit(BTreeMap::from([(
        Lane::Prediction(Place::on_screen(0)),
        Request::Predict(subject),
    )]));
    let started = Instant::now();
    loop {
        if let Some((_, message)) = engine.messages().pop() {
            return message;
        }
        assert!(started.elapsed() < PATIENCE, "no message");
        std::thread::sleep(Duration::from_millis(5));
    }
}
