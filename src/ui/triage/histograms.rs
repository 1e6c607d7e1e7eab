//! How often which numbers occur; a drag keeps a range.

use egui::{ComboBox, Ui};
use egui_plot::{Bar, BarChart, PlotBounds, VLine};

use super::super::{bottom, theme};
use super::Memory;
use crate::state::Triage;
use crate::triage::Query;
use crate::triage::query::{Comparison, Filter, NumberColumn};

/// Bars of a histogram.
const BINS: usize = 40;

/// Draws the chosen histogram of the selected pictures.
pub(super) fn show(ui: &mut Ui, triage: &mut Triage, memory: &mut Memory) {
    let table = memory.contents.table.clone();
    let known = |column: &NumberColumn| {
        let mut records = table.records.iter();
        records.any(|record| column.of(record).is_some())
    };
    let columns = NumberColumn::all(table.subjects.len()).into_iter();
    let columns: Vec<NumberColumn> = columns.filter(known).collect();
    let Some(&column) = columns.get(triage.histogram).or(columns.first()) else {
        ui.label(theme::weak("No numbers yet"));
        return;
    };
    ui.horizontal(|ui| {
        ComboBox::from_id_salt("histogram")
            .width(220.0)
            .selected_text(column.to_string())
            .show_ui(ui, |ui| {
                for (index, other) in columns.iter().enumerate() {
                    ui.selectable_value(&mut triage.histogram, index, other.to_string());
                }
            });
        ui.label(theme::weak(
            "of the selected pictures; drag over a range to keep only its pictures",
        ));
    });
    let selected = memory.selection.iter().map(|&index| &table.records[index]);
    let values: Vec<f32> = selected.filter_map(|record| column.of(record)).collect();
    let Some((low, width, counts)) = binned(&values) else {
        ui.label(theme::weak("None of the selected pictures has this number"));
        return;
    };
    let bars = counts.iter().enumerate().map(|(bin, &count)| {
        Bar::new(low + (bin as f64 + 0.5) * width, count as f64).width(width * 0.95)
    });
    let most = counts.iter().max().copied().unwrap_or(1) as f64;
    let chart = BarChart::new(column.to_string(), bars.collect())
        .color(ui.visuals().selection.bg_fill)
        .element_formatter(Box::new(|bar, _| {
            format!("{:.3}: {}", bar.argument, bar.value)
        }));
    let mut range = None;
    let dragged = &mut memory.dragged;
    bottom::plot(ui, "histogram").show(ui, |plot| {
        let end = low + width * counts.len() as f64;
        plot.set_plot_bounds(PlotBounds::from_min_max([low, 0.0], [end, most * 1.05]));
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
    if let Some([from, to]) = range {
        let bound = |comparison, value: f64| Filter::Number(column, comparison, value as f32);
        let query = Query::parse(&triage.query, &table.vocabulary()).unwrap_or_default();
        let query = query
            .and(bound(Comparison::AtLeast, from))
            .and(bound(Comparison::AtMost, to));
        triage.query = query.to_string();
    }
}

/// Where the first bin begins, how broad each is, and how many values are in each.
fn binned(values: &[f32]) -> Option<(f64, f64, Vec<usize>)> {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let low = f64::from(finite().reduce(f32::min)?);
    let high = f64::from(finite().reduce(f32::max)?);
    let width = ((high - low) / BINS as f64).max(1e-6);
    let mut counts = vec![0; BINS];
    for value in finite() {
        let bin = ((f64::from(value) - low) / width) as usize;
        counts[bin.min(BINS - 1)] += 1;
    }
    Some((low, width, counts))
}
