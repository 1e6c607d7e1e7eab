//! One picture on the screen: linked zoom and pan, divider, read-out.

use eframe::egui_wgpu::Callback;
use egui::{Color32, CursorIcon, Rect, Response, Sense, Stroke, StrokeKind, Ui, pos2, vec2};

use crate::app::renderer::{Mode, Tile};
use crate::compute::GpuImage;
use crate::session::Display;

/// The pixel under the pointer, shared by all tiles.
pub type Hover = Option<[usize; 2]>;

/// What to draw.
pub struct Content<'a> {
    /// Unlike any other tile's.
    pub id: u64,
    /// The picture.
    pub first: &'a GpuImage,
    /// What it is compared with.
    pub second: &'a GpuImage,
    /// How.
    pub mode: Mode,
    /// Whether the divider can be dragged here.
    pub divider: bool,
    /// Whether a tool draws here, so that only the middle button pans.
    pub draws: bool,
}

/// A tile that was drawn.
pub struct DrawnTile {
    /// The pixel under the pointer.
    pub hover: Hover,
    /// Where it is.
    pub area: Rect,
    /// The part of the picture that is visible: left, top, right, bottom, in shares of it.
    pub window: [f32; 4],
    /// What the pointer does with it.
    pub response: Response,
    /// Whether the divider is being dragged here.
    pub holds_divider: bool,
}

impl DrawnTile {
    /// The share of the picture at a point of the screen.
    pub fn share_at(&self, pointer: egui::Pos2) -> [f32; 2] {
        share_at(self.area, self.window, pointer)
    }

    /// The point of the screen at a share of the picture.
    pub fn point_at(&self, share: [f32; 2]) -> egui::Pos2 {
        point_at(self.area, self.window, share)
    }
}

/// How near to the divider a press takes hold of it, in points.
const GRIP: f32 = 8.0;

/// Draws a picture as large as fits into `side` points and lets it be zoomed and panned.
///
/// Returns the pixel under the pointer, if it is over this tile.
pub fn tile(
    ui: &mut Ui,
    side: f32,
    content: &Content,
    display: &mut Display,
    hover: Hover,
) -> Hover {
    drawn_tile(ui, side, content, display, hover)?.hover
}

/// As [`tile`], and returns what can be drawn on; nothing where the tile is out of sight.
pub fn drawn_tile(
    ui: &mut Ui,
    side: f32,
    content: &Content,
    display: &mut Display,
    hover: Hover,
) -> Option<DrawnTile> {
    let [h, w] = content.first.size().map(|side| side as f32);
    let scale = side / h.max(w);
    let (area, response) =
        ui.allocate_exact_size(vec2(w * scale, h * scale), Sense::click_and_drag());
    if !ui.is_rect_visible(area) {
        return None;
    }
    let holds_divider = navigate(ui, area, &response, content, display);
    let window = display.window();
    let magnification = area.width() * ui.pixels_per_point() / (w * (window[2] - window[0]));
    ui.painter().add(Callback::new_paint_callback(
        area,
        Tile {
            id: content.id,
            first: content.first.clone(),
            second: content.second.clone(),
            mode: content.mode,
            window,
            shrunk: magnification < 1.0,
        },
    ));
    if content.divider
        && let Some(split) = display.divider
    {
        draw_divider(ui, area, split);
    }
    if let Some(pixel) = hover {
        outline(ui, area, window, [w, h], pixel);
    }
    let share = response
        .hover_pos()
        .map(|pointer| share_at(area, window, pointer));
    let inside = share.filter(|share| share.iter().all(|share| (0.0..1.0).contains(share)));
    Some(DrawnTile {
        hover: inside.map(|share| [(share[0] * w) as usize, (share[1] * h) as usize]),
        area,
        window,
        response,
        holds_divider,
    })
}

/// Zooms, pans and drags the divider; whether that is held.
fn navigate(
    ui: &Ui,
    area: Rect,
    response: &Response,
    content: &Content,
    display: &mut Display,
) -> bool {
    if response.double_clicked() && !content.draws {
        display.fit();
    }
    if content.divider && drag_divider(ui, area, response, display) {
        return true;
    }
    let pans = match content.draws {
        true => response.dragged_by(egui::PointerButton::Middle),
        false => response.dragged(),
    };
    if pans {
        let moved = response.drag_delta() / area.size();
        display.pan([-moved.x, -moved.y]);
    }
    if let Some(pointer) = response.hover_pos() {
        let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta().y, input.zoom_delta()));
        let factor = pinch * (scroll / 200.0).exp();
        if factor != 1.0 {
            display.zoom_at(share_at(area, display.window(), pointer), factor);
        }
    }
    false
}

fn drag_divider(ui: &Ui, area: Rect, response: &Response, display: &mut Display) -> bool {
    let Some(split) = display.divider else {
        return false;
    };
    let at = area.left() + split * area.width();
    let near = |x: f32| (x - at).abs() < GRIP;
    if response.hover_pos().is_some_and(|pointer| near(pointer.x)) {
        ui.set_cursor_icon(CursorIcon::ResizeHorizontal);
    }
    let pressed = ui.input(|input| input.pointer.press_origin());
    let held = response.id.with("divider");
    if response.drag_started() {
        let grabbed = pressed.is_some_and(|origin| near(origin.x));
        ui.data_mut(|data| data.insert_temp(held, grabbed));
    }
    let holding = response.dragged() && ui.data(|data| data.get_temp(held)).unwrap_or(false);
    if holding && let Some(pointer) = response.interact_pointer_pos() {
        display.divider = Some(((pointer.x - area.left()) / area.width()).clamp(0.0, 1.0));
    }
    holding
}

fn draw_divider(ui: &Ui, area: Rect, split: f32) {
    let x = area.left() + split * area.width();
    let line = [pos2(x, area.top()), pos2(x, area.bottom())];
    ui.painter()
        .line_segment(line, Stroke::new(3.0, Color32::BLACK));
    ui.painter()
        .line_segment(line, Stroke::new(1.5, Color32::WHITE));
    ui.painter().circle(
        area.center_top() + vec2(x - area.center().x, area.height() / 2.0),
        5.0,
        Color32::WHITE,
        Stroke::new(1.0, Color32::BLACK),
    );
}

/// The share of the picture at a point of the screen.
fn share_at(area: Rect, window: [f32; 4], pointer: egui::Pos2) -> [f32; 2] {
    let within = (pointer - area.min) / area.size();
    [
        window[0] + within.x * (window[2] - window[0]),
        window[1] + within.y * (window[3] - window[1]),
    ]
}

/// The point of the screen at a share of the picture.
fn point_at(area: Rect, window: [f32; 4], share: [f32; 2]) -> egui::Pos2 {
    pos2(
        area.left() + (share[0] - window[0]) / (window[2] - window[0]) * area.width(),
        area.top() + (share[1] - window[1]) / (window[3] - window[1]) * area.height(),
    )
}

fn outline(ui: &Ui, area: Rect, window: [f32; 4], size: [f32; 2], pixel: [usize; 2]) {
    let place = |x: f32, y: f32| point_at(area, window, [x / size[0], y / size[1]]);
    let [x, y] = pixel.map(|at| at as f32);
    let square = Rect::from_two_pos(place(x, y), place(x + 1.0, y + 1.0));
    let painter = ui.painter_at(area);
    painter.rect_stroke(
        square,
        0.0,
        Stroke::new(2.5, Color32::BLACK),
        StrokeKind::Outside,
    );
    painter.rect_stroke(
        square,
        0.0,
        Stroke::new(1.0, Color32::WHITE),
        StrokeKind::Outside,
    );
}
