//! Syntheses over their iterations: play, pause, step, go back.

use egui::{ComboBox, Ui};
use egui_plot::{Line, PlotPoints, VLine};

use super::{Action, bottom_panel};
use crate::app::commands::Command;
use crate::app::theme;
use crate::session::{Against, Row, State};
use crate::synthesis::{ClassObjective, Task};

/// Draws the buttons and the curves; a press or drag on them goes back to that iterate.
pub fn show(ui: &mut Ui, state: &mut State, rows: &[Row], actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        bottom_panel::tabs(ui, &mut state.settings.display.bottom);
        buttons(ui, state);
        speed(ui, state);
        cursor(ui, state);
        save(ui, rows, actions);
    });
    let quantity = match &state.settings.synthesis.config.task {
        Task::Invert { .. } => "relative distance",
        Task::Generate {
            objective: ClassObjective::Logit,
            ..
        } => "logit",
        Task::Generate { .. } => "log-probability",
        Task::Neuron(_) => "activation",
    };
    let last = state.settings.synthesis.config.iterations as f64;
    let plot = bottom_panel::plot(ui, "progress").y_axis_label(quantity);
    let response = plot.show(ui, |plot| {
        plot.set_plot_bounds_x(0.0..=last);
        plot.set_auto_bounds([false, true]);
        for (index, row) in rows.iter().enumerate() {
            if let (Some(synthesis), true) =
                (&row.synthesis, state.settings.display.shows_row(index))
            {
                let line = Line::new(name(row, index), PlotPoints::from(synthesis.curve()));
                plot.line(line.color(theme::row_color(index)).width(2.0));
            }
        }
        let at = state
            .navigation
            .playhead
            .cursor
            .unwrap_or(state.progress.synthesis.done) as f64;
        let color = plot.ctx().global_style().visuals.strong_text_color();
        plot.add(
            VLine::new("shown", at)
                .color(color)
                .width(2.0)
                .allow_hover(false),
        );
        if let Against::Iterate(pinned) = state.settings.synthesis.against {
            let line = VLine::new("pinned", pinned as f64).color(color);
            plot.add(line.style(egui_plot::LineStyle::dotted_dense()));
        }
        plot.pointer_coordinate()
    });
    let held = response.response.dragged() || response.response.is_pointer_button_down_on();
    if held && let Some(point) = response.inner {
        let at = point.x.clamp(0.0, state.progress.synthesis.done as f64);
        state.navigation.playhead.cursor = Some(at.round() as usize);
    }
    response
        .response
        .on_hover_cursor(egui::CursorIcon::ResizeHorizontal);
}

fn buttons(ui: &mut Ui, state: &mut State) {
    let active = state.progress.synthesis.running || state.progress.synthesis.working;
    let text = if active { "Pause" } else { "Play" };
    if ui
        .button(text)
        .on_hover_text(
            Command::PlaySynthesis.tooltip(ui.ctx(), "Synthesize, or pause within one step"),
        )
        .clicked()
    {
        state.toggle_synthesis();
    }
    if ui
        .button("Step")
        .on_hover_text(Command::StepSynthesis.tooltip(ui.ctx(), "One step"))
        .clicked()
    {
        state.step_synthesis();
    }
    if ui
        .button("Reset")
        .on_hover_text(Command::RestartSynthesis.tooltip(ui.ctx(), "Restart"))
        .clicked()
    {
        state.restart_synthesis();
    }
}

fn speed(ui: &mut Ui, state: &mut State) {
    let name = |speed: Option<usize>| match speed {
        None => "maximum speed".to_owned(),
        Some(1) => "1 step a frame".to_owned(),
        Some(steps) => format!("{steps} steps a frame"),
    };
    let speed = &mut state.settings.synthesis.speed;
    ComboBox::from_id_salt("speed")
        .selected_text(name(*speed))
        .show_ui(ui, |ui| {
            for choice in [None, Some(1), Some(2), Some(5), Some(20)] {
                ui.selectable_value(speed, choice, name(choice));
            }
        })
        .response
        .on_hover_text(
            "How many steps of the descent are made for each picture of it on the screen",
        );
}

fn cursor(ui: &mut Ui, state: &mut State) {
    let synthesis = &mut state.settings.synthesis;
    let cursor = &mut state.navigation.playhead.cursor;
    ui.label(theme::weak(format!(
        "step {} of {}",
        cursor.unwrap_or(state.progress.synthesis.done),
        synthesis.config.iterations
    )));
    if let Some(at) = *cursor {
        if ui
            .small_button("Newest")
            .on_hover_text("Show the newest iterate again")
            .clicked()
        {
            *cursor = None;
        }
        if ui
            .small_button("Pin")
            .on_hover_text("Compare this iterate with others: it stands left of the divider")
            .clicked()
        {
            synthesis.against = Against::Iterate(at);
            state.settings.display.divider = Some(0.5);
        }
    }
    if state.settings.display.divider.is_some() {
        ui.label(theme::weak("left of the divider"));
        let mut choices = vec![(Against::Picture, "picture".to_owned())];
        choices.push((Against::Start, "start".into()));
        if let Against::Iterate(pinned) = synthesis.against {
            choices.push((synthesis.against, format!("step {pinned}")));
        }
        for (choice, name) in choices {
            ui.selectable_value(&mut synthesis.against, choice, name)
                .on_hover_text("What the synthesis is compared with, left of the divider");
        }
    }
}

fn save(ui: &mut Ui, rows: &[Row], actions: &mut Vec<Action>) {
    ui.menu_button("Save…", |ui| {
        for (index, row) in rows.iter().enumerate() {
            let text = format!("Picture of {}…", name(row, index));
            let button = egui::Button::new(text);
            if ui.add_enabled(row.synthesis.is_some(), button).clicked() {
                actions.push(Action::SaveSynthesis(index));
                ui.close();
            }
        }
    });
}

fn name(row: &Row, index: usize) -> String {
    let prediction = row.prediction.as_ref();
    prediction.map_or_else(
        || format!("row {}", index + 1),
        |prediction| prediction.manifest.name.clone(),
    )
}
