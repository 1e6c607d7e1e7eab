//! Curves of a figure, and how they are drawn.

use super::page::{Anchor, PageItem, Words};
use super::{Shot, text};
use crate::attack::{Goal, Norm, short_number};
use crate::compute::row_color;

/// A line of a plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Whose it is.
    pub name: String,
    /// Red, green, blue.
    pub color: [u8; 3],
    /// Whether it has gaps.
    pub dashed: bool,
    /// From left to right, as the plot's ranges measure.
    pub points: Vec<[f64; 2]>,
    /// A place on the horizontal axis that is marked by a dotted line.
    pub mark: Option<f64>,
}

/// Curves over one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// What runs to the right.
    pub across: String,
    /// What runs upward.
    pub up: String,
    /// Left and right end.
    pub x: [f64; 2],
    /// Lower and upper end.
    pub y: [f64; 2],
    /// Whether the vertical axis counts in per cent.
    pub percent: bool,
    /// The curves.
    pub curves: Vec<Curve>,
    /// How far they are drawn; a line stands there.
    pub until: Option<f64>,
}

/// Confidence against ε, as on the timeline.
pub fn epsilon_plot(shot: &Shot, models: &[usize]) -> Plot {
    let (state, attack) = (&shot.state, &shot.state.settings.attack);
    let unit = f64::from(attack.norm.units());
    let mut curves = Vec::new();
    for &model in models {
        let Some((row, prediction)) = shot
            .rows
            .get(model)
            .and_then(|row| Some((row, row.prediction.as_ref()?)))
        else {
            continue;
        };
        let scaled = |curve: Vec<[f64; 2]>| curve.iter().map(|&[x, y]| [unit * x, y]).collect();
        let (name, color) = (prediction.manifest.name.clone(), row_color(model));
        let fakeness = row.fakeness();
        curves.push(Curve {
            name: name.clone(),
            color,
            dashed: false,
            points: scaled(row.curve(attack)),
            mark: row.flip(attack).map(|epsilon| unit * f64::from(epsilon)),
        });
        if !fakeness.is_empty() {
            curves.push(Curve {
                name: format!("{name}, fake"),
                color,
                dashed: true,
                points: scaled(fakeness),
                mark: None,
            });
        }
    }
    Plot {
        across: match attack.norm {
            Norm::Linf => "L∞ ε in 1/255".into(),
            norm => format!("{norm} ε"),
        },
        up: match attack.goal {
            Goal::Untargeted => "confidence in the original class".into(),
            Goal::Targeted(_) => "confidence in the target class".into(),
        },
        x: [0.0, unit * f64::from(state.range())],
        y: [0.0, 1.0],
        percent: true,
        curves,
        until: None,
    }
}

const INK: [u8; 3] = [0x22, 0x22, 0x22];
const GRID: [u8; 3] = [0xD8, 0xD8, 0xD8];

impl Plot {
    /// Draws it into the rectangle `[left, top, width, height]`, everything included, with text of
    /// this height.
    pub fn items(&self, [left, top, width, height]: [f32; 4], size: f32) -> Vec<PageItem> {
        let line = size * text::LEADING;
        let numbers = text::width("100 %", size) + 0.5 * size;
        let frame = [
            left + line + numbers,
            top + 1.5 * line,
            (width - line - numbers - 0.5 * size).max(1.0),
            (height - 4.0 * line).max(1.0),
        ];
        let mut items = self.axes(frame, size);
        items.extend(self.legend([frame[0], top + line], frame[2], size));
        let middle = [frame[0] + frame[2] / 2.0, top + height - 0.4 * line];
        items.push(words(&self.across, middle, Anchor::Middle, size));
        items.push(PageItem::Words(Words {
            upward: true,
            ..plain(
                &text::elided(&self.up, size, height),
                [left + 0.8 * size, top + height / 2.0],
                Anchor::Middle,
                size,
            )
        }));
        items.extend(self.lines(frame, size));
        items
    }

    fn place(&self, [left, top, width, height]: [f32; 4], [x, y]: [f64; 2]) -> [f32; 2] {
        let share = |value: f64, [low, high]: [f64; 2]| {
            let length = (high - low).abs().max(f64::MIN_POSITIVE);
            ((value - low) / length).clamp(0.0, 1.0) as f32
        };
        [
            left + share(x, self.x) * width,
            top + (1.0 - share(y, self.y)) * height,
        ]
    }

