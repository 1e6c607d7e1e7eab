//! Places for all that a sheet holds.

use super::page::{Anchor, FigurePage, PageItem, Words};
use super::sheet::{Bar, Head, Sheet};
use super::{Cell, Filled, text};
use crate::session::{Figure, Size};

const INK: [u8; 3] = [0x22, 0x22, 0x22];
const PALE: [u8; 3] = [0x5A, 0x5A, 0x5A];
/// What a model says of a picture that it takes for another class.
const WRONG: [u8; 3] = [0xB0, 0x42, 0x00];
/// Ground of a cell without a picture.
const NOTHING: [u8; 3] = [0xEE, 0xEE, 0xEE];
/// Pictures enlarged at least this many times have pixels of equal size.
const PIXELATED: f32 = 3.0;
/// Height of a plot, in lines of text.
const PLOT: f32 = 13.0;

/// Measures that all parts share, in units.
struct Measures {
    /// Height of text.
    text: f32,
    /// From line to line.
    line: f32,
    /// Between neighbours, and around everything.
    gap: f32,
    /// Left end of the pictures.
    left: f32,
    /// Width of everything.
    width: f32,
    /// Width of a picture's place.
    side: f32,
    /// Units of a pixel of the PNG.
    pixel: f32,
    /// Width and height of a place that is empty: those of the first picture.
    empty: [f32; 2],
}

/// Gives everything a place.
pub fn page(figure: &Figure, sheet: &Sheet) -> FigurePage {
    let measures = Measures::new(figure, sheet);
    let mut items = Vec::new();
    let mut top = measures.gap;
    if figure.heads {
        top = heads(&measures, sheet, top, &mut items);
    }
    for line in &sheet.rows {
        let tall = line.cells.iter().map(|cell| measures.height(cell));
        let tall = tall.fold(0.0, f32::max);
        if figure.names {
            row_head(&measures, &line.head, [top, tall], &mut items);
        }
        for (place, cell) in line.cells.iter().enumerate() {
            measures.cell(
                figure,
                cell,
                [measures.column(place), top, tall],
                &mut items,
            );
        }
        let notes = if figure.notes { sheet.notes } else { 0 };
        top += tall + notes as f32 * measures.line + measures.gap;
    }
    if figure.color_bar
        && let Some(bar) = &sheet.bar
    {
        top = color_bar(&measures, bar, top, &mut items);
    }
    for plot in &sheet.plots {
        let height = PLOT * measures.line;
        let wide = measures.width - 2.0 * measures.gap;
        items.extend(plot.items([measures.gap, top, wide, height], measures.text));
        top += height + measures.gap;
    }
    if figure.caption {
        top = caption(&measures, &sheet.caption, top, &mut items);
    }
    FigurePage {
        size: [measures.width, measures.snapped(top)],
        millimetres: match figure.size {
            Size::Millimetres { width, .. } => Some(width),
            Size::Pixels { .. } => None,
        },
        scale: figure.size.scale(),
        items,
    }
}

impl Measures {
    fn new(figure: &Figure, sheet: &Sheet) -> Self {
        let (text, width) = (figure.text, figure.size.width());
        let line = text * text::LEADING;
        let gap = 0.6 * text;
        let noted = sheet.rows.iter().any(|row| !row.head.note.is_empty());
        let names = match (figure.names, noted) {
            (false, _) => 0.0,
            (true, false) => line,
            (true, true) => 2.0 * line,
        };
        let left = gap + names;
        let columns = sheet.heads.len() as f32;
        let side = (width - left - gap * columns) / columns;
        let mut measures = Self {
            text,
            line,
            gap,
            left,
            width,
            side: side.max(1.0),
            pixel: 1.0 / figure.size.scale(),
            empty: [0.0; 2],
        };
        let mut cells = sheet.rows.iter().flat_map(|row| &row.cells);
        let first = cells.find_map(|cell| match cell {
            Cell::Filled(filled) => Some(measures.fitted(filled)),
            Cell::Empty(_) => None,
        });
        measures.empty = first.unwrap_or([measures.snapped(measures.side); 2]);
        measures
    }

