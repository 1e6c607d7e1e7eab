//! Pictures as points: near each other where a model represents them alike. A lasso selects.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use egui::ecolor::Hsva;
use egui::{Color32, ComboBox, DragValue, Key, Ui};
use egui_plot::{Legend, Line, Plot, PlotPoint, PlotPoints, Points, Polygon};

use super::TriageState;
use crate::app::panels::Action;
use crate::app::theme;
use crate::session::Triage;
use crate::triage::Table;
use crate::triage::map::{Layout, Point};
use crate::triage::query::ClassColumn;
use crate::triage::reader::Mapped;

/// Arrows drawn at the most; more are a thicket.
const MOST_ARROWS: usize = 500;
/// Points drawn at the most, evenly taken; more take longer than a frame. A lasso selects from all.
const MOST_POINTS: usize = 10_000;

/// Draws the map of the selected pictures.
pub(super) fn show(
    ui: &mut Ui,
    triage: &mut Triage,
    memory: &mut TriageState,
    actions: &mut Vec<Action>,
) {
    let table = memory.contents.table.clone();
    ui.horizontal(|ui| settings(ui, triage, memory, &table, actions));
    let Some(mapped) = memory.mapped.clone() else {
        ui.label(theme::weak(
            "Draw the map of a scan that kept the representations (“New scan”, or epsiloscope scan --map)",
        ));
        return;
    };
    let color = coloring(triage, &table);
    let mut groups: BTreeMap<Option<usize>, Vec<&Point>> = BTreeMap::new();
    if memory.shown.is_none() {
        memory.shown = Some(shown(memory, &mapped));
    }
    let points = memory.shown.clone().unwrap_or_default();
    keys(ui, triage, &points, actions);
    let chosen = points
        .iter()
        .find(|point| Some(point.record) == triage.chosen);
    for point in points.iter() {
        let class = color.of(&table.records[point.record]);
        groups.entry(class).or_default().push(point);
    }
    let grey = ui.visuals().weak_text_color();
    let strong = ui.visuals().strong_text_color();
    let lasso = &mut memory.lasso;
    let mut closed = None;
    let mut clicked = None;
    Plot::new("map")
        .height(ui.available_height())
        .data_aspect(1.0)
        .show_axes(false)
        .allow_drag(false)
        .allow_boxed_zoom(false)
        .legend(Legend::default())
        .label_formatter(|_| None)
        .show(ui, |plot| {
            for (class, points) in &groups {
                let places = points.iter().map(|point| point.clean.map(f64::from));
                let places: PlotPoints = places.collect();
                let name = class.map_or("not known", |class| &table.classes[class]);
                let points = Points::new(name, places).radius(2.5);
                plot.points(points.color(class_color(*class)));
            }
            if triage.arrows {
                for point in groups.values().flatten().take(MOST_ARROWS) {
                    let Some(attacked) = point.attacked else {
                        continue;
                    };
                    let way =
                        PlotPoints::from(vec![point.clean.map(f64::from), attacked.map(f64::from)]);
                    plot.line(Line::new("attacked", way).width(0.7).color(grey));
                }
            }
            if let Some(chosen) = chosen {
                let place = PlotPoints::from(vec![chosen.clean.map(f64::from)]);
                let ring = Points::new("chosen", place).radius(7.0).filled(false);
                plot.points(ring.color(strong));
            }
            if !lasso.is_empty() {
                let corners: PlotPoints = lasso.iter().copied().collect();
                plot.polygon(Polygon::new("lasso", corners));
            }
            let at = plot.pointer_coordinate().map(|at| [at.x, at.y]);
            let response = plot.response();
            if response.drag_started() {
                lasso.clear();
            }
            if response.dragged() {
                lasso.extend(at);
            }
            if response.drag_stopped() {
                closed = Some(std::mem::take(lasso));
            }
            if response.clicked() {
                clicked = at;
            }
        });
    if let Some(corners) = closed.filter(|corners| corners.len() > 2) {
        let inside = mapped
            .points
            .iter()
            .filter(|point| contains(&corners, point.clean));
        memory.lassoed = Some(inside.map(|point| point.record).collect());
        memory.stale = true;
    }
    if let Some([x, y]) = clicked {
        let place = PlotPoint::new(x, y);
        let distance = |point: &&Point| {
            let [px, py] = point.clean.map(f64::from);
            (px - place.x).powi(2) + (py - place.y).powi(2)
        };
        let nearest = points
            .iter()
            .min_by(|a, b| distance(a).total_cmp(&distance(b)));
        triage.chosen = nearest.map(|point| point.record);
    }
}

