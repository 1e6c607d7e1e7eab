//! The strip under a map: what its colours mean and how far it can be trusted.

use std::sync::Arc;

use egui::{Align2, FontId, Mesh, Rect, Sense, Shape, Ui, pos2, vec2};
use egui_plot::{Line, Plot, PlotPoints};

use crate::app::theme;
use crate::attribution::{Curves, RANDOMISED};
use crate::compute::{AttributionResult, HeatStyle, short};
use crate::session::Likeness;

/// Height of the colour bar with its numbers, in points.
const BAR: f32 = 24.0;
/// Least and most height of the curves in the strip, in points.
const CURVES: std::ops::RangeInclusive<f32> = 36.0..=80.0;
/// Size of the curves when they are looked at closely, in points.
const CLOSE: egui::Vec2 = vec2(280.0, 160.0);
/// Height of a line of text, in points.
const LINE: f32 = 14.0;

/// What stands under a map.
pub struct Strip<'a> {
    /// The map.
    pub map: &'a Arc<AttributionResult>,
    /// Where its colours end.
    pub scale: f32,
    /// What it is compared with, in words, and how alike they are.
    pub likenesses: Vec<(String, Likeness)>,
    /// Points left for the curves; with too few they show when the pointer asks for them.
    pub room: f32,
}

/// Height of the strip in points, without the curves themselves.
pub fn height(checks: crate::session::Checks) -> f32 {
    let lines = 3 + u8::from(checks.curves) + u8::from(checks.sanity);
    BAR + f32::from(lines) * LINE
}

/// Draws the strip.
pub fn show(ui: &mut Ui, width: f32, style: &HeatStyle, strip: &Strip) {
    let map = strip.map;
    ui.spacing_mut().item_spacing.y = 1.0;
    let channels = map.attribution.channels;
    color_bar(ui, width, style, style.number(strip.scale, channels));
    let quality = quality(map);
    if !quality.is_empty() {
        line(ui, &quality).on_hover_text(
            "Gap: how far the values are from adding up to the score they explain, as a share of it. ±: Monte-Carlo standard error of the map, as a share of its length.",
        );
    }
    for (with, likeness) in &strip.likenesses {
        let text = format!(
            "ρ {:.2} · SSIM {:.2} {with}",
            likeness.spearman, likeness.ssim
        );
        line(ui, &text).on_hover_text(
            "How alike two maps are: Spearman's rank correlation of the pixels, and structural similarity (Wang et al. 2004); 1 for equal maps",
        );
    }
    if let Some(curves) = map.curves.get() {
        show_curves(ui, vec2(width, strip.room), map, curves);
    }
    if let Some(found) = map.sanity.get() {
        let numbers: Vec<String> = found.iter().map(|rho| format!("{rho:.2}")).collect();
        line(ui, &format!("randomised: ρ {}", numbers.join(", "))).on_hover_text(format!(
            "Rank correlation with the same map of the model after replacing by noise: {}. A map that explains the model loses its likeness (Adebayo et al. 2018).",
            RANDOMISED.join(", ")
        ));
    }
}

fn line(ui: &mut Ui, text: &str) -> egui::Response {
    ui.add(egui::Label::new(theme::weak(text)).truncate())
}

/// Completeness and sampling error, as far as they are known.
fn quality(map: &AttributionResult) -> String {
    let mut parts = Vec::new();
    if !map.finished() {
        parts.push(format!("{:.0} %", map.progress * 100.0));
    }
    if let Some(gap) = map.attribution.gap {
        parts.push(format!("gap {}", percent(gap.relative() as f32)));
    }
    if let Some(error) = map.attribution.relative_error() {
        parts.push(format!("± {}", percent(error)));
    }
    parts.join(" · ")
}

fn percent(share: f32) -> String {
    if share > 10.0 {
        "> 1000 %".into()
    } else if share >= 0.1 {
        format!("{:.0} %", share * 100.0)
    } else {
        format!("{:.1} %", share * 100.0)
    }
}

