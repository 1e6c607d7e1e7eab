//! The values of a pixel in every panel, in the corner below the pictures.

use egui::Ui;

use crate::compute::PictureSource;
use crate::session::{Row, State};

/// From the edges of the window, in points.
const MARGIN: f32 = 8.0;

/// Draws the values at column and row `[x, y]`.
pub fn show(ui: &Ui, state: &State, rows: &[Row], [x, y]: [usize; 2]) {
    let levels = |rgb: [f32; 3]| rgb.map(|value| format!("{:3.0}", value * 255.0)).join(" ");
    let mut text = format!("pixel {x}, {y} · values in n/255");
    for (index, row) in rows.iter().enumerate() {
        let Some(prediction) = &row.prediction else {
            continue;
        };
        let [h, w] = prediction.input.size();
        if x >= w || y >= h {
            continue;
        }
        let input = prediction.input.pixel(x, y);
        if index == 0 {
            text += &format!("\ninput {}", levels(input));
        }
        if let Some(shown) = row.nearest(state.settings.attack.epsilon) {
            let attacked = shown.attacked.picture.pixel(x, y);
            let delta: [f32; 3] = std::array::from_fn(|channel| attacked[channel] - input[channel]);
            let signed = delta
                .map(|value| format!("{:+.1}", value * 255.0))
                .join(" ");
            text += &format!(
                "\n{}: {} ({signed})",
                prediction.manifest.name,
                levels(attacked)
            );
        }
        text += &attributions(state, row, y * w + x);
    }
    // In the corner below the pictures, which it would hide beside the pointer.
    let corner = ui.ctx().content_rect().left_bottom() + egui::vec2(MARGIN, -MARGIN);
    egui::Area::new(ui.scope_id().with("read-out"))
        .order(egui::Order::Tooltip)
        .fixed_pos(corner)
        .pivot(egui::Align2::LEFT_BOTTOM)
        .interactable(false)
        .show(ui.ctx(), |ui| {
            egui::Frame::popup(ui.style()).show(ui, |ui| {
                ui.style_mut().wrap_mode = Some(egui::TextWrapMode::Extend);
                ui.monospace(text)
            })
        });
}

fn attributions(state: &State, row: &Row, at: usize) -> String {
    let value = |which: PictureSource| {
        let map = row.attributions[which as usize].as_ref()?;
        if map.request.explanation != state.settings.explanation {
            return None;
        }
        let sum = *map.heat.values().get(at)?;
        let value = state
            .settings
            .display
            .heat
            .number(sum, map.attribution.channels);
        Some(format!("{value:+.2e}"))
    };
    match [PictureSource::Input, PictureSource::Attacked].map(value) {
        [None, None] => String::new(),
        [input, attacked] => format!(
            "\n  attribution {}, attacked {}",
            input.as_deref().unwrap_or("–"),
            attacked.as_deref().unwrap_or("–")
        ),
    }
}