/// Arrow keys go to the nearest point on that side, Enter opens it.
fn keys(ui: &Ui, triage: &mut Triage, points: &[Point], actions: &mut Vec<Action>) {
    if ui.ctx().egui_wants_keyboard_input() {
        return;
    }
    let pressed = |key: Key| ui.input(|input| input.key_pressed(key));
    let ways = [
        (Key::ArrowRight, [1.0, 0.0]),
        (Key::ArrowLeft, [-1.0, 0.0]),
        (Key::ArrowUp, [0.0, 1.0]),
        (Key::ArrowDown, [0.0, -1.0]),
    ];
    if let Some((_, way)) = ways.into_iter().find(|(key, _)| pressed(*key)) {
        let at = points
            .iter()
            .find(|point| Some(point.record) == triage.chosen);
        let next = match at {
            Some(at) => beside(points, at, way),
            None => points.first(),
        };
        triage.chosen = next.map(|point| point.record).or(triage.chosen);
    }
    if let Some(chosen) = triage.chosen.filter(|_| pressed(Key::Enter)) {
        actions.push(Action::Explore(chosen));
    }
}

/// The nearest point that lies that way more than aside.
fn beside<'a>(points: &'a [Point], at: &Point, [x, y]: [f32; 2]) -> Option<&'a Point> {
    let distance = |point: &Point| {
        let [dx, dy] = [0, 1].map(|axis| point.clean[axis] - at.clean[axis]);
        let (along, aside) = (dx * x + dy * y, (dx * y - dy * x).abs());
        (along > aside).then_some(dx * dx + dy * dy)
    };
    let there = points
        .iter()
        .filter_map(|point| Some((distance(point)?, point)));
    let nearest = there.min_by(|a, b| a.0.total_cmp(&b.0));
    nearest.map(|(_, point)| point)
}

/// The pictures around the chosen one, itself among them.
fn around(mapped: &Mapped, chosen: usize, count: usize) -> Option<HashSet<usize>> {
    let centre = mapped.points.iter().find(|point| point.record == chosen)?;
    let distance = |point: &&Point| {
        let [dx, dy] = [0, 1].map(|axis| point.clean[axis] - centre.clean[axis]);
        dx * dx + dy * dy
    };
    let mut points: Vec<&Point> = mapped.points.iter().collect();
    points.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
    let nearest = points.into_iter().take(count);
    Some(nearest.map(|point| point.record).collect())
}

/// The points of the selected pictures, or of some of them.
fn shown(memory: &TriageState, mapped: &Mapped) -> Arc<[Point]> {
    let points = mapped.points.iter().copied();
    let selected = |point: &Point| memory.selected.get(point.record) == Some(&true);
    let points: Vec<Point> = points.filter(selected).collect();
    let apart = points.len().div_ceil(MOST_POINTS).max(1);
    points.into_iter().step_by(apart).collect()
}

/// The colour of a class, the same whichever others are shown: hues a golden section apart.
fn class_color(class: Option<usize>) -> Color32 {
    match class {
        Some(class) => Hsva::new((class as f32 * 0.618_034).fract(), 0.65, 0.9, 1.0).into(),
        None => Color32::GRAY,
    }
}

