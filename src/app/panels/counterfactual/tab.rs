//! The tab of counterfactuals: how changes are drawn, what the models say, and the way there.

use std::sync::Arc;

use egui::{Grid, Slider, Ui};
use egui_plot::{Line, LineStyle, PlotPoints, VLine};

use super::score;
use crate::app::panels::{Action, bottom_panel};
use crate::app::theme;
use crate::compute::{CounterfactualResult, PredictionResult};
use crate::counterfactual::real_classes;
use crate::session::{ChangeView, Row, State};

/// Width of the table and the scores, in points.
const TABLE: f32 = 330.0;
/// Classes in the table and the plot besides “fake”.
const CLASSES: usize = 3;

/// Draws the tab; a press or drag on the plot goes to that place on the way.
pub fn show(ui: &mut Ui, state: &mut State, rows: &[Row], actions: &mut Vec<Action>) {
    let results = results(state, rows);
    ui.horizontal(|ui| {
        bottom_panel::tabs(ui, &mut state.settings.display.bottom);
        let otsu = results.first().map(|(_, _, result)| result.otsu);
        drawing(ui, state, otsu, actions);
    });
    if results.is_empty() {
        let error = rows.iter().find_map(Row::counterfactual_error);
        ui.label(match error {
            Some(error) => theme::error(ui, error),
            None => theme::weak("generating…"),
        });
        // Or the panel would shrink to this line.
        ui.allocate_space(ui.available_size());
        return;
    }
    ui.horizontal_top(|ui| {
        let height = ui.available_height();
        let layout = egui::Layout::top_down(egui::Align::Min);
        ui.allocate_ui_with_layout(egui::vec2(TABLE, height), layout, |ui| {
            // Filled, so that the panel keeps its height.
            let area = egui::ScrollArea::vertical().auto_shrink(false);
            area.show(ui, |ui| {
                for (index, prediction, result) in &results {
                    if results.len() > 1 {
                        let name = egui::RichText::new(&prediction.manifest.name);
                        ui.label(name.color(theme::row_text(ui, *index)));
                    }
                    table(ui, *index, prediction, result);
                    scores(ui, state, result);
                }
            });
        });
        way(ui, state, &results);
    });
}

type RowResult<'a> = (usize, &'a PredictionResult, &'a Arc<CounterfactualResult>);

fn results<'a>(state: &State, rows: &'a [Row]) -> Vec<RowResult<'a>> {
    let shown = rows.iter().enumerate();
    let shown = shown.filter(|(index, _)| state.settings.display.shows_row(*index));
    shown
        .filter_map(|(index, row)| {
            Some((
                index,
                row.prediction.as_ref()?,
                row.counterfactual.as_ref()?,
            ))
        })
        .collect()
}

/// How changes are drawn; `otsu` is the threshold of the first result, if there is one.
fn drawing(ui: &mut Ui, state: &mut State, otsu: Option<f32>, actions: &mut Vec<Action>) {
    let counterfactual = &mut state.settings.counterfactual;
    ui.label("Change as");
    ui.selectable_value(&mut counterfactual.showing, ChangeView::Heat, "heat")
        .on_hover_text("|x − G(x)| in the colours of the maps, the mask outlined");
    ui.selectable_value(&mut counterfactual.showing, ChangeView::Mask, "mask")
        .on_hover_text("Red: in the mask. With a true mask: pale where wrong, blue what is missed");
    let mut automatic = counterfactual.threshold.is_none();
    let otsu = otsu.unwrap_or(0.05);
    if ui
        .checkbox(&mut automatic, "Otsu")
        .on_hover_text(
            "The threshold that best separates changed from unchanged pixels (Otsu 1979)",
        )
        .changed()
    {
        counterfactual.threshold = (!automatic).then_some(otsu);
    }
    let mut threshold = counterfactual.threshold.unwrap_or(otsu);
    let slider = Slider::new(&mut threshold, 0.0..=1.0)
        .logarithmic(true)
        .smallest_positive(0.001);
    let response = ui
        .add(slider.max_decimals(3))
        .on_hover_text("Change above which a pixel belongs to the mask");
    // A slider also rounds a value that nobody touched.
    let touched = response.dragged() || response.clicked() || response.has_focus();
    if response.changed() && touched {
        counterfactual.threshold = Some(threshold);
    }
    ui.separator();
    if ui
        .button("Mask…")
        .on_hover_text("Choose the true mask of the open picture: white on black. A picture of the same name in a folder beside whose name holds “mask” is found by itself.")
        .clicked()
    {
        actions.push(Action::ChooseMask);
    }
}

