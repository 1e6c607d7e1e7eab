//! The real window, without a screen: what a person reads in it, and what keys do.

use std::path::Path;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use egui_kittest::wgpu::WgpuTestRenderer;
use epsiloscope::app::App;
use epsiloscope::compute::{Backend, Compute};
use epsiloscope::model::ModelRef;
use epsiloscope::model::zoo;

use crate::shader::render_state;
use crate::support::window::{run, until};

/// The window on `models`, computing on the CPU, in a run of frames.
pub fn window(gpu: &Compute, models: Vec<ModelRef>) -> Harness<'static, App> {
    window_opening::<&str>(gpu, models, &[])
}

/// The same, opening `files` as program arguments.
pub fn window_opening<F: AsRef<Path>>(
    gpu: &Compute,
    models: Vec<ModelRef>,
    files: &[F],
) -> Harness<'static, App> {
    let files = files.iter().map(|file| file.as_ref().into()).collect();
    let cpu = Compute::open(&Backend::Cpu).expect("there is always a CPU");
    let renderer = WgpuTestRenderer::from_render_state(render_state(gpu));
    let app = App::new(&egui::Context::default(), cpu, models, files);
    run(Harness::builder().renderer(renderer), app)
}

/// Both models say what they see, the attack is re-evaluated, ε moves by key, and nothing is blank.
pub fn explores_a_photograph(gpu: &Compute) {
    let mut harness = window(gpu, zoo::SETS[1].references());
    until(&mut harness, "both attacks, re-evaluated", |harness| {
        harness.query_all_by_label_contains("re-evaluated").count() == 2
    });
    assert_eq!(harness.query_all_by_label_contains("predicts ").count(), 2);
    assert_eq!(
        harness.query_all_by_label_contains("inside [0, 1]").count(),
        2
    );
    harness.get_by_label("ε 0.5");
    harness.key_press(egui::Key::CloseBracket);
    harness.step();
    harness.get_by_label("ε 0.531");
    // Two attacked pictures, and the two maps that follow them.
    until(&mut harness, "the exact ε", |harness| {
        harness.query_all_by_label_contains("at ε 0.531").count() == 4
    });
    until(&mut harness, "a first map of everything", |harness| {
        harness.query_all_by_label_contains("Why ").count() == 4
    });
    let picture = harness.render().expect("the window renders");
    let mut colours: Vec<[u8; 4]> = picture.pixels().map(|pixel| pixel.0).collect();
    colours.sort_unstable();
    colours.dedup();
    assert!(
        colours.len() > 500,
        "only {} colours: the pictures are not drawn",
        colours.len()
    );
}

/// One click shows both models' counterfactuals; they are finished, flip, and lead back.
pub fn shows_counterfactuals_of_every_model(gpu: &Compute) {
    let models = ["cifar10-standard", "cifar10-robust"].map(ModelRef::from);
    let mut harness = window(gpu, models.to_vec());
    harness.get_by_label("Counterfactuals").click();
    until(&mut harness, "both changes, finished", |harness| {
        harness.query_all_by_label_contains("flips at").count() == 2
            && harness.query_all_by_label_contains("perceptual").count() == 2
    });
    assert!(harness.query_by_label_contains("generating").is_none());
    harness.get_by_label("Attacks").click();
    until(&mut harness, "the attacks again", |harness| {
        harness.query_all_by_label_contains("re-evaluated").count() == 2
    });
}

/// Rows whose models came with an earlier version say so and offer the ones that took their place.
pub fn offers_successors_of_replaced_models(gpu: &Compute) {
    let models = ["imagenette-standard", "imagenette-robust"].map(ModelRef::from);
    let mut harness = window(gpu, models.to_vec());
    until(&mut harness, "the choice", |harness| {
        harness.query_by_label("Use the new models").is_some()
    });
    harness.get_by_label_contains("Row 2: imagenette-robust, now photographs-robust");
    harness.get_by_label("Use the new models").click();
    until(&mut harness, "both new models", |harness| {
        harness.query_by_label("Photographs robust").is_some()
            && harness.query_all_by_label_contains("predicts ").count() == 2
    });
    assert!(harness.query_by_label("Use the new models").is_none());
}

