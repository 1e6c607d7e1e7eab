//! Confusion matrices and other contingency tables, each cell of which is also a query.

use super::query::{ClassColumn, ClassValue, Filter, Flag, Moment, Query};
use super::table::{Record, Table};

/// A contingency table of pictures along two axes.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfusionMatrix {
    /// Title for display.
    pub title: String,
    /// Categories of the rows.
    pub rows: Axis,
    /// Categories of the columns.
    pub columns: Axis,
    /// Number of pictures in each cell, `[row][column]`.
    pub counts: Vec<Vec<usize>>,
}

/// Categories of an axis, which are disjoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Name of the axis: a model's name, or “True”.
    pub title: String,
    /// Name and filter of each category.
    pub parts: Vec<(String, Filter)>,
}

impl ConfusionMatrix {
    /// Counts records by the categories that they have on both axes.
    fn of(title: String, [rows, columns]: [CategorizedAxis; 2]) -> Self {
        let (rows, row_of) = rows;
        let (columns, column_of) = columns;
        let mut counts = vec![vec![0; columns.parts.len()]; rows.parts.len()];
        for place in row_of.into_iter().zip(column_of) {
            if let (Some(row), Some(column)) = place {
                counts[row][column] += 1;
            }
        }
        Self {
            title,
            rows,
            columns,
            counts,
        }
    }

    /// Right and wrong predictions of two models, clean and attacked.
    pub fn outcomes(table: &Table, pair: [usize; 2]) -> Self {
        let axes = pair.map(|side| outcomes(table, side, moments(table, side)));
        Self::of("Outcomes".into(), axes)
    }

    /// Right and wrong predictions of a model before and after the attack.
    pub fn change(table: &Table, side: usize) -> Self {
        let moments = [[Moment::Clean], [Moment::Attacked]];
        let axes = moments.map(|moment| outcomes(table, side, &moment));
        Self::of("Outcomes".into(), axes)
    }

    /// Confusion matrix: true classes against predicted classes.
    pub fn confusion(table: &Table, side: usize, moment: Moment) -> Self {
        let name = &table.subjects[side].name;
        let title = match moment {
            Moment::Clean => format!("Confusion of {name}"),
            Moment::Attacked => format!("Confusion of {name}, attacked"),
        };
        let truth = classes(table, ClassColumn::Truth, "True".into());
        Self::of(title, [truth, predicted(table, side, moment)])
    }

    /// Predicted classes of two models against each other.
    pub fn predictions(table: &Table, pair: [usize; 2], moment: Moment) -> Self {
        let title = match moment {
            Moment::Clean => "Predictions".into(),
            Moment::Attacked => "Predictions, attacked".into(),
        };
        Self::of(title, pair.map(|side| predicted(table, side, moment)))
    }

    /// All informative matrices of a table: outcomes, confusion matrices, and predictions of model pairs.
    pub fn all(table: &Table) -> Vec<Self> {
        let models = table.subjects.len();
        let mut all = Vec::new();
        let pairs = (0..models).flat_map(|one| (one + 1..models).map(move |other| [one, other]));
        if table.records.iter().any(|record| record.truth.is_some()) {
            if models == 1 && moments(table, 0).len() == 2 {
                all.push(Self::change(table, 0));
            }
            all.extend(pairs.clone().map(|pair| Self::outcomes(table, pair)));
            for side in 0..models {
                let moments = moments(table, side).iter();
                all.extend(moments.map(|&moment| Self::confusion(table, side, moment)));
            }
        }
        all.extend(pairs.map(|pair| Self::predictions(table, pair, Moment::Clean)));
        all
    }

    /// The query that selects the pictures of a cell.
    pub fn query(&self, row: usize, column: usize) -> Query {
        let parts = [&self.rows.parts[row], &self.columns.parts[column]];
        Filter::And(parts.map(|(_, filter)| filter.clone()).to_vec()).into()
    }

    /// Sum of all counts.
    pub fn total(&self) -> usize {
        self.counts.iter().flatten().sum()
    }
}

/// An axis, and the category of each record of the table.
type CategorizedAxis = (Axis, Vec<Option<usize>>);

/// Whether a model has results for attacked pictures too.
fn moments(table: &Table, side: usize) -> &'static [Moment] {
    let attacked = |record: &Record| record.sides[side].is_some_and(|side| side.attacked.is_some());
    match table.records.iter().any(attacked) {
        true => &[Moment::Clean, Moment::Attacked],
        false => &[Moment::Clean],
    }
}

/// The axis of right and wrong predictions at each of `moments`.
fn outcomes(table: &Table, side: usize, moments: &[Moment]) -> CategorizedAxis {
    let part = |moment: Moment, right: bool| {
        let flag = match right {
            true => Flag::Right(side, moment),
            false => Flag::Wrong(side, moment),
        };
        let when = match moment {
            Moment::Clean => "",
            Moment::Attacked => "attacked ",
        };
        let word = if right { "right" } else { "wrong" };
        (format!("{when}{word}"), Filter::Flag(flag))
    };
    let parts: Vec<(String, Filter)> = match *moments {
        [first, second] => [(true, true), (true, false), (false, true), (false, false)]
            .map(|(before, after)| {
                let parts = [part(first, before), part(second, after)];
                let name = parts.each_ref().map(|(name, _)| name.as_str()).join(", ");
                (name, Filter::And(parts.map(|(_, filter)| filter).to_vec()))
            })
            .to_vec(),
        _ => [true, false].map(|right| part(moments[0], right)).to_vec(),
    };
    let mut places = vec![None; table.records.len()];
    for (place, (_, filter)) in parts.iter().enumerate() {
        for index in Query::from(filter.clone()).select(table) {
            places[index] = Some(place);
        }
    }
    let title = table.subjects[side].name.clone();
    (Axis { title, parts }, places)
}

fn predicted(table: &Table, side: usize, moment: Moment) -> CategorizedAxis {
    let title = table.subjects[side].name.clone();
    classes(table, ClassColumn::Predicted(side, moment), title)
}

/// The axis of the classes that occur in a column.
fn classes(table: &Table, column: ClassColumn, title: String) -> CategorizedAxis {
    let found: Vec<Option<usize>> = table
        .records
        .iter()
        .map(|record| column.of(record))
        .collect();
    let mut place = vec![None; table.classes.len()];
    for &class in found.iter().flatten() {
        place[class] = Some(0);
    }
    let mut parts = Vec::new();
    for (class, place) in place
        .iter_mut()
        .enumerate()
        .filter(|(_, place)| place.is_some())
    {
        *place = Some(parts.len());
        let name = table.classes[class].clone();
        let value = ClassValue::Named(name.clone());
        parts.push((name, Filter::Class(column, true, value)));
    }
    let places = found
        .into_iter()
        .map(|class| class.and_then(|class| place[class]));
    (Axis { title, parts }, places.collect())
}
