//! What is known of a row's model, and what a person can say of it.

use std::path::Path;

use egui::{ComboBox, Context, Grid, Ui, Window};

use super::Action;
use crate::app::theme;
use crate::compute::PredictionResult;
use crate::model::import::{Alternative, DescriptionEdit, LabelSource};
use crate::model::{BatchSize, ModelRef};
use crate::session::{Row, State};

/// Sets of labels that are known by name.
const LABELS: [(&str, &str); 3] = [
    ("cifar10", "CIFAR-10"),
    ("cifar100", "CIFAR-100"),
    ("imagenet", "ImageNet-1k"),
];

/// Shows the facts of the row that `state.about` names, until the window is closed.
pub fn show(ctx: &Context, state: &mut State, rows: &[Row], actions: &mut Vec<Action>) {
    let Some(index) = state.transient.about else {
        return;
    };
    let Some(row) = rows.get(index) else { return };
    let mut open = true;
    Window::new(format!("Model of row {}", index + 1))
        .id(egui::Id::unique("about the model"))
        .open(&mut open)
        .default_width(460.0)
        .collapsible(false)
        .vscroll(true)
        .show(ctx, |ui| match &row.prediction {
            Some(prediction) => facts(ui, state, index, (row, prediction), actions),
            None => match &row.error {
                Some(error) => {
                    ui.label(theme::error(ui, error));
                }
                None => {
                    ui.spinner();
                }
            },
        });
    if !open {
        state.transient.about = None;
    }
}

/// What a gradient takes and how many pictures are computed at once.
fn memory(budget: &BatchSize) -> String {
    let megabytes = |bytes: u64| format!("{:.0} MB", bytes as f64 / 1e6);
    let at_once = match budget.at_once() {
        1 => "one picture at a time".into(),
        count => format!("up to {count} pictures at once"),
    };
    match (budget.bytes(), budget.free()) {
        (Some(bytes), Some(free)) => format!(
            "{at_once}; the gradient of one takes about {}, {} are free",
            megabytes(bytes),
            megabytes(free)
        ),
        (Some(bytes), None) => {
            format!(
                "{at_once}; the gradient of one takes about {}",
                megabytes(bytes)
            )
        }
        _ => at_once,
    }
}

fn facts(
    ui: &mut Ui,
    state: &State,
    index: usize,
    (row, prediction): (&Row, &PredictionResult),
    actions: &mut Vec<Action>,
) {
    let manifest = &prediction.manifest;
    Grid::new("facts")
        .num_columns(2)
        .spacing([12.0, 4.0])
        .show(ui, |ui| {
            let [h, w] = manifest.input;
            for (what, text) in [
                ("Name", manifest.name.clone()),
                ("Network", manifest.architecture.to_string()),
                ("Input", format!("{w}×{h} pixels")),
                ("Training", manifest.training.clone()),
            ] {
                ui.label(what);
                ui.add(egui::Label::new(text).wrap());
                ui.end_row();
            }
            ui.label("Memory");
            ui.add(egui::Label::new(memory(&prediction.budget)).wrap())
                .on_hover_text("Maps and attacks are computed some pictures at a time: as many as fit into one short step and half of the free memory");
            ui.end_row();
            for (what, texts) in [
                ("Recognised", &manifest.notes),
                ("Assumed", &manifest.assumptions),
            ] {
                for (at, text) in texts.iter().enumerate() {
                    ui.label(if at == 0 { what } else { "" });
                    ui.add(egui::Label::new(theme::weak(text)).wrap());
                    ui.end_row();
                }
            }
        });
    if matches!(state.document.models[index], ModelRef::Bundled(_)) {
        ui.label(theme::weak(
            "Bundled with the program; there is nothing to set.",
        ));
        return;
    }
    ui.separator();
    let mut say = |saying: DescriptionEdit| actions.push(Action::Describe(index, saying));
    if let Some(edit) = alternatives(ui, row, prediction) {
        say(edit);
    }
    let mut asks = false;
    ui.horizontal(|ui| {
        ui.label("Labels");
        let first = manifest.labels.iter().take(3);
        let first: Vec<&str> = first.map(String::as_str).collect();
        ComboBox::from_id_salt("labels")
            .selected_text(format!("{}, …", first.join(", ")))
            .show_ui(ui, |ui| {
                for (id, title) in LABELS {
                    if ui.button(title).clicked() {
                        say(DescriptionEdit::Labels(LabelSource::Named(id.into())));
                        ui.close();
                    }
                }
                if ui.button("Text file…").clicked() {
                    asks = true;
                    ui.close();
                }
            });
    });
    ui.horizontal(|ui| {
        ui.label("Input");
        let mut side = manifest.input[0];
        let field = egui::DragValue::new(&mut side)
            .range(8..=1024)
            .suffix(" pixels");
        let response = ui
            .add(field)
            .on_hover_text("Height and width that the pictures are cut to");
        let done = response.drag_stopped() || response.lost_focus() || response.clicked();
        if done && side != manifest.input[0] {
            say(DescriptionEdit::Input([side; 2]));
        }
    });
    if asks {
        actions.push(Action::ChooseLabels(index));
    }
    let save = ui.button("Save this description…");
    if save
        .on_hover_text("A small text file that opens the model as it is set here")
        .clicked()
    {
        actions.push(Action::SaveDescription(index));
    }
}