    /// The nearest place between two pixels.
    fn snapped(&self, at: f32) -> f32 {
        (at / self.pixel).round() * self.pixel
    }

    /// Left end of a column.
    fn column(&self, place: usize) -> f32 {
        self.left + place as f32 * (self.side + self.gap)
    }

    /// Height of a cell's picture.
    fn height(&self, cell: &Cell) -> f32 {
        match cell {
            Cell::Filled(filled) => self.fitted(filled)[1],
            Cell::Empty(_) => self.empty[1],
        }
    }

    /// Width and height of a picture as large as fits.
    fn fitted(&self, filled: &Filled) -> [f32; 2] {
        let (w, h) = (
            filled.picture.width() as f32,
            filled.picture.height() as f32,
        );
        let times = self.side / self.pixel / w.max(1.0);
        let times = if times >= PIXELATED {
            times.floor()
        } else {
            times
        };
        [w, h].map(|side| self.snapped(side * times * self.pixel))
    }

    fn cell(&self, figure: &Figure, cell: &Cell, at: [f32; 3], items: &mut Vec<PageItem>) {
        let [left, top, tall] = at;
        match cell {
            Cell::Filled(filled) => self.filled(figure, filled, [left, top, tall], items),
            Cell::Empty(reason) => self.empty(reason, [left, top], items),
        }
    }

    fn filled(
        &self,
        figure: &Figure,
        filled: &Filled,
        [left, top, tall]: [f32; 3],
        items: &mut Vec<PageItem>,
    ) {
        let [wide, high] = self.fitted(filled);
        let x = self.snapped(left + (self.side - wide) / 2.0);
        let y = self.snapped(top);
        items.push(PageItem::Picture {
            image: filled.picture.clone(),
            area: [x, y, wide, high],
        });
        let each = wide / filled.picture.width().max(1) as f32;
        let place = |[px, py]: [f32; 2]| [x + px * each, y + py * each];
        let paths = || {
            let lines = filled.outline.iter();
            lines.map(|line| line.map(place).to_vec()).collect()
        };
        if !filled.outline.is_empty() {
            for (color, width) in [([0; 3], 0.2), ([255; 3], 0.09)] {
                items.push(PageItem::Lines {
                    paths: paths(),
                    color,
                    width: width * self.text,
                    dash: 0.0,
                });
            }
        }
        if !figure.notes {
            return;
        }
        for (line, note) in filled.notes.iter().enumerate() {
            let color = match (line, filled.wrong) {
                (0, true) => WRONG,
                (0, false) => INK,
                _ => PALE,
            };
            let baseline = top + tall + (line as f32 + 0.95) * self.line;
            let middle = left + self.side / 2.0;
            items.push(self.words(note, [middle, baseline], self.side, color));
        }
    }

    /// A crossed-out ground that says why nothing is there.
    fn empty(&self, reason: &str, [left, top]: [f32; 2], items: &mut Vec<PageItem>) {
        let [wide, high] = self.empty;
        let x = self.snapped(left + (self.side - wide) / 2.0);
        let y = self.snapped(top);
        items.push(PageItem::Block {
            area: [x, y, wide, high],
            color: NOTHING,
        });
        let lines = text::wrapped(reason, self.text, 0.9 * wide);
        let room = ((high / self.line) as usize).saturating_sub(1).clamp(1, 6);
        let first = y + (high - lines.len().min(room) as f32 * self.line) / 2.0;
        for (line, text) in lines.iter().take(room).enumerate() {
            let at = [x + wide / 2.0, first + (line as f32 + 0.8) * self.line];
            items.push(self.words(text, at, wide, PALE));
        }
    }

    /// A line of text around a middle, cut to `most`.
    fn words(&self, text: &str, at: [f32; 2], most: f32, color: [u8; 3]) -> PageItem {
        PageItem::Words(Words {
            text: text::elided(text, self.text, most),
            at,
            anchor: Anchor::Middle,
            size: self.text,
            color,
            strong: false,
            upward: false,
        })
    }
}