    fn axes(&self, frame: [f32; 4], size: f32) -> Vec<PageItem> {
        let [left, top, width, height] = frame;
        let mut items = Vec::new();
        let mut grid = Vec::new();
        for y in ticks(self.y) {
            let [_, at] = self.place(frame, [self.x[0], y]);
            grid.push(vec![[left, at], [left + width, at]]);
            let label = if self.percent {
                format!("{:.0} %", y * 100.0)
            } else {
                tick(y)
            };
            let place = [left - 0.4 * size, at + 0.35 * size];
            items.push(words(&label, place, Anchor::End, size));
        }
        for x in ticks(self.x) {
            let [at, _] = self.place(frame, [x, self.y[0]]);
            grid.push(vec![[at, top], [at, top + height]]);
            let place = [at, top + height + 1.1 * size];
            items.push(words(&tick(x), place, Anchor::Middle, size));
        }
        items.insert(0, lines(grid, GRID, 0.06 * size, 0.0));
        items
    }

    /// Names of the curves beside short lines, from the left.
    fn legend(&self, [mut x, y]: [f32; 2], width: f32, size: f32) -> Vec<PageItem> {
        let mut items = Vec::new();
        let share = width / self.curves.len().max(1) as f32;
        for curve in &self.curves {
            let name = text::elided(&curve.name, size, share - 2.6 * size);
            let level = y - 0.3 * size;
            let dash = if curve.dashed { 0.4 * size } else { 0.0 };
            let path = vec![[x, level], [x + 1.4 * size, level]];
            items.push(lines(vec![path], curve.color, 0.16 * size, dash));
            x += 1.8 * size;
            items.push(words(&name, [x, y], Anchor::Start, size));
            x += text::width(&name, size) + 1.2 * size;
        }
        items
    }

    fn lines(&self, frame: [f32; 4], size: f32) -> Vec<PageItem> {
        let mut items = Vec::new();
        for curve in &self.curves {
            let points = self.drawn(&curve.points);
            let path: Vec<[f32; 2]> = points.map(|point| self.place(frame, point)).collect();
            let dash = if curve.dashed { 0.4 * size } else { 0.0 };
            if path.len() > 1 {
                items.push(lines(vec![path], curve.color, 0.16 * size, dash));
            }
            let mark = curve
                .mark
                .filter(|&at| self.until.is_none_or(|until| at <= until));
            if let Some(at) = mark {
                let path = self.y.map(|y| self.place(frame, [at, y])).to_vec();
                items.push(lines(vec![path], curve.color, 0.1 * size, 0.2 * size));
            }
        }
        if let Some(until) = self.until {
            let path = self.y.map(|y| self.place(frame, [until, y])).to_vec();
            items.push(lines(vec![path], INK, 0.1 * size, 0.0));
        }
        items
    }

    /// The points up to where the curves are drawn, the last one in proportion between two.
    fn drawn<'a>(&self, points: &'a [[f64; 2]]) -> impl Iterator<Item = [f64; 2]> + 'a {
        let until = self.until.unwrap_or(f64::INFINITY);
        let finite = points.iter().copied().filter(|point| point[1].is_finite());
        let before = finite.clone().take_while(move |point| point[0] <= until);
        let pairs = points.windows(2);
        let last = pairs.filter_map(move |pair| {
            let ([a, low], [b, high]) = (pair[0], pair[1]);
            let between = a <= until && until < b;
            between.then(|| [until, low + (until - a) / (b - a) * (high - low)])
        });
        before.chain(last)
    }
}

/// Round numbers inside a range, about five.
fn ticks([low, high]: [f64; 2]) -> Vec<f64> {
    let length = high - low;
    if !(length.is_finite() && length > 0.0) {
        return vec![low];
    }
    let rough = length / 4.0;
    let power = 10f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * power);
    let step = steps.into_iter().find(|&step| step >= rough * 0.999);
    let step = step.unwrap_or(rough);
    let first = (low / step).ceil() as i64;
    (first..first + 12)
        .map(|index| index as f64 * step)
        .take_while(|&value| value <= high + 1e-9 * length)
        .collect()
}

/// A number on an axis.
fn tick(value: f64) -> String {
    if value != 0.0 && !(1e-3..1e6).contains(&value.abs()) {
        return format!("{value:.0e}");
    }
    short_number(value as f32)
}

fn plain(text: &str, at: [f32; 2], anchor: Anchor, size: f32) -> Words {
    Words {
        text: text.into(),
        at,
        anchor,
        size,
        color: INK,
        strong: false,
        upward: false,
    }
}

fn words(text: &str, at: [f32; 2], anchor: Anchor, size: f32) -> PageItem {
    PageItem::Words(plain(text, at, anchor, size))
}

fn lines(paths: Vec<Vec<[f32; 2]>>, color: [u8; 3], width: f32, dash: f32) -> PageItem {
    PageItem::Lines {
        paths,
        color,
        width,
        dash,
    }
}