/// All ways to read the file, each with what the model says of the open picture then; the one that was chosen
/// now.
fn alternatives(ui: &mut Ui, row: &Row, prediction: &PredictionResult) -> Option<DescriptionEdit> {
    ui.label("Other ways to read it, and the prediction then for the open picture")
        .on_hover_text(
            "Open a folder of class folders, called as the classes: of up to 64 pictures in the library whose class is \
             known it is counted how many are right",
        );
    let Some(previews) = &row.preview else {
        ui.spinner();
        return None;
    };
    let mut taken = None;
    Grid::new("alternatives")
        .num_columns(5)
        .striped(true)
        .spacing([16.0, 4.0])
        .show(ui, |ui| {
            let mut before = "";
            for preview in previews {
                let Alternative {
                    what,
                    name,
                    edit,
                    is_current,
                } = &preview.alternative;
                ui.label(if *what == before { "" } else { *what });
                before = *what;
                if ui.radio(*is_current, *name).clicked() && !is_current {
                    taken = Some(edit.clone());
                }
                let label = prediction.manifest.labels.get(preview.class);
                ui.label(label.map_or("?", String::as_str));
                ui.label(format!("{:.0} %", preview.confidence * 100.0));
                let [right, known] = preview.right;
                if known > 0 {
                    let share = 100.0 * right as f32 / known as f32;
                    ui.label(format!("{right} of {known} right ({share:.0} %)"))
                        .on_hover_text("Of the pictures in the library whose class is known");
                }
                ui.end_row();
            }
        });
    let is_usual = previews.iter().any(|preview| {
        let is_normalizer = matches!(preview.alternative.edit, DescriptionEdit::Normalizer(_));
        is_normalizer && preview.alternative.is_current
    });
    if !is_usual {
        let own = prediction.manifest.normalizer;
        ui.label(theme::weak(format!(
            "normaliser now: mean {:?}, deviation {:?}",
            own.mean, own.std
        )));
    }
    ui.label(theme::weak(
        "Read wrong, the model still predicts, only worse: compare on pictures whose class you know.",
    ));
    taken
}

/// Asks which of the rows, with these `models`, takes the model file `path`.
pub fn choose_row(ctx: &Context, path: &Path, models: &[ModelRef], actions: &mut Vec<Action>) {
    let modal = egui::Modal::new(egui::Id::unique("arriving model")).show(ctx, |ui| {
        ui.heading(format!("Open {}", theme::file_name(path)));
        ui.label("in place of");
        for (row, model) in models.iter().enumerate() {
            let title = model.title();
            if ui.button(format!("Row {}: {title}", row + 1)).clicked() {
                actions.push(Action::UseModel(row, ModelRef::file(path)));
            }
        }
        if ui.button("Cancel").clicked() {
            actions.push(Action::RefuseModel);
        }
    });
    if modal.should_close() {
        actions.push(Action::RefuseModel);
    }
}
