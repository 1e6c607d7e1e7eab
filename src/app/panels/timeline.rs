//! One scrubber for ε, over the confidence of every model against ε.

use egui::Ui;
use egui_plot::{Line, LineStyle, PlotPoints, Points, VLine};

use super::bottom_panel;
use crate::app::commands::Command;
use crate::app::theme;
use crate::attack::Goal;
use crate::session::{Row, State};

/// Draws the timeline; a press or drag sets ε.
pub fn show(ui: &mut Ui, state: &mut State, rows: &[Row]) {
    ui.horizontal(|ui| {
        bottom_panel::tabs(ui, &mut state.settings.display.bottom);
        let text = if state.transient.playing {
            "Pause"
        } else {
            "Play"
        };
        if ui
            .button(text)
            .on_hover_text(Command::PlayEpsilon.tooltip(ui.ctx(), "Play ε along the timeline"))
            .clicked()
        {
            state.transient.playing = !state.transient.playing;
        }
        ui.strong(format!(
            "ε {}",
            state
                .settings
                .attack
                .norm
                .format(state.settings.attack.epsilon)
        ));
        let about = match state.settings.attack.goal {
            Goal::Untargeted => "confidence in the original class",
            Goal::Targeted(_) => "confidence in the target class",
        };
        let fakeness = if rows.iter().any(|row| !row.fakeness().is_empty()) {
            " · dashed: fakeness"
        } else {
            ""
        };
        let what = format!(
            "{} · {about} against ε · dotted: where the prediction flips{fakeness}",
            state.settings.attack.norm
        );
        ui.add(egui::Label::new(theme::weak(what)).truncate());
    });
    let range = f64::from(state.range());
    let norm = state.settings.attack.norm;
    let axis = move |epsilon: f64| norm.format(epsilon as f32);
    let plot = bottom_panel::plot(ui, "timeline")
        .default_x_bounds(0.0, range)
        .default_y_bounds(0.0, 1.0)
        .include_x(range)
        .x_axis_formatter(move |mark, _| axis(mark.value))
        .y_axis_formatter(|mark, _| format!("{:.0} %", mark.value * 100.0));
    let response = plot.show(ui, |plot| {
        plot.set_plot_bounds_x(0.0..=range);
        plot.set_plot_bounds_y(-0.03..=1.03);
        for (index, row) in rows.iter().enumerate() {
            draw_row(plot, state, index, row);
        }
        let cursor = VLine::new("ε", f64::from(state.settings.attack.epsilon));
        plot.add(
            cursor
                .color(plot.ctx().global_style().visuals.strong_text_color())
                .width(2.0)
                .allow_hover(false),
        );
        plot.pointer_coordinate()
    });
    let held = response.response.dragged()
        || response.response.drag_stopped()
        || response.response.clicked()
        || response.response.is_pointer_button_down_on();
    if held && let Some(point) = response.inner {
        state.transient.playing = false;
        state.set_epsilon(point.x as f32);
    }
    response
        .response
        .on_hover_cursor(egui::CursorIcon::ResizeHorizontal);
}

fn draw_row<'a>(plot: &mut egui_plot::PlotUi<'a>, state: &State, index: usize, row: &Row) {
    let Some(prediction) = &row.prediction else {
        return;
    };
    let color = theme::row_color(index);
    let name = prediction.manifest.name.clone();
    let curve = row.curve(&state.settings.attack);
    plot.line(
        Line::new(name.clone(), PlotPoints::from(curve.clone()))
            .color(color)
            .width(2.0),
    );
    plot.points(
        Points::new(name.clone(), PlotPoints::from(curve))
            .color(color)
            .radius(2.5),
    );
    let fakeness = row.fakeness();
    if !fakeness.is_empty() {
        let line = Line::new(format!("{name}: fake"), PlotPoints::from(fakeness));
        plot.line(
            line.color(color)
                .style(LineStyle::dashed_dense())
                .width(1.5),
        );
    }
    if let Some(epsilon) = row.flip(&state.settings.attack) {
        let line = VLine::new(name, f64::from(epsilon))
            .color(color)
            .style(LineStyle::dotted_dense());
        plot.add(line.width(1.5));
    }
}
