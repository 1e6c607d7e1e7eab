//! The five likeliest classes as bars.

use egui::{Align2, FontId, Rect, Sense, Ui, Vec2, pos2, vec2};

use crate::app::theme;

/// Height of one bar, in points.
pub const BAR: f32 = 14.0;
/// Bars shown.
const SHOWN: usize = 5;
/// Height of [`top5`], in points.
pub const HEIGHT: f32 = BAR * SHOWN as f32;

/// Draws the likeliest classes of `probabilities`; the class `label` is written bold-bright.
pub fn top5(
    ui: &mut Ui,
    width: f32,
    row: usize,
    labels: &[String],
    probabilities: &[f32],
    label: usize,
) {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    let (area, response) = ui.allocate_exact_size(vec2(width, HEIGHT), Sense::hover());
    let visuals = ui.visuals().clone();
    let painter = ui.painter_at(area);
    for (line, &class) in order.iter().take(SHOWN).enumerate() {
        let top = area.top() + line as f32 * BAR;
        let probability = probabilities[class];
        let bar = Rect::from_min_size(
            pos2(area.left(), top + 1.0),
            Vec2::new(width * probability, BAR - 2.0),
        );
        painter.rect_filled(bar, 2.0, theme::row_color(row).gamma_multiply(0.45));
        // Text on a bar needs the contrast.
        let color = if class == label || probability > 0.25 {
            visuals.strong_text_color()
        } else {
            visuals.text_color()
        };
        let font = FontId::proportional(11.0);
        let middle = top + BAR / 2.0;
        let name = labels.get(class).map_or("?", String::as_str);
        let mark = if class == label { "• " } else { "" };
        let percent = painter.text(
            pos2(area.right() - 4.0, middle),
            Align2::RIGHT_CENTER,
            format!("{:.1} %", probability * 100.0),
            font.clone(),
            color,
        );
        // A long name ends where the number begins.
        let room = area.with_max_x(percent.left() - 3.0);
        painter
            .with_clip_rect(room.intersect(painter.clip_rect()))
            .text(
                pos2(area.left() + 4.0, middle),
                Align2::LEFT_CENTER,
                format!("{mark}{name}"),
                font,
                color,
            );
    }
    response.on_hover_text(
        "Softmax over the classes. • marks the class that an untargeted attack leaves: the true one where it is known, else the predicted one.",
    );
}