fn heads(measures: &Measures, sheet: &Sheet, top: f32, items: &mut Vec<PageItem>) -> f32 {
    let noted = sheet.heads.iter().any(|head| !head.note.is_empty());
    for (place, head) in sheet.heads.iter().enumerate() {
        let middle = measures.column(place) + measures.side / 2.0;
        let baseline = top + 0.8 * measures.line;
        push_head(
            measures,
            head,
            [middle, baseline],
            measures.side,
            false,
            items,
        );
    }
    let lines = if noted { 2.0 } else { 1.0 };
    top + lines * measures.line + 0.25 * measures.gap
}

/// The name of a row, from bottom to top.
fn row_head(measures: &Measures, head: &Head, [top, tall]: [f32; 2], items: &mut Vec<PageItem>) {
    let at = [measures.gap + 0.8 * measures.text, top + tall / 2.0];
    push_head(measures, head, at, tall, true, items);
}

fn push_head(
    measures: &Measures,
    head: &Head,
    [x, y]: [f32; 2],
    room: f32,
    upward: bool,
    items: &mut Vec<PageItem>,
) {
    let under = if upward {
        [x + measures.line, y]
    } else {
        [x, y + measures.line]
    };
    let lines = [(&head.title, [x, y], true), (&head.note, under, false)];
    for (line, at, strong) in lines.into_iter().filter(|(line, ..)| !line.is_empty()) {
        // Thicker lines are a little wider.
        let text = text::elided(line, measures.text, 0.97 * room);
        items.push(PageItem::Words(Words {
            text,
            at,
            anchor: Anchor::Middle,
            size: measures.text,
            color: if strong { INK } else { PALE },
            strong,
            upward,
        }));
    }
}

/// The bar stands at the right, its title left of it, its numbers below.
fn color_bar(measures: &Measures, bar: &Bar, top: f32, items: &mut Vec<PageItem>) -> f32 {
    let (line, size) = (measures.line, measures.text);
    let room = measures.width - 2.0 * measures.gap;
    let wide = measures.snapped((16.0 * size).min(0.5 * room));
    let left = measures.snapped(measures.width - measures.gap - wide);
    let height = measures.snapped(0.7 * size);
    let colors = &bar.colors;
    let image = image::RgbImage::from_fn(colors.len() as u32, 1, |x, _| {
        image::Rgb(colors[x as usize])
    });
    items.push(PageItem::Picture {
        image,
        area: [left, measures.snapped(top), wide, height],
    });
    let baseline = top + height + 0.85 * line;
    let places = [
        (Anchor::Start, 0.0),
        (Anchor::Middle, 0.5),
        (Anchor::End, 1.0),
    ];
    let mut push = |text: String, at, anchor| {
        items.push(PageItem::Words(Words {
            text,
            at,
            anchor,
            size,
            color: PALE,
            strong: false,
            upward: false,
        }));
    };
    for (number, (anchor, share)) in bar.numbers.iter().zip(places) {
        push(number.clone(), [left + share * wide, baseline], anchor);
    }
    let most = left - 2.0 * measures.gap;
    let title = text::elided(&bar.title, size, most.max(0.0));
    push(title, [left - measures.gap, top + 0.7 * size], Anchor::End);
    top + height + line + measures.gap
}

fn caption(measures: &Measures, text: &str, top: f32, items: &mut Vec<PageItem>) -> f32 {
    let most = measures.width - 2.0 * measures.gap;
    let lines = text::wrapped(text, measures.text, most);
    for (line, text) in lines.iter().enumerate() {
        items.push(PageItem::Words(Words {
            text: text.clone(),
            at: [measures.gap, top + (line as f32 + 0.8) * measures.line],
            anchor: Anchor::Start,
            size: measures.text,
            color: PALE,
            strong: false,
            upward: false,
        }));
    }
    let gap = if lines.is_empty() { 0.0 } else { measures.gap };
    top + lines.len() as f32 * measures.line + gap
}
