//! The window in which robust twins are trained: what to set, and the progress of each.

use std::path::PathBuf;

use egui::{ComboBox, Context, DragValue, Grid, ProgressBar, Ui, Window};
use egui_plot::{Legend, Line, Plot, PlotPoints};

use super::Action;
use super::attack::epsilon_field;
use crate::app::theme;
use crate::app::twins::{Twin, TwinAction, TwinSettings, Twins};
use crate::attack::Norm;
use crate::session::{Row, State};
use crate::train::{Phase, TrainConfig, TrainingStatus};

/// What is set up.
pub struct TwinForm {
    /// Whether the window is shown.
    pub open: bool,
    /// The row whose model gets a twin.
    row: usize,
    /// Folder of the data set; empty before one is chosen.
    pub data: String,
    norm: Norm,
    /// Radius, in units of pixels in [0, 1]; none before a person sets it: the usual one of the model's input.
    epsilon: Option<f32>,
    epochs: usize,
    /// The twin that a person was asked about before it is deleted.
    deleting: Option<usize>,
}

impl Default for TwinForm {
    fn default() -> Self {
        Self {
            open: false,
            row: 0,
            data: String::new(),
            norm: Norm::L2,
            epsilon: None,
            epochs: 10,
            deleting: None,
        }
    }
}

/// Shows the window until it is closed.
pub fn show(
    ctx: &Context,
    form: &mut TwinForm,
    state: &State,
    rows: &[Row],
    twins: &Twins,
    actions: &mut Vec<Action>,
) {
    let mut open = form.open;
    Window::new("Robust twins")
        .open(&mut open)
        .default_width(480.0)
        .vscroll(true)
        .show(ctx, |ui| {
            ui.label(theme::weak(
                "Adversarial fine-tuning: a copy of a model learns to answer right on attacked pictures, too. It takes hours, in a process of its own that goes on when this window is closed.",
            ));
            settings(ui, form, state, rows, actions);
            for (index, twin) in twins.all().iter().enumerate().rev() {
                ui.separator();
                show_twin(ui, form, index, twin, actions);
            }
        });
    form.open = open;
}

fn settings(
    ui: &mut Ui,
    form: &mut TwinForm,
    state: &State,
    rows: &[Row],
    actions: &mut Vec<Action>,
) {
    let models = &state.document.models;
    form.row = form.row.min(models.len().saturating_sub(1));
    let manifest = rows.get(form.row).and_then(|row| row.prediction.as_ref());
    let manifest = manifest.map(|prediction| prediction.manifest.clone());
    let name = |row: usize| models[row].title();
    Grid::new("twin settings").num_columns(2).show(ui, |ui| {
        ui.label("Model");
        ComboBox::from_id_salt("twin model")
            .selected_text(name(form.row))
            .show_ui(ui, |ui| {
                for row in 0..models.len() {
                    ui.selectable_value(&mut form.row, row, name(row));
                }
            })
            .response
            .on_hover_text("The model of which an adversarially fine-tuned copy is made");
        ui.end_row();
        ui.label("Pictures");
        ui.horizontal(|ui| {
            if ui
                .button("Folder…")
                .on_hover_text("A data set: train/CLASS/FILE and test/CLASS/FILE")
                .clicked()
            {
                actions.push(Action::ChooseTwinData);
            }
            ui.add(
                egui::TextEdit::singleline(&mut form.data)
                    .hint_text("path of the data set")
                    .desired_width(280.0),
            );
        });
        ui.end_row();
        ui.label("Norm");
        ui.horizontal(|ui| {
            for norm in [Norm::L2, Norm::Linf] {
                let label = ui.selectable_label(form.norm == norm, norm.to_string());
                if label.on_hover_text("Norm of the attacks of the training").clicked() {
                    form.norm = norm;
                    form.epsilon = None;
                }
            }
        });
        ui.end_row();
        ui.label("ε");
        let side = manifest.as_ref().map_or([32; 2], |manifest| manifest.input);
        let usual = match form.norm {
            Norm::Linf => 4.0 / 255.0,
            _ => TrainConfig::twin_epsilon(side),
        };
        let mut epsilon = form.epsilon.unwrap_or(usual);
        let response = ui.add(epsilon_field(form.norm, &mut epsilon, 0.0..=20.0, usual / 50.0)).on_hover_text(
            "Radius of the attacks at the end; it is 0 for the first fifth of the training and grows until three fifths",
        );
        if response.changed() {
            form.epsilon = Some(epsilon);
        }
        ui.end_row();
        ui.label("Epochs");
        ui.add(DragValue::new(&mut form.epochs).range(1..=500))
            .on_hover_text("How often each picture is seen; more epochs make a stronger twin");
        ui.end_row();
        ui.label("");
        let data = PathBuf::from(form.data.trim());
        let ready = manifest.zip(data.is_dir().then_some(data));
        let button = ui.add_enabled(ready.is_some(), egui::Button::new("Start training"));
        let button = button
            .on_disabled_hover_text("Choose a folder of pictures that is there first")
            .on_hover_text("How long it takes is measured on its first steps");
        if let (true, Some((manifest, data))) = (button.clicked(), ready) {
            actions.push(Action::StartTwin(Box::new(TwinSettings {
                model: models[form.row].clone(),
                name: format!("{} twin", manifest.name),
                data,
                norm: form.norm,
                epsilon,
                epochs: form.epochs,
            })));
        }
        ui.end_row();
    });
}

