//! What a figure shows, before anything has a place: pictures and words in rows and columns.

use super::Shot;
use super::caption::{caption, picture_name};
use super::cells::{Cell, cell, epsilon_text};
use super::plot::{Plot, epsilon_plot};
use crate::attack::short_number;
use crate::compute::{HeatStyle, PictureSource, row_color, short};
use crate::error::{Error, Result};
use crate::session::{Column, Figure, Row, Spread, State, shared_scale};

/// A title with a smaller line under it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    /// What it is.
    pub title: String,
    /// More about it; may be empty.
    pub note: String,
}

/// A row of the sheet.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The model, and what tells the row from others of the same model.
    pub head: Head,
    /// The model's colour in plots.
    pub color: [u8; 3],
    /// One a column.
    pub cells: Vec<Cell>,
}

/// What colours of maps mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// What is measured.
    pub title: String,
    /// The colours from left to right.
    pub colors: Vec<[u8; 3]>,
    /// The numbers at the left end, the middle and the right end.
    pub numbers: [String; 3],
}

/// A figure without places.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    /// Titles of the columns.
    pub heads: Vec<Head>,
    /// The rows from top to bottom.
    pub rows: Vec<Line>,
    /// Lines of text under each picture.
    pub notes: usize,
    /// What the maps' colours mean, if there is a map.
    pub bar: Option<Bar>,
    /// Curves below the pictures.
    pub plots: Vec<Plot>,
    /// Text below everything.
    pub caption: String,
}

/// Colours of a bar.
const COLORS: usize = 128;

impl Sheet {
    /// Arranges what `shots` found. What is missing leaves a marked cell.
    ///
    /// # Errors
    /// [`Error::Config`] when the figure has no cells, or far too many.
    pub fn new(figure: &Figure, shots: &[Shot]) -> Result<Self> {
        Self::with_scale(figure, shots, scale(shots))
    }

    /// The same where maps that share a scale have this one.
    pub fn with_scale(figure: &Figure, shots: &[Shot], scale: Option<f32>) -> Result<Self> {
        figure.validate()?;
        let Some(Shot { state, .. }) = shots.first() else {
            return Err(Error::Config("the figure has no results to show".into()));
        };
        figure.require_cells(state)?;
        let columns = figure.columns(state);
        let epsilons = figure.epsilons(state).len();
        let across = figure.spread == Spread::Across;
        let places = places(state, &columns, if across { epsilons } else { 1 });
        let models = figure.rows(state);
        let written: Vec<String> = figure
            .epsilons(state)
            .iter()
            .map(|&epsilon| state.settings.attack.norm.format(epsilon))
            .collect();
        // Shots that stand in one row of the sheet differ in ε.
        let blocks = shots.chunks(if across { epsilons } else { 1 });
        let several = figure.pictures(state).len() > 1;
        let flags = [several, !across && epsilons > 1, figure.zoomed];
        let rows = blocks.flat_map(|block| {
            let models = models.iter();
            models.map(|&model| line(block, model, &places, scale, flags))
        });
        let rows: Vec<Line> = rows.collect();
        Ok(Self {
            heads: places
                .iter()
                .map(|place| head(&shots[place.shot], place, across || epsilons == 1))
                .collect(),
            notes: columns
                .iter()
                .map(|&column| notes(column))
                .max()
                .unwrap_or(0),
            bar: bar(state, &columns, &rows, scale),
            plots: if figure.curves {
                vec![epsilon_plot(&shots[0], &models)]
            } else {
                Vec::new()
            },
            caption: caption(figure, shots, &written.join(", ")),
            rows,
        })
    }
}

/// How many cells a figure has.
pub(super) fn cells(figure: &Figure, state: &State) -> usize {
    let (columns, epsilons) = (figure.columns(state), figure.epsilons(state).len());
    let (across, down) = match figure.spread {
        Spread::Across => (epsilons, 1),
        Spread::Down => (1, epsilons),
    };
    let rows = figure.pictures(state).len() * down * figure.rows(state).len();
    rows * places(state, &columns, across).len()
}

/// Where the colours of all maps of `shots` end, if they share a scale.
pub fn scale(shots: &[Shot]) -> Option<f32> {
    let scales = shots
        .iter()
        .map(|shot| shared_scale(&shot.state, &shot.rows));
    scales.flatten().reduce(f32::max)
}