/// The discriminator's outputs on the way, its table.
fn table(ui: &mut Ui, index: usize, prediction: &PredictionResult, result: &CounterfactualResult) {
    let labels = &prediction.manifest.labels;
    let outputs = outputs(result, labels);
    let percent =
        |value: Option<&f32>| value.map_or("–".into(), |value| format!("{:.1} %", value * 100.0));
    Grid::new(("counterfactual table", index))
        .num_columns(outputs.len() + 1)
        .spacing([14.0, 2.0])
        .striped(true)
        .show(ui, |ui| {
            ui.label(theme::weak("confidence"));
            for &output in &outputs {
                ui.strong(&labels[output]);
            }
            ui.end_row();
            let back = result.back.as_ref().map(|back| &back.probabilities);
            for (name, seen) in [
                ("picture", result.way.first()),
                ("counterfactual", result.way.last()),
                ("cycle", back),
                ("G's head, picture", result.head.as_ref()),
            ] {
                let Some(seen) = seen else { continue };
                ui.label(name);
                for &output in &outputs {
                    ui.label(percent(seen.get(output)));
                }
                ui.end_row();
            }
        });
}

/// The outputs worth a column: the classes of the question, some more, and “fake”.
fn outputs(result: &CounterfactualResult, labels: &[String]) -> Vec<usize> {
    let classes = real_classes(labels);
    let mut outputs = vec![result.source, result.target];
    outputs.extend((0..classes).take(CLASSES));
    let mut seen = Vec::new();
    for output in outputs {
        if !seen.contains(&output) && seen.len() < CLASSES {
            seen.push(output);
        }
    }
    seen.sort_unstable();
    seen.extend(classes..labels.len());
    seen
}

fn scores(ui: &mut Ui, state: &State, result: &Arc<CounterfactualResult>) {
    let text = match score(state, result) {
        Some(score) => format!(
            "IoU {:.3} · Dice {:.3} · precision {:.3} · recall {:.3}",
            score.iou, score.dice, score.precision, score.recall
        ),
        None => "no true mask of this picture".into(),
    };
    ui.label(text);
}

/// The outputs that a row's curves show: the target solid, the class left dashed, “fake” dotted.
fn curves(result: &CounterfactualResult, labels: &[String]) -> Vec<(usize, LineStyle)> {
    let mut curves = vec![
        (result.target, LineStyle::Solid),
        (result.source, LineStyle::dashed_loose()),
    ];
    let fake = real_classes(labels)..labels.len();
    curves.extend(fake.map(|output| (output, LineStyle::dotted_loose())));
    curves
}

fn way(ui: &mut Ui, state: &mut State, results: &[RowResult]) {
    let plot = bottom_panel::plot(ui, "way").x_axis_label("from the picture to its counterfactual");
    let along = f64::from(state.settings.counterfactual.along);
    let response = plot.show(ui, |plot| {
        plot.set_plot_bounds_x(0.0..=1.0);
        plot.set_plot_bounds_y(-0.02..=1.05);
        for (index, prediction, result) in results {
            for (output, style) in curves(result, &prediction.manifest.labels) {
                let places = result.way.iter().enumerate();
                let point = |(place, seen): (usize, &Vec<f32>)| {
                    [
                        f64::from(result.share(place as f32)),
                        f64::from(seen[output]),
                    ]
                };
                let points: Vec<[f64; 2]> = places.map(point).collect();
                let name = format!("row {}: {}", index + 1, prediction.name(output));
                let line = Line::new(name, PlotPoints::from(points)).style(style);
                plot.line(line.color(theme::row_color(*index)).width(2.0));
            }
            // Without a name, they stay out of the legend.
            for share in result.flip().into_iter().chain(result.sure()) {
                let line = VLine::new("", f64::from(share)).style(LineStyle::dotted_dense());
                plot.add(line.color(theme::row_color(*index)).allow_hover(false));
            }
        }
        let color = plot.ctx().global_style().visuals.strong_text_color();
        let here = VLine::new("shown", along).color(color).width(2.0);
        plot.add(here.allow_hover(false));
        plot.pointer_coordinate()
    });
    let held = response.response.dragged() || response.response.is_pointer_button_down_on();
    if held && let Some(point) = response.inner {
        state.settings.counterfactual.along = point.x.clamp(0.0, 1.0) as f32;
    }
}
