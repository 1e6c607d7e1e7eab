//! Counts in two directions, every one of which is also a query.

use super::query::{ClassColumn, ClassValue, Filter, Flag, Moment, Query};
use super::table::{Record, Table};

/// How many pictures are which and which.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfusionMatrix {
    /// What it counts.
    pub title: String,
    /// What its rows differ in.
    pub rows: Axis,
    /// What its columns differ in.
    pub columns: Axis,
    /// Row by row.
    pub counts: Vec<Vec<usize>>,
}

/// One way in which pictures are told apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it is about: a model, or the truth.
    pub title: String,
    /// What each part is called, and which pictures it has; none is in two.
    pub parts: Vec<(String, Filter)>,
}

impl ConfusionMatrix {
    /// Counts records, of each of which it is known in which part of either axis it is, if in any.
    fn of(title: String, [rows, columns]: [Placed; 2]) -> Self {
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

    /// What two models make of the pictures, clean and attacked.
    pub fn outcomes(table: &Table, pair: [usize; 2]) -> Self {
        let axes = pair.map(|side| outcomes(table, side, moments(table, side)));
        Self::of("Outcomes".into(), axes)
    }

    /// What a model makes of the pictures before an attack and after.
    pub fn change(table: &Table, side: usize) -> Self {
        let moments = [[Moment::Clean], [Moment::Attacked]];
        let axes = moments.map(|moment| outcomes(table, side, &moment));
        Self::of("Outcomes".into(), axes)
    }

    /// True classes against those that a model predicts.
    pub fn confusion(table: &Table, side: usize, moment: Moment) -> Self {
        let name = &table.subjects[side].name;
        let title = match moment {
            Moment::Clean => format!("Confusion of {name}"),
            Moment::Attacked => format!("Confusion of {name}, attacked"),
        };
        let truth = classes(table, ClassColumn::Truth, "True".into());
        Self::of(title, [truth, predicted(table, side, moment)])
    }

    /// The classes that two models predict.
    pub fn predictions(table: &Table, pair: [usize; 2], moment: Moment) -> Self {
        let title = match moment {
            Moment::Clean => "Predictions".into(),
            Moment::Attacked => "Predictions, attacked".into(),
        };
        Self::of(title, pair.map(|side| predicted(table, side, moment)))
    }

    /// Those of a table that say something: outcomes, confusions, and what pairs of models predict.
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

    /// Which pictures a cell counts.
    pub fn query(&self, row: usize, column: usize) -> Query {
        let parts = [&self.rows.parts[row], &self.columns.parts[column]];
        Filter::And(parts.map(|(_, filter)| filter.clone()).to_vec()).into()
    }

    /// The sum of its counts.
    pub fn total(&self) -> usize {
        self.counts.iter().flatten().sum()
    }
}

/// An axis, and for each record of a table the part that it is in.
type Placed = (Axis, Vec<Option<usize>>);

/// When a model looked at the pictures of a table.
fn moments(table: &Table, side: usize) -> &'static [Moment] {
    let attacked = |record: &Record| record.sides[side].is_some_and(|side| side.attacked.is_some());
    match table.records.iter().any(attacked) {
        true => &[Moment::Clean, Moment::Attacked],
        false => &[Moment::Clean],
    }
}

/// Right and wrong at each of these moments.
fn outcomes(table: &Table, side: usize, moments: &[Moment]) -> Placed {
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

fn predicted(table: &Table, side: usize, moment: Moment) -> Placed {
    let title = table.subjects[side].name.clone();
    classes(table, ClassColumn::Predicted(side, moment), title)
}

/// The classes of a column that occur.
fn classes(table: &Table, column: ClassColumn, title: String) -> Placed {
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