/// What the points are coloured by.
fn coloring(triage: &Triage, table: &Table) -> ClassColumn {
    let columns = ClassColumn::all(table.subjects.len());
    let chosen = columns.get(triage.coloring).copied();
    chosen.unwrap_or(ClassColumn::Truth)
}

fn settings(
    ui: &mut Ui,
    triage: &mut Triage,
    memory: &mut TriageState,
    table: &Table,
    actions: &mut Vec<Action>,
) {
    let name = |side: usize| {
        table
            .subjects
            .get(side)
            .map_or("?", |subject| &subject.name)
    };
    ComboBox::from_id_salt("map of")
        .selected_text(name(triage.map_of))
        .show_ui(ui, |ui| {
            for side in 0..table.own_models() {
                ui.selectable_value(&mut triage.map_of, side, name(side));
            }
        });
    for (text, about, layout) in [
        ("Draw", "Along the two principal components", Layout::Pca),
        (
            "Draw by t-SNE",
            "Keeps neighbourhoods, not the distances between them (van der Maaten and Hinton 2008); takes a while",
            Layout::Tsne,
        ),
    ] {
        let ready = !memory.mapping && triage.map_of < table.own_models();
        let button = ui.add_enabled(ready, egui::Button::new(text));
        if button.on_hover_text(about).clicked() {
            memory.mapping = true;
            actions.push(Action::DrawMap(triage.map_of, layout));
        }
    }
    if memory.mapping {
        ui.spinner();
    }
    ui.label("Colour");
    ComboBox::from_id_salt("colouring")
        .selected_text(coloring(triage, table).to_string())
        .show_ui(ui, |ui| {
            let columns = ClassColumn::all(table.subjects.len());
            for (index, column) in columns.into_iter().enumerate() {
                ui.selectable_value(&mut triage.coloring, index, column.to_string());
            }
        });
    ui.checkbox(&mut triage.arrows, "Attacks")
        .on_hover_text("Lines from each picture to its adversarial picture");
    if let Some(mapped) = &memory.mapped {
        let share = mapped
            .share
            .map(|share| format!("{:.0} % of the variance", 100.0 * share));
        let mut of = format!("{}: {}", name(mapped.side), share.unwrap_or("t-SNE".into()));
        let drawn = memory.shown.as_ref().map_or(0, |points| points.len());
        if drawn * 2 <= memory.selection.len() {
            of += &format!(" · {drawn} of {} drawn", memory.selection.len());
        }
        ui.label(theme::weak(format!("{of} · drag a lasso to select")));
    }
    nearest(ui, triage, memory);
}

/// What selects as a lasso does, without a pointer.
fn nearest(ui: &mut Ui, triage: &Triage, memory: &mut TriageState) {
    ui.add(DragValue::new(&mut memory.near).range(2..=100_000));
    let chosen = memory.mapped.clone().zip(triage.chosen);
    let button = ui.add_enabled(chosen.is_some(), egui::Button::new("nearest"));
    let button = button.on_hover_text(
        "Select so many pictures around the chosen one, as a lasso would; arrow keys choose another",
    );
    if let Some((mapped, chosen)) = chosen.filter(|_| button.clicked()) {
        memory.lassoed = around(&mapped, chosen, memory.near);
        memory.stale = true;
    }
}

/// Whether a point is inside a polygon: an upward ray from it crosses the outline an odd number of times.
fn contains(corners: &[[f64; 2]], point: [f32; 2]) -> bool {
    let [x, y] = point.map(f64::from);
    let next = corners.iter().cycle().skip(1);
    let edges = corners.iter().zip(next);
    let crosses = |(a, b): &(&[f64; 2], &[f64; 2])| {
        let ([ax, ay], [bx, by]) = (**a, **b);
        (ax > x) != (bx > x) && y < (by - ay) * (x - ax) / (bx - ax) + ay
    };
    edges.filter(crosses).count() % 2 == 1
}
