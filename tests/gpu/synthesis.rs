//! Pictures that a model makes, on wgpu as on the CPU.

use burn::tensor::Device;
use epsiloscope::compute::Compute;
use epsiloscope::synthesis::{Synthesis, SynthesisInputs, SynthesisRun, Task};

use crate::support::parity_checks::classifier;

/// The same seed, the same picture.
pub fn agrees_with_the_cpu(gpu: &Compute) {
    let make = |device: &Device, task: &Task| -> Vec<f32> {
        let model = classifier("cifar_basic", device);
        let [h, w] = model.manifest().input;
        let target: Vec<f32> = (0..3 * h * w)
            .map(|at| 0.5 + 0.4 * (at as f32 * 0.11).sin())
            .collect();
        let config = Synthesis {
            task: task.clone(),
            step: 0.2,
            iterations: 6,
            jitter: 1,
            count: 2,
            ..Synthesis::paper_inversion().fast()
        };
        let material = SynthesisInputs {
            target: Some(&target),
            ..SynthesisInputs::default()
        };
        let mut run = SynthesisRun::new(&config, &model, &material).expect("a run");
        while !run.finished() {
            run.step(&model).expect("a step");
        }
        let data = run.current().clone().into_data().convert::<f32>();
        data.try_into_vec().expect("floats")
    };
    for task in [
        Task::Invert { stage: None },
        Task::Invert { stage: Some(1) },
        Task::Generate {
            class: 1,
            objective: epsiloscope::synthesis::ClassObjective::Logit,
        },
    ] {
        let (cpu, gpu) = (make(&Device::flex(), &task), make(&gpu.device, &task));
        let apart = cpu.iter().zip(&gpu).map(|(a, b)| (a - b).abs());
        let most = apart.fold(0.0, f32::max);
        assert!(most < 2e-3, "{task:?}: {most}");
    }
}
