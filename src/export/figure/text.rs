//! The type of figures: egui's own font, so that a figure looks alike on every machine.

use std::sync::LazyLock;

use epaint_default_fonts::UBUNTU_LIGHT;
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};

/// The font by name, and what may stand in for it in other programs.
pub const FAMILY: &str = "Ubuntu, 'Ubuntu Light', 'Open Sans', Arial, sans-serif";
/// From one line to the next, as a share of the text's height.
pub const LEADING: f32 = 1.3;
/// Width of a character that the font lacks, as a share of the text's height.
const UNKNOWN: f32 = 0.6;

static FONT: LazyLock<Option<FontRef>> = LazyLock::new(|| FontRef::new(UBUNTU_LIGHT).ok());

/// Whether the font has a glyph for `character`.
pub fn has_glyph(character: char) -> bool {
    let font = FONT.as_ref();
    font.is_some_and(|font| font.charmap().map(character).is_some())
}

/// Width of `text` at a height of `size`, in the unit of `size`.
pub fn width(text: &str, size: f32) -> f32 {
    let Some(font) = &*FONT else {
        return text.chars().count() as f32 * UNKNOWN * size;
    };
    let (map, metrics) = (
        font.charmap(),
        font.glyph_metrics(Size::new(size), LocationRef::default()),
    );
    let advance = |character: char| {
        let glyph = map.map(character)?;
        metrics.advance_width(glyph)
    };
    text.chars()
        .map(|character| advance(character).unwrap_or(UNKNOWN * size))
        .sum()
}

/// `text` cut with an ellipsis to no more than `most` wide.
pub fn elided(text: &str, size: f32, most: f32) -> String {
    if width(text, size) <= most {
        return text.to_owned();
    }
    let mut cut: Vec<char> = text.chars().collect();
    while cut.pop().is_some() {
        let shorter: String = cut.iter().collect::<String>().trim_end().to_owned() + "…";
        if width(&shorter, size) <= most {
            return shorter;
        }
    }
    String::new()
}

/// `text` in lines no wider than `most`, broken between words; longer words are cut.
pub fn wrapped(text: &str, size: f32, most: f32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match longer.filter(|longer| width(longer, size) <= most) {
            Some(longer) => {
                lines.pop();
                lines.push(longer);
            }
            None => lines.push(elided(word, size, most)),
        }
    }
    lines
}
