//! Presentation mode: what the room sees besides the grid.

use egui::{Align2, Color32, Context, FontId, Id, LayerId, Order, Stroke, Ui};

use crate::app::commands::Command;
use crate::app::theme;
use crate::session::{PresentationState, State};

/// Height of the screen in points: what is 13 points high is then legible from the last row.
const HEIGHT: f32 = 540.0;
/// Radius of the spotlight, in points.
const SPOT: f32 = 90.0;

/// Magnifies everything so that the screen has the height that a room can read.
pub fn magnify(ctx: &Context) {
    let height = ctx.content_rect().height() * ctx.zoom_factor();
    let zoom = (height / HEIGHT).clamp(1.0, 5.0);
    // Rounding makes it another number in every frame, and every change asks for a frame.
    if (zoom - ctx.zoom_factor()).abs() > 0.02 {
        ctx.set_zoom_factor(zoom);
    }
}

/// Draws the name of the view and its note.
pub fn title(ui: &mut Ui, state: &State, presenting: PresentationState) {
    let Some(view) = state.document.bookmarks.get(presenting.view) else {
        return;
    };
    ui.horizontal(|ui| {
        ui.heading(&view.name);
        ui.label(theme::weak(&view.note));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            let place = format!(
                "{} / {}",
                presenting.view + 1,
                state.document.bookmarks.len()
            );
            ui.label(theme::weak(place));
        });
    });
}

/// Draws what lies over everything: the spotlight, or blackness.
pub fn overlay(ctx: &Context, presenting: PresentationState) {
    let painter = ctx.layer_painter(LayerId::new(Order::Debug, Id::unique("presentation")));
    let screen = ctx.content_rect();
    if presenting.black {
        painter.rect_filled(screen, 0.0, Color32::BLACK);
        return;
    }
    let pointer = ctx.input(|input| input.pointer.hover_pos());
    if let Some(pointer) = pointer.filter(|_| presenting.spotlight) {
        // A ring so broad that it covers all of the screen but its middle.
        let breadth = 2.0 * screen.size().length();
        let stroke = Stroke::new(breadth, Color32::from_black_alpha(170));
        painter.circle_stroke(pointer, SPOT + breadth / 2.0, stroke);
    }
}

/// Says what there is to press, for the first seconds.
pub fn hint(ctx: &Context, seconds: f64) {
    if seconds > 4.0 {
        return;
    }
    ctx.request_repaint_after_secs(1.0);
    let painter = ctx.layer_painter(LayerId::new(
        Order::Tooltip,
        Id::unique("presentation hint"),
    ));
    let screen = ctx.content_rect();
    let keys = [
        Command::PresentedView(1),
        Command::Black,
        Command::Spotlight,
        Command::Divider,
        Command::Fill,
        Command::PresentedTimeline,
        Command::EndPresentation,
    ]
    .map(|command| format!("{}: {}", command.shortcut(ctx), command.name()));
    let at = screen.center_bottom() - egui::vec2(0.0, 24.0);
    let color = ctx.global_style().visuals.strong_text_color();
    let galley = painter.layout_no_wrap(keys.join(" · "), FontId::proportional(14.0), color);
    let area = Align2::CENTER_CENTER.anchor_size(at, galley.size());
    let ground = ctx.global_style().visuals.extreme_bg_color;
    painter.rect_filled(area.expand(8.0), 6.0, ground);
    painter.galley(area.min, galley, color);
}
