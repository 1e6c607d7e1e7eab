//! Settings of the pictures that the models make.

use egui::{ComboBox, DragValue, Ui};

use super::explain::{number, reference, seed};
use crate::compute::PictureSource;
use crate::data::Picture;
use crate::session::{SeedSource, State, SynthesisSettings, TaskKind};
use crate::synthesis::{ClassObjective, MOST_PICTURES, Start, Synthesis, Task};

/// Draws the settings; `labels` are the classes and `stages` their count in the first row's model.
pub fn show(ui: &mut Ui, state: &mut State, labels: &[String], stages: usize) {
    ui.horizontal(|ui| {
        for kind in TaskKind::ALL {
            let chosen = state.settings.synthesis.kind() == kind;
            let response = ui.selectable_label(chosen, kind.name());
            if response.on_hover_text(kind.about()).clicked() {
                state.choose_synthesis(kind);
                state.show_synthesis();
            }
        }
    });
    let rows = state.document.models.len();
    let synthesis = &mut state.settings.synthesis;
    ui.horizontal_wrapped(|ui| match &mut synthesis.config.task {
        Task::Invert { stage } => {
            ui.label("Match");
            choose_stage(ui, stage, stages);
        }
        Task::Generate { class, objective } => generation(ui, class, objective, labels),
        Task::Neuron(unit) => {
            ui.label("Unit of");
            choose_stage(ui, &mut unit.stage, stages);
            synthesis.units.resize(rows, 0);
            for unit in &mut synthesis.units {
                ui.add(DragValue::new(unit).speed(0.1))
                    .on_hover_text("The unit of each row; click a bar in the tab Units below");
            }
        }
    });
    let document = &mut state.document;
    start(ui, synthesis, &mut document.start, &document.library);
    presets(ui, &mut synthesis.config);
    steps(ui, &mut synthesis.config);
    smoothing(ui, &mut synthesis.config);
    ui.horizontal(|ui| {
        let config = &mut synthesis.config;
        let hint = "Pictures synthesized at once, each from its own random start";
        number(ui, "Pictures", &mut config.count, 1..=MOST_PICTURES, hint);
        seed(ui, &mut config.seed);
    });
}

fn choose_stage(ui: &mut Ui, stage: &mut Option<usize>, stages: usize) {
    let name = |stage: Option<usize>| match stage {
        None => "the representation".to_owned(),
        Some(0) => "the stem".to_owned(),
        Some(stage) => format!("stage {stage}"),
    };
    ComboBox::from_id_salt("stage")
        .selected_text(name(*stage))
        .show_ui(ui, |ui| {
            ui.selectable_value(stage, None, name(None));
            for place in (0..=stages).rev().map(Some) {
                ui.selectable_value(stage, place, name(place));
            }
        })
        .response
        .on_hover_text("Where the network is cut: its pooled representation, or an earlier map");
}

fn generation(ui: &mut Ui, class: &mut usize, objective: &mut ClassObjective, labels: &[String]) {
    ui.label("Class");
    let name = labels.get(*class).map_or("?", String::as_str);
    ComboBox::from_id_salt("synthesis class")
        .width(86.0)
        .selected_text(name)
        .show_ui(ui, |ui| {
            for (index, label) in labels.iter().enumerate() {
                ui.selectable_value(class, index, label);
            }
        });
    ui.selectable_value(objective, ClassObjective::Logit, "logit")
        .on_hover_text("Raise the logit of the class, as in arXiv 2307.02500");
    ui.selectable_value(objective, ClassObjective::CrossEntropy, "probability")
        .on_hover_text("Raise its log-probability: lower the cross-entropy");
}

