//! One scrubber for ε, over the confidence of every model against ε.

use egui::Ui;
use egui_plot::{Line, LineStyle, PlotPoints};

use super::bottom_panel;
use crate::app::theme;
use crate::attack::Goal;
use crate::session::{Row, State};

/// Draws the timeline; a press or drag sets ε.
pub fn show(ui: &mut Ui, state: &mut State, rows: &[Row]) {
    ui.horizontal(|ui| {
        bottom_panel::tabs(ui, &mut state.settings.display.bottom);
        let playing = &mut state.transient.playing;
        bottom_panel::play_button(ui, playing, "Play ε along the timeline");
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
    let plot = bottom_panel::plot(ui, "timeline").x_axis_formatter(move |mark, _| axis(mark.value));
    let epsilon = state.settings.attack.epsilon;
    let chosen = bottom_panel::scrub(ui, plot, range, ("ε", epsilon), |plot| {
        for (index, row) in rows.iter().enumerate() {
            draw_row(plot, state, index, row);
        }
    });
    if let Some(epsilon) = chosen {
        state.transient.playing = false;
        state.set_epsilon(epsilon);
    }
}

fn draw_row(plot: &mut egui_plot::PlotUi<'_>, state: &State, index: usize, row: &Row) {
    let Some(prediction) = &row.prediction else {
        return;
    };
    let attack = &state.settings.attack;
    let name = &prediction.manifest.name;
    bottom_panel::curve(plot, index, name, row.curve(attack), row.flip(attack));
    let fakeness = row.fakeness();
    if !fakeness.is_empty() {
        let line = Line::new(format!("{name}: fake"), PlotPoints::from(fakeness));
        plot.line(
            line.color(theme::row_color(index))
                .style(LineStyle::dashed_dense())
                .width(1.5),
        );
    }
}
