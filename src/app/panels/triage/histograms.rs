//! How often which numbers occur; a range of them can be kept, by a drag or in figures.

use egui::{ComboBox, DragValue, Ui};
use egui_plot::{Bar, BarChart, PlotBounds, VLine};

use super::TriageState;
use crate::app::panels::bottom_panel;
use crate::app::theme;
use crate::session::Triage;
use crate::triage::Histogram;
use crate::triage::query::{ComparisonOperator, Filter, NumberColumn};

/// Draws the chosen histogram of the selected pictures.
pub(super) fn show(ui: &mut Ui, triage: &mut Triage, memory: &mut TriageState) {
    let columns = &memory.columns;
    let Some(&column) = columns.get(triage.histogram).or(columns.first()) else {
        ui.label(theme::weak("No values yet"));
        return;
    };
    let counted = memory.histogram.as_ref();
    if counted.is_none_or(|(of, _)| *of != column) {
        let table = &memory.contents.table;
        let histogram = Histogram::of(table, &memory.selection, column);
        memory.range = histogram.as_ref().map_or([0.0; 2], Histogram::reach);
        memory.histogram = Some((column, histogram));
    }
    let Some((_, histogram)) = memory.histogram.clone() else {
        return;
    };
    let mut kept = None;
    ui.horizontal(|ui| {
        choice(ui, triage, &memory.columns, column);
        if let Some(histogram) = &histogram {
            kept = fields(ui, histogram, &mut memory.range);
        }
    });
    let Some(histogram) = histogram else {
        ui.label(theme::weak("None of the selected pictures has this value"));
        return;
    };
    let dragged = bars(ui, &histogram, &mut memory.dragged);
    if let Some([from, to]) = dragged.or(kept) {
        let bound = |comparison, value: f64| Filter::Number(column, comparison, value as f32);
        let query = memory
            .query(triage)
            .and(bound(ComparisonOperator::AtLeast, from))
            .and(bound(ComparisonOperator::AtMost, to));
        triage.query = query.to_string();
    }
}

fn choice(ui: &mut Ui, triage: &mut Triage, columns: &[NumberColumn], column: NumberColumn) {
    ComboBox::from_id_salt("histogram")
        .width(220.0)
        .selected_text(column.to_string())
        .show_ui(ui, |ui| {
            for (index, other) in columns.iter().enumerate() {
                ui.selectable_value(&mut triage.histogram, index, other.to_string());
            }
        });
}

/// The range in figures; it is returned when it is to be kept.
fn fields(ui: &mut Ui, histogram: &Histogram, range: &mut [f64; 2]) -> Option<[f64; 2]> {
    ui.label("from");
    for (end, word) in [(0, "to"), (1, "")] {
        let field = DragValue::new(&mut range[end])
            .speed(histogram.width)
            .max_decimals(4);
        ui.add(field);
        ui.label(word);
    }
    let sound = range[0] <= range[1];
    let keep = ui
        .add_enabled(sound, egui::Button::new("Keep"))
        .on_hover_text(
            "Select only the pictures in this range; a drag over the bars does the same",
        );
    keep.clicked().then_some(*range)
}

/// Draws the bars; returns the range that a drag over them ended with.
fn bars(ui: &mut Ui, histogram: &Histogram, dragged: &mut Option<f64>) -> Option<[f64; 2]> {
    let color = match histogram.column.side() {
        Some(side) => theme::row_color(side),
        None => ui.visuals().text_color(),
    };
    let bars = histogram.counts.iter().enumerate().map(|(bin, &count)| {
        let [from, to] = histogram.range(bin);
        let bar = Bar::new((from + to) / 2.0, count as f64).width((to - from) * 0.95);
        bar.fill(color)
    });
    let most = histogram.counts.iter().max().copied().unwrap_or(1) as f64;
    let chart = BarChart::new(histogram.column.to_string(), bars.collect())
        .color(color)
        .element_formatter(Box::new(|bar, _| {
            format!("{:.3}: {}", bar.argument, bar.value)
        }));
    let mut range = None;
    let plot = bottom_panel::plot(ui, "histogram").show_grid([false, true]);
    plot.show(ui, |plot| {
        let [low, high] = histogram.reach();
        plot.set_plot_bounds(PlotBounds::from_min_max([low, 0.0], [high, most * 1.05]));
        plot.bar_chart(chart);
        let at = plot.pointer_coordinate().map(|point| point.x);
        let response = plot.response();
        let (started, stopped) = (response.drag_started(), response.drag_stopped());
        if started {
            *dragged = at;
        }
        let (Some(from), Some(to)) = (*dragged, at) else {
            return;
        };
        for x in [from, to] {
            plot.vline(VLine::new("range", x));
        }
        if stopped {
            *dragged = None;
            range = Some([from.min(to), from.max(to)]);
        }
    });
    range
}