/// A PyTorch checkpoint beside an ONNX graph: looks, attacks and maps of both, what was recognised, and
/// another normaliser.
pub fn opens_other_programs_models(gpu: &Compute) {
    let foreign = |file: &str| format!("tests/fixtures/foreign/{file}");
    let models = [foreign("wide.pt"), foreign("onnx_mobilenet.onnx")];
    let models = models.map(|name| name.as_str().into()).to_vec();
    let mut harness = window(gpu, models);
    until(&mut harness, "both attacks, re-evaluated", |harness| {
        harness.query_all_by_label_contains("re-evaluated").count() == 2
    });
    until(&mut harness, "a first map of everything", |harness| {
        harness.query_all_by_label_contains("Why ").count() == 4
    });
    assert_eq!(harness.query_all_by_label_contains("(assumed").count(), 2);
    harness.get_by_label("wide").click();
    until(&mut harness, "what was recognised", |harness| {
        harness
            .query_by_label_contains("recognised as WideResNet-10-1")
            .is_some()
    });
    until(&mut harness, "another normaliser's answer", |harness| {
        harness.query_by_label("imagenet").is_some()
    });
    harness.get_by_label("imagenet").click();
    until(&mut harness, "the model anew, as described", |harness| {
        harness.query_all_by_label_contains("(assumed").count() == 2
            && harness.query_all_by_label_contains("re-evaluated").count() == 2
    });
}

/// Model files that are program arguments wait for their rows one after the other; of the one that takes a
/// row, what was recognised is shown.
pub fn asks_for_rows_of_model_files(gpu: &Compute) {
    let foreign = |file: &str| format!("tests/fixtures/foreign/{file}");
    let models = vec![ModelRef::file(foreign("onnx_mobilenet.onnx"))];
    let files = [foreign("wide.pt"), foreign("resnet18.pth")];
    let mut harness = window_opening(gpu, models, &[&files[0], &files[1]]);
    until(&mut harness, "the first model file", |harness| {
        harness.query_by_label("Open wide.pt").is_some()
    });
    harness.get_by_label_contains("Row 1:").click();
    until(&mut harness, "the second model file", |harness| {
        harness.query_by_label("Open resnet18.pth").is_some()
    });
    harness.get_by_label("Cancel").click();
    until(&mut harness, "no further question", |harness| {
        harness.query_by_label("Open resnet18.pth").is_none()
    });
    until(&mut harness, "what was recognised", |harness| {
        harness
            .query_by_label_contains("recognised as WideResNet-10-1")
            .is_some()
    });
}

/// A presentation begins, goes on whatever is undone, and ends where it began.
pub fn presents(gpu: &Compute) {
    let models = vec!["tests/fixtures/foreign/wide.pt".into()];
    let mut harness = window(gpu, models);
    until(&mut harness, "the attack, re-evaluated", |harness| {
        harness.query_all_by_label_contains("re-evaluated").count() == 1
    });
    harness.get_by_label("Library");
    harness.key_press(egui::Key::CloseBracket);
    harness.step();
    harness.key_press(egui::Key::F5);
    harness.step();
    assert!(harness.query_by_label("Library").is_none());
    for modifiers in [egui::Modifiers::COMMAND, egui::Modifiers::SHIFT] {
        harness.key_press_modifiers(modifiers, egui::Key::Z);
        harness.key_press_modifiers(modifiers, egui::Key::ArrowRight);
        harness.step();
    }
    assert!(harness.query_by_label("Library").is_none());
    harness.key_press(egui::Key::Escape);
    harness.step();
    harness.step();
    harness.get_by_label("Library");
    harness.get_by_label("ε 0.531");
}

/// The dialogs of figures and films open by key, and a figure goes to the clipboard.
pub fn exports_figures(gpu: &Compute) {
    let models = vec!["tests/fixtures/foreign/wide.pt".into()];
    let mut harness = window(gpu, models);
    until(&mut harness, "the attack, re-evaluated", |harness| {
        harness.query_all_by_label_contains("re-evaluated").count() == 1
    });
    let both = egui::Modifiers::COMMAND | egui::Modifiers::SHIFT;
    harness.key_press_modifiers(both, egui::Key::E);
    harness.step();
    harness.get_by_label("Export film");
    harness.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::E);
    harness.step();
    harness.get_by_label("Export figure");
    harness.get_by_label("Caption").click();
    harness.step();
    harness.get_by_label("Copy").click();
    let copied = |harness: &Harness<'_, App>| {
        let commands = &harness.output().platform_output.commands;
        commands.iter().find_map(|command| match command {
            egui::OutputCommand::CopyImage(image) => Some(image.size),
            _ => None,
        })
    };
    until(&mut harness, "a figure on the clipboard", |harness| {
        copied(harness).is_some()
    });
    // 1200 units at two pixels each.
    assert_eq!(copied(&harness).map(|size| size[0]), Some(2400));
    harness.step();
    harness.get_by_label("copied");
}