fn start(
    ui: &mut Ui,
    synthesis: &mut SynthesisSettings,
    other: &mut Option<Picture>,
    library: &[crate::session::LibraryEntry],
) {
    ui.horizontal(|ui| {
        ui.label("From");
        let start = &mut synthesis.config.start;
        ComboBox::from_id_salt("start")
            .selected_text(start.name())
            .show_ui(ui, |ui| {
                for choice in Start::ALL {
                    ui.selectable_value(start, choice, choice.name());
                }
            })
            .response
            .on_hover_text("Where the picture begins");
        if synthesis.config.start == Start::ClassGaussian {
            ui.selectable_value(&mut synthesis.seeds, SeedSource::Bundled, "bundled")
                .on_hover_text("Gaussians over small pictures of each class: of CIFAR-10's ten, 8×8, for models of 32 pixels; of the fifteen of Photographs, 16×16, for larger ones");
            ui.selectable_value(&mut synthesis.seeds, SeedSource::Library, "library")
                .on_hover_text("Fitted to the pictures of the library whose true class is given");
        }
    });
    if synthesis.config.start == Start::Other {
        reference(ui, other, library);
    }
    let inverts = synthesis.kind() == TaskKind::Inversion;
    if inverts || synthesis.config.start == Start::Current {
        ui.horizontal(|ui| {
            ui.label(if inverts { "Target" } else { "Picture" });
            for (which, name) in [
                (PictureSource::Input, "input"),
                (PictureSource::Attacked, "attacked"),
            ] {
                ui.selectable_value(&mut synthesis.which, which, name)
                    .on_hover_text(
                        "Whether the open picture is meant, or what the attack makes of it",
                    );
            }
        });
    }
}

fn presets(ui: &mut Ui, config: &mut Synthesis) {
    ui.horizontal(|ui| {
        ui.label("Preset");
        let keep = |config: &Synthesis, preset: Synthesis| Synthesis {
            task: config.task.clone(),
            start: config.start,
            count: config.count,
            seed: config.seed,
            ..preset
        };
        if ui
            .small_button("Paper")
            .on_hover_text("The settings of arXiv 2307.02500")
            .clicked()
        {
            *config = keep(config, config.paper());
        }
        if ui
            .small_button("Fast")
            .on_hover_text("Momentum, cosine step decay, frequency decay and total variation: cleaner pictures in fewer steps")
            .clicked()
        {
            *config = keep(config, config.fast());
        }
    });
}

fn steps(ui: &mut Ui, config: &mut Synthesis) {
    ui.horizontal(|ui| {
        ui.label("Steps");
        ui.add(
            DragValue::new(&mut config.iterations)
                .range(1..=100_000)
                .speed(5.0),
        )
        .on_hover_text("Gradient steps");
        ui.label("of");
        ui.add(
            DragValue::new(&mut config.step)
                .range(0.001..=100.0)
                .speed(0.01),
        )
        .on_hover_text("L2 length of a step, of pixels in [0, 1]");
        ui.label("in a ball of");
        ui.add(
            DragValue::new(&mut config.radius)
                .range(0.01..=10_000.0)
                .speed(0.5),
        )
        .on_hover_text("L2 radius around the start; the pictures also stay in [0, 1]");
    });
}

fn smoothing(ui: &mut Ui, config: &mut Synthesis) {
    ui.horizontal(|ui| {
        ui.label("Momentum");
        ui.add(
            DragValue::new(&mut config.momentum)
                .range(0.0..=0.99)
                .speed(0.01),
        )
        .on_hover_text("Share of the last step that the next one keeps");
        ui.checkbox(&mut config.anneal, "cosine decay")
            .on_hover_text("The step size decays to 0 along half a cosine");
    });
    ui.horizontal(|ui| {
        ui.label("Smoothness");
        let weight = DragValue::new(&mut config.variation).range(0.0..=100.0);
        ui.add(weight.speed(0.02).max_decimals(2))
            .on_hover_text("Weight of the mean total variation (Mahendran and Vedaldi 2015)");
        ui.label("Frequency decay");
        let exponent = DragValue::new(&mut config.spectrum).range(0.0..=4.0);
        ui.add(exponent.speed(0.02).max_decimals(2))
            .on_hover_text("Frequencies f of each step are divided by f to this power, so that coarse structure comes before fine (Olah et al. 2017)");
    });
    ui.horizontal(|ui| {
        let hint = "Random shifts before each gradient, in pixels: structure that survives them is robust to translation (Olah et al. 2017)";
        number(ui, "Jitter", &mut config.jitter, 0..=16, hint);
        ui.checkbox(&mut config.fake_relu, "Fake ReLU")
            .on_hover_text("Gradients pass the last ReLU unchanged, so that an inactive unit can become active (arXiv 2307.02500)");
    });
}