fn show_twin(
    ui: &mut Ui,
    form: &mut TwinForm,
    index: usize,
    twin: &Twin,
    actions: &mut Vec<Action>,
) {
    let status = twin.status();
    ui.horizontal(|ui| {
        ui.strong(twin.name());
        ui.label(theme::weak(phase(twin)));
    });
    if status.phase != Phase::Finished {
        let share = status.steps as f32 / status.total.max(1) as f32;
        ui.add(ProgressBar::new(share).text(progress(status)));
    }
    match (&status.reason, status.phase) {
        (Some(reason), Phase::Failed) => {
            ui.label(theme::error(ui, reason));
        }
        (Some(reason), _) => {
            ui.label(reason);
        }
        (None, _) => {}
    }
    if status.curve.len() > 1 {
        curves(ui, index, status);
    }
    let mut act = |action: TwinAction| actions.push(Action::Twin(index, action));
    ui.horizontal(|ui| {
        let works = twin.is_alive();
        let pausable = works && status.phase == Phase::Running && !twin.is_pausing();
        if works
            && ui
                .add_enabled(pausable, egui::Button::new("Pause"))
                .on_hover_text("It writes a checkpoint and ends; it can go on at any time")
                .clicked()
        {
            act(TwinAction::Pause);
        }
        if !works
            && status.phase != Phase::Finished
            && twin.has_checkpoint()
            && ui
                .button("Resume")
                .on_hover_text("It goes on from its last checkpoint")
                .clicked()
        {
            act(TwinAction::Resume);
        }
        if status.phase == Phase::Finished
            && ui
                .button("Open in row 2")
                .on_hover_text("Compare it with the model of the first row")
                .clicked()
        {
            act(TwinAction::Open);
        }
        if form.deleting == Some(index) {
            ui.label("Delete it and all that it has learnt?");
            if ui.button("Delete").clicked() {
                act(TwinAction::Delete);
                form.deleting = None;
            }
            if ui.button("Keep").clicked() {
                form.deleting = None;
            }
        } else if ui
            .button(if works { "Cancel…" } else { "Delete…" })
            .clicked()
        {
            form.deleting = Some(index);
        }
    });
}

/// What it does, in a few words.
fn phase(twin: &Twin) -> &'static str {
    match twin.status().phase {
        Phase::Finished => "finished",
        Phase::Failed => "failed",
        Phase::Paused => "paused",
        _ if !twin.is_alive() => "interrupted",
        Phase::Starting => "reads its pictures",
        Phase::Running if twin.is_pausing() => "writes a checkpoint after this step",
        Phase::Running => "trains",
        Phase::Measuring => "is being measured",
    }
}

fn progress(status: &TrainingStatus) -> String {
    let steps = format!("step {} of {}", status.steps, status.total);
    match status.seconds_left {
        Some(left) if status.phase == Phase::Running => {
            format!("{steps}, about {} left", duration(left))
        }
        _ => steps,
    }
}

/// A time in hours and minutes, or minutes, or seconds.
fn duration(seconds: f64) -> String {
    let seconds = seconds.round().clamp(0.0, 1e9) as u64;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Loss and accuracy against epochs.
fn curves(ui: &mut Ui, index: usize, status: &TrainingStatus) {
    let points = |value: fn(&crate::train::CurvePoint) -> f64| -> PlotPoints<'static> {
        status
            .curve
            .iter()
            .map(|point| [point.epoch, value(point)])
            .collect()
    };
    Plot::new(("twin", index))
        .height(110.0)
        .legend(Legend::default())
        .x_axis_label("epochs")
        .allow_scroll(false)
        .allow_drag(false)
        .allow_zoom(false)
        .show(ui, |plot| {
            plot.line(Line::new("loss", points(|point| point.loss)).color(theme::row_color(0)));
            let accuracy = points(|point| point.accuracy);
            plot.line(Line::new("accuracy under attack", accuracy).color(theme::row_color(1)));
        });
}
