//! The panel at the bottom: its tabs, and what its plots have in common.

use egui::{Sense, Ui};
use egui_plot::{Corner, Legend, Line, LineStyle, Plot, PlotPoints, PlotUi, Points, VLine};

use crate::app::commands::Command;
use crate::app::theme;
use crate::session::Bottom;

/// Draws the tabs at the beginning of the panel's first line.
pub fn tabs(ui: &mut Ui, bottom: &mut Bottom) {
    for tab in Bottom::ALL {
        let hint = match tab {
            Bottom::Epsilon => "Confidence of every model against ε",
            Bottom::Corruption => {
                "Confidence of every model against the severity of noise, blur, weather and compression"
            }
            Bottom::Synthesis => "Loss or score of the syntheses by iteration (column Synthesis)",
            Bottom::Counterfactual => {
                "Discriminator confidence from the picture to its counterfactual (columns Counterfactual, Change, Cycle)"
            }
            Bottom::Units => "Activation of each unit by the open picture",
        };
        ui.selectable_value(bottom, tab, tab.name())
            .on_hover_text(hint);
    }
    ui.separator();
}

/// The button that plays along the timeline, or pauses.
pub fn play_button(ui: &mut Ui, playing: &mut bool, about: &str) {
    let text = if *playing { "Pause" } else { "Play" };
    let about = Command::PlayEpsilon.tooltip(ui.ctx(), about);
    if ui.button(text).on_hover_text(about).clicked() {
        *playing = !*playing;
    }
}

/// The value that a press or drag chooses on a plot against one setting: a line at `value`, curves by `draw`.
pub fn scrub<'a>(
    ui: &mut Ui,
    plot: Plot<'a>,
    range: f64,
    (name, value): (&'a str, f32),
    draw: impl FnOnce(&mut PlotUi<'a>) + 'a,
) -> Option<f32> {
    let plot = plot
        .default_x_bounds(0.0, range)
        .default_y_bounds(0.0, 1.0)
        .include_x(range)
        .y_axis_formatter(|mark, _| format!("{:.0} %", mark.value * 100.0));
    let response = plot.show(ui, move |plot| {
        plot.set_plot_bounds_x(0.0..=range);
        plot.set_plot_bounds_y(-0.03..=1.03);
        draw(plot);
        let color = plot.ctx().global_style().visuals.strong_text_color();
        let cursor = VLine::new(name, f64::from(value)).color(color);
        plot.add(cursor.width(2.0).allow_hover(false));
        plot.pointer_coordinate()
    });
    let held = response.response.dragged()
        || response.response.drag_stopped()
        || response.response.clicked()
        || response.response.is_pointer_button_down_on();
    response
        .response
        .on_hover_cursor(egui::CursorIcon::ResizeHorizontal);
    response.inner.filter(|_| held).map(|point| point.x as f32)
}

/// A row's curve with a mark at every value, and a dotted line where its prediction flips.
pub fn curve(
    plot: &mut PlotUi<'_>,
    index: usize,
    name: &str,
    points: Vec<[f64; 2]>,
    flip: Option<f32>,
) {
    let color = theme::row_color(index);
    let line = Line::new(name.to_owned(), PlotPoints::from(points.clone()));
    plot.line(line.color(color).width(2.0));
    let marks = Points::new(name.to_owned(), PlotPoints::from(points));
    plot.points(marks.color(color).radius(2.5));
    if let Some(flip) = flip {
        let line = VLine::new(name.to_owned(), f64::from(flip)).color(color);
        plot.add(line.style(LineStyle::dotted_dense()).width(1.5));
    }
}

/// A plot over all the room that is left, on which a press or drag chooses a place instead of moving
/// the plot.
pub fn plot<'a>(ui: &Ui, name: &str) -> Plot<'a> {
    Plot::new(name)
        .height(ui.available_height())
        .allow_zoom(false)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .set_margin_fraction(egui::vec2(0.0, 0.06))
        .sense(Sense::click_and_drag())
        .legend(Legend::default().position(Corner::RightTop))
        .label_formatter(|_| None)
}
