//! The cells of attribution maps.

use std::sync::Arc;

use egui::{Ui, vec2};

use super::{Sheet, tile_id};
use crate::app::panels::map_quality;
use crate::app::panels::tile::{Content, Hover};
use crate::app::renderer::Mode;
use crate::app::theme;
use crate::compute::{AttributionResult, PictureSource};
use crate::session::State;

/// Draws the map of a row's picture `which`, with its scale and quality below.
pub(super) fn map_cell(
    ui: &mut Ui,
    state: &mut State,
    index: usize,
    which: PictureSource,
    sheet: &mut Sheet,
) -> Hover {
    let row = &sheet.rows[index];
    let Some(map) = &row.attributions[which as usize] else {
        ui.allocate_space(vec2(sheet.side, sheet.side));
        let text = match row.map_error(which) {
            Some(error) => theme::error(ui, error),
            None => theme::weak("computing attribution…"),
        };
        ui.label(text);
        return None;
    };
    let style = state.settings.display.heat;
    let current = map.request.explanation == state.settings.explanation;
    let shared = sheet.scale.filter(|_| current);
    let scale = shared.unwrap_or_else(|| map.heat.scale(&style));
    let contour =
        (style.contour > 0.0).then(|| map.heat.magnitude_at(style.sign, 100.0 - style.contour));
    let content = Content {
        id: tile_id(index, 3 + which as usize),
        first: &map.request.picture,
        second: map.heat.frame(),
        mode: Mode::Heat {
            style,
            scale,
            contour,
        },
        divider: false,
        draws: false,
    };
    let over = sheet.tile(ui, &content, &mut state.settings.display);
    let strip = map_quality::Strip {
        map,
        scale,
        likenesses: likenesses(sheet, index, which),
        room: sheet.room,
    };
    map_quality::show(ui, sheet.side, &style, &strip);
    over
}

/// How alike a map is to the row's other one, and to the other model's.
fn likenesses(
    sheet: &mut Sheet,
    index: usize,
    which: PictureSource,
) -> Vec<(String, crate::session::Likeness)> {
    let rows = sheet.rows;
    let map =
        |row: usize, which: PictureSource| rows.get(row)?.attributions[which as usize].as_ref();
    let Some(own) = map(index, which) else {
        return Vec::new();
    };
    let (other, name) = match which {
        PictureSource::Input => (PictureSource::Attacked, "attacked"),
        PictureSource::Attacked => (PictureSource::Input, "input"),
    };
    // The first row is compared with the second, every other one with the first.
    let reference = usize::from(index == 0);
    let model = rows.get(reference).and_then(|row| row.prediction.as_ref());
    let model = model.map_or_else(String::new, |prediction| {
        short_name(&prediction.manifest.name)
    });
    let same_epsilon = |map: &&Arc<AttributionResult>| map.request.epsilon == own.request.epsilon;
    let neighbour = map(reference, which).filter(same_epsilon);
    let pairs = [(map(index, other), name.into()), (neighbour, model)];
    pairs
        .into_iter()
        .filter_map(|(map, name)| Some((name, sheet.memory.likenesses.of(own, map?)?)))
        .collect()
}

/// The last word of a model's name, which tells it from its neighbour.
fn short_name(name: &str) -> String {
    name.split_whitespace().last().unwrap_or(name).to_owned()
}
