//! Columns of the query language: flags, classes and numbers of a picture, by name.

use std::fmt::{Display, Formatter, Result};

use crate::triage::table::{Record, ScanAttackResult, Side, Table};

/// Confidence threshold of “confident but wrong”.
const CONFIDENT: f32 = 0.9;

/// Clean or attacked picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Moment {
    Clean,
    Attacked,
}

/// A boolean property of a picture; indices are those of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// The model predicts the true class.
    Right(usize, Moment),
    /// The model predicts another class than the true one.
    Wrong(usize, Moment),
    /// The attack on the model succeeded.
    Success(usize),
    /// The models' predictions differ.
    Disagree(Moment),
    /// A model predicts a wrong class for the clean picture with a confidence of at least 0.9.
    ConfidentButWrong,
}

/// A class-valued column; indices are those of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassColumn {
    /// The true class.
    Truth,
    /// The class that a model predicts.
    Predicted(usize, Moment),
}

/// A numeric column; indices are those of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberColumn {
    /// Probability of the predicted class.
    Confidence(usize, Moment),
    /// Probability of “fake”; without a model, by the first that has this output.
    Fakeness(Option<usize>),
    /// The flip ε: the smallest ε known to flip the prediction, the upper end of the bracket.
    Flip(usize),
    /// L∞ norm of the perturbation.
    Linf(usize),
    /// L2 norm of the perturbation.
    L2(usize),
}

fn of(side: usize) -> char {
    Table::model_label(side)
}

impl Moment {
    const ALL: [Self; 2] = [Self::Clean, Self::Attacked];
}

impl Display for Moment {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Clean => "",
            Self::Attacked => "attacked.",
        })
    }
}

impl Display for Flag {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match *self {
            Self::Right(side, moment) => write!(f, "{}.{moment}right", of(side)),
            Self::Wrong(side, moment) => write!(f, "{}.{moment}wrong", of(side)),
            Self::Success(side) => write!(f, "{}.attacked.success", of(side)),
            Self::Disagree(moment) => write!(f, "{moment}disagree"),
            Self::ConfidentButWrong => f.write_str("confident but wrong"),
        }
    }
}

impl Display for ClassColumn {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match *self {
            Self::Truth => f.write_str("true"),
            Self::Predicted(side, moment) => write!(f, "{}.{moment}pred", of(side)),
        }
    }
}

impl Display for NumberColumn {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match *self {
            Self::Confidence(side, moment) => write!(f, "{}.{moment}confidence", of(side)),
            Self::Fakeness(None) => f.write_str("fakeness"),
            Self::Fakeness(Some(side)) => write!(f, "{}.fakeness", of(side)),
            Self::Flip(side) => write!(f, "{}.flip", of(side)),
            Self::Linf(side) => write!(f, "{}.linf", of(side)),
            Self::L2(side) => write!(f, "{}.l2", of(side)),
        }
    }
}

impl Flag {
    /// All columns of a table with that many models.
    pub fn all(models: usize) -> Vec<Self> {
        let of = |side: usize| {
            let moments = Moment::ALL.into_iter();
            let each = moments
                .flat_map(move |moment| [Self::Right(side, moment), Self::Wrong(side, moment)]);
            each.chain([Self::Success(side)])
        };
        let disagree = Moment::ALL.map(Self::Disagree);
        let of_all = disagree.into_iter().chain([Self::ConfidentButWrong]);
        (0..models).flat_map(of).chain(of_all).collect()
    }

    /// Index of the model that it refers to, if it refers to one.
    pub fn side(self) -> Option<usize> {
        match self {
            Self::Right(side, _) | Self::Wrong(side, _) | Self::Success(side) => Some(side),
            Self::Disagree(_) | Self::ConfidentButWrong => None,
        }
    }

    /// Whether a record has the property; false where values are missing.
    pub fn holds(self, record: &Record) -> bool {
        let right = |side: usize, moment: Moment| {
            let side = side_of(record, side)?;
            match moment {
                Moment::Clean => side.right,
                Moment::Attacked => side.attacked?.right,
            }
        };
        match self {
            Self::Right(side, moment) => right(side, moment) == Some(true),
            Self::Wrong(side, moment) => right(side, moment) == Some(false),
            Self::Success(side) => attacked(record, side).is_some_and(|hit| hit.success),
            Self::Disagree(moment) => {
                let predicted = |side| ClassColumn::Predicted(side, moment).of(record);
                let mut classes = (0..record.sides.len()).filter_map(predicted);
                let first = classes.next();
                classes.any(|class| Some(class) != first)
            }
            Self::ConfidentButWrong => record
                .sides
                .iter()
                .flatten()
                .any(|side| side.right == Some(false) && side.confidence >= CONFIDENT),
        }
    }
}

impl ClassColumn {
    /// All columns of a table with that many models.
    pub fn all(models: usize) -> Vec<Self> {
        let of = |side| Moment::ALL.map(|moment| Self::Predicted(side, moment));
        let predicted = (0..models).flat_map(of);
        [Self::Truth].into_iter().chain(predicted).collect()
    }

    /// The record's class, an index into the table's classes; `None` where it is missing.
    pub fn of(self, record: &Record) -> Option<usize> {
        match self {
            Self::Truth => record.truth,
            Self::Predicted(side, Moment::Clean) => Some(side_of(record, side)?.class),
            Self::Predicted(side, Moment::Attacked) => Some(attacked(record, side)?.class),
        }
    }
}

impl NumberColumn {
    /// All columns of a table with that many models.
    pub fn all(models: usize) -> Vec<Self> {
        let of = |side: usize| {
            let confidence = Moment::ALL.map(|moment| Self::Confidence(side, moment));
            let others = [
                Self::Fakeness(Some(side)),
                Self::Flip(side),
                Self::Linf(side),
                Self::L2(side),
            ];
            confidence.into_iter().chain(others)
        };
        let all = (0..models).flat_map(of);
        all.chain([Self::Fakeness(None)]).collect()
    }

    /// The columns that have a value for any picture of the table.
    pub fn known(table: &Table) -> Vec<Self> {
        let any = |column: &Self| {
            let mut records = table.records.iter();
            records.any(|record| column.of(record).is_some())
        };
        let all = Self::all(table.subjects.len()).into_iter();
        all.filter(any).collect()
    }

    /// Index of the model that it refers to, if it refers to one.
    pub fn side(self) -> Option<usize> {
        match self {
            Self::Confidence(side, _) | Self::Flip(side) | Self::Linf(side) | Self::L2(side) => {
                Some(side)
            }
            Self::Fakeness(side) => side,
        }
    }

    /// The record's value; `None` where it is missing.
    pub fn of(self, record: &Record) -> Option<f32> {
        match self {
            Self::Confidence(side, Moment::Clean) => Some(side_of(record, side)?.confidence),
            Self::Confidence(side, Moment::Attacked) => Some(attacked(record, side)?.confidence),
            Self::Fakeness(Some(side)) => side_of(record, side)?.fakeness,
            Self::Fakeness(None) => record.sides.iter().flatten().find_map(|side| side.fakeness),
            Self::Flip(side) => side_of(record, side)?.flip?.high,
            Self::Linf(side) => Some(attacked(record, side)?.linf),
            Self::L2(side) => Some(attacked(record, side)?.l2),
        }
    }
}

fn side_of(record: &Record, side: usize) -> Option<&Side> {
    record.sides.get(side)?.as_ref()
}

fn attacked(record: &Record, side: usize) -> Option<ScanAttackResult> {
    side_of(record, side)?.attacked
}