/// A column of the sheet: what it shows of which shot of a block.
struct SheetColumn {
    column: Column,
    shot: usize,
}

/// Columns that depend on ε once for each of `epsilons`, the others once.
fn places(state: &State, columns: &[Column], epsilons: usize) -> Vec<SheetColumn> {
    let spread = |&column: &Column| {
        let count = if depends(state, column) { epsilons } else { 1 };
        (0..count).map(move |shot| SheetColumn { column, shot })
    };
    columns.iter().flat_map(spread).collect()
}

/// Whether a column changes with ε.
fn depends(state: &State, column: Column) -> bool {
    match column {
        Column::Attacked | Column::Perturbation | Column::AttackedAttribution => true,
        Column::Synthesis => state.settings.synthesis.which == PictureSource::Attacked,
        Column::Counterfactual | Column::Change | Column::Return => {
            state.settings.counterfactual.which() == PictureSource::Attacked
        }
        Column::Input | Column::Attribution => false,
    }
}

/// Lines of text under the pictures of a column, at most.
fn notes(column: Column) -> usize {
    match column {
        Column::Perturbation | Column::Synthesis | Column::Change => 2,
        _ => 1,
    }
}

fn head(shot: &Shot, place: &SheetColumn, says_epsilon: bool) -> Head {
    let title = match place.column {
        Column::Synthesis => shot.state.settings.synthesis.kind().name(),
        column => column.name(),
    };
    let note = if depends(&shot.state, place.column) && says_epsilon {
        epsilon_text(
            &shot.state.settings.attack,
            shot.state.settings.attack.epsilon,
        )
    } else {
        String::new()
    };
    Head {
        title: title.into(),
        note,
    }
}

/// A row of the sheet; it says which picture and which ε where there are several.
fn line(
    block: &[Shot],
    model: usize,
    places: &[SheetColumn],
    scale: Option<f32>,
    [pictures, epsilons, zoomed]: [bool; 3],
) -> Line {
    let state = &block[0].state;
    let nothing = Row::default();
    let row = block[0].rows.get(model).unwrap_or(&nothing);
    let title = match &row.prediction {
        Some(prediction) => prediction.manifest.name.clone(),
        None => state.document.models[model].title(),
    };
    let mut note = Vec::new();
    if pictures && let Some(entry) = state.entry() {
        note.push(picture_name(&entry.picture));
    }
    if epsilons {
        note.push(epsilon_text(
            &state.settings.attack,
            state.settings.attack.epsilon,
        ));
    }
    let cells = places.iter().map(|place| {
        let shot = &block[place.shot.min(block.len() - 1)];
        let row = shot.rows.get(model).unwrap_or(&nothing);
        let mut cell = cell(&shot.state, row, place.column, scale);
        if let (Cell::Filled(filled), true) = (&mut cell, zoomed) {
            filled.zoom(shot.state.settings.display.window());
        }
        cell
    });
    Line {
        head: Head {
            title,
            note: note.join(" · "),
        },
        color: row_color(model),
        cells: cells.collect(),
    }
}

/// The colour bar, if the sheet has a map of an explanation.
fn bar(state: &State, columns: &[Column], rows: &[Line], scale: Option<f32>) -> Option<Bar> {
    columns.iter().find_map(|column| column.map())?;
    let style = &state.settings.display.heat;
    let mut cells = rows.iter().flat_map(|row| &row.cells);
    let end = cells.find_map(|cell| match cell {
        Cell::Filled(filled) => filled.scale,
        Cell::Empty(_) => None,
    });
    let numbers = match (scale, end) {
        (Some(_), Some(end)) => style.bar_numbers(end).map(minus),
        _ => style.bar_numbers(1.0).map(|share| match share {
            0.0 => "0".into(),
            share => format!("{} × end", short_number(share)),
        }),
    };
    Some(Bar {
        title: format!(
            "{}, for each pixel",
            state.settings.explanation.method.name()
        ),
        colors: colors(style),
        numbers,
    })
}

/// A short number with a proper minus sign.
fn minus(number: f32) -> String {
    short(number).replace('-', "−")
}

fn colors(style: &HeatStyle) -> Vec<[u8; 3]> {
    let share = |at: usize| at as f32 / (COLORS - 1) as f32;
    let byte = |value: f32| (value * 255.0).round() as u8;
    (0..COLORS)
        .map(|at| style.bar(share(at)).map(byte))
        .collect()
}