/// The palette from one end of the scale to the other, with numbers.
fn color_bar(ui: &mut Ui, width: f32, style: &HeatStyle, end: f32) {
    let (area, response) = ui.allocate_exact_size(vec2(width, BAR), Sense::hover());
    let bar = Rect::from_min_size(area.min + vec2(0.0, 2.0), vec2(width, 8.0));
    let mut mesh = Mesh::default();
    let steps = 64;
    for step in 0..=steps {
        let share = step as f32 / steps as f32;
        let [r, g, b] = style.bar(share).map(|v| (v * 255.0).round() as u8);
        let color = egui::Color32::from_rgb(r, g, b);
        let x = bar.left() + share * bar.width();
        mesh.colored_vertex(pos2(x, bar.top()), color);
        mesh.colored_vertex(pos2(x, bar.bottom()), color);
        if step > 0 {
            let last = 2 * step;
            mesh.add_triangle(last - 2, last - 1, last);
            mesh.add_triangle(last - 1, last, last + 1);
        }
    }
    ui.painter().add(Shape::mesh(mesh));
    let places = [Align2::LEFT_TOP, Align2::CENTER_TOP, Align2::RIGHT_TOP];
    for ((number, align), share) in style
        .bar_numbers(end)
        .into_iter()
        .zip(places)
        .zip([0.0, 0.5, 1.0])
    {
        let at = pos2(bar.left() + share * width, bar.bottom() + 1.0);
        let color = ui.visuals().weak_text_color();
        let text = short(number);
        ui.painter()
            .text(at, align, text, FontId::proportional(10.0), color);
    }
    response.on_hover_text(format!(
        "Attribution per pixel that the colours stand for. They end at the {} percentile of the magnitudes{}.",
        style.percentile,
        if style.locked {
            " of the map where that is largest: all maps share one scale"
        } else {
            ""
        }
    ));
}

/// The areas, and the curves where there is room for them.
fn show_curves(ui: &mut Ui, room: egui::Vec2, map: &AttributionResult, curves: &Curves) {
    if room.y >= *CURVES.start() {
        let size = vec2(room.x, room.y.min(*CURVES.end()));
        draw_curves(ui, size, map, curves);
    }
    let [deletion, insertion] = theme::CURVES;
    let numbers = ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        for (name, area, color) in [
            ("deletion", curves.deletion_area(), deletion),
            ("insertion", curves.insertion_area(), insertion),
        ] {
            let text = egui::RichText::new(format!("{name} {area:.2}"));
            ui.label(text.size(11.0).color(color));
        }
    });
    numbers.response.on_hover_ui(|ui| {
        ui.label("The class's probability while the pixels of highest attribution are deleted, or inserted into the blurred picture; the numbers are the areas under the curves. A faithful map has a low deletion and a high insertion area (Petsiuk et al. 2018).");
        draw_curves(ui, CLOSE, map, curves);
    });
}

fn draw_curves(ui: &mut Ui, size: egui::Vec2, map: &AttributionResult, curves: &Curves) {
    let points = |curve: &[f32]| -> Vec<[f64; 2]> {
        let last = curve.len().saturating_sub(1).max(1) as f64;
        let point = |(at, &value): (usize, &f32)| [at as f64 / last, f64::from(value)];
        curve.iter().enumerate().map(point).collect()
    };
    let request = &map.request;
    let close = size == CLOSE;
    let [deletion, insertion] = theme::CURVES;
    Plot::new(("curves", &request.model, request.epsilon.to_bits(), close))
        .width(size.x)
        .height(size.y)
        .show_axes(close)
        .show_grid(close)
        .allow_zoom(false)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .include_y(0.0)
        .include_y(1.0)
        .label_formatter(|_| None)
        .show(ui, |plot| {
            for (name, curve, color) in [
                ("deletion", &curves.deletion, deletion),
                ("insertion", &curves.insertion, insertion),
            ] {
                let line = Line::new(name, PlotPoints::from(points(curve)));
                plot.line(line.color(color).width(1.5));
            }
        });
}
