//! Evaluation of queries: selects and sorts the records of a table.

use std::cmp::Ordering;

use super::{ClassValue, ComparisonOperator, Filter, Query, Sort, SortBy};
use crate::triage::table::{Record, Table};

/// A filter compiled for the records of a table.
type Predicate<'a> = Box<dyn Fn(&Record) -> bool + 'a>;

impl Query {
    /// Indices of the selected records of a table, in the query's order. A class name that the table does
    /// not have equals none of its classes.
    pub fn select(&self, table: &Table) -> Vec<usize> {
        let all = 0..table.records.len();
        let mut selected: Vec<usize> = match &self.filter {
            None => all.collect(),
            Some(filter) => {
                let test = filter.compile(table);
                all.filter(|&index| test(&table.records[index])).collect()
            }
        };
        if let Some(sort) = self.sort {
            sort.sort(table, &mut selected);
        }
        selected
    }
}

impl Filter {
    fn compile<'a>(&'a self, table: &Table) -> Predicate<'a> {
        let each = |parts: &'a [Self]| -> Vec<Predicate<'a>> {
            parts.iter().map(|part| part.compile(table)).collect()
        };
        match self {
            Self::And(parts) => {
                let parts = each(parts);
                Box::new(move |record| parts.iter().all(|part| part(record)))
            }
            Self::Or(parts) => {
                let parts = each(parts);
                Box::new(move |record| parts.iter().any(|part| part(record)))
            }
            Self::Not(part) => {
                let part = part.compile(table);
                Box::new(move |record| !part(record))
            }
            Self::Flag(flag) => Box::new(|record| flag.holds(record)),
            Self::Class(column, equal, ClassValue::Named(name)) => {
                let class = table.classes.iter().position(|class| class == name);
                Box::new(move |record| {
                    let found = column.of(record);
                    found.is_some() && (found == class) == *equal
                })
            }
            Self::Class(column, equal, ClassValue::Column(other)) => Box::new(|record| {
                let both = column.of(record).zip(other.of(record));
                both.is_some_and(|(one, other)| (one == other) == *equal)
            }),
            Self::Number(column, comparison, value) => Box::new(|record| {
                let number = column.of(record);
                number.is_some_and(|number| comparison.holds(number, *value))
            }),
            Self::Tag(tag) => Box::new(|record| record.tags.contains(tag)),
            Self::Path(part) => {
                let part = part.to_lowercase();
                Box::new(move |record| record.path.to_lowercase().contains(&part))
            }
        }
    }
}

impl ComparisonOperator {
    fn holds(self, number: f32, value: f32) -> bool {
        match self {
            Self::Less => number < value,
            Self::AtMost => number <= value,
            Self::Greater => number > value,
            Self::AtLeast => number >= value,
            Self::Equal => number == value,
            Self::Unequal => number != value,
        }
    }
}

impl Sort {
    fn sort(self, table: &Table, selected: &mut [usize]) {
        let record = |index: usize| &table.records[index];
        match self.by {
            SortBy::Number(column) => {
                selected.sort_by(|&one, &other| {
                    let numbers = [one, other].map(|index| column.of(record(index)));
                    self.order(numbers, f32::total_cmp)
                });
            }
            SortBy::Class(column) => {
                selected.sort_by(|&one, &other| {
                    let classes = [one, other].map(|index| column.of(record(index)));
                    self.order(classes, usize::cmp)
                });
            }
            SortBy::Path => {
                selected.sort_by(|&one, &other| {
                    let paths = [one, other].map(|index| Some(record(index).path.as_str()));
                    self.order(paths, Ord::cmp)
                });
            }
        }
    }

    /// Compares two values; missing ones come last in either direction.
    fn order<T>(self, values: [Option<T>; 2], compare: impl Fn(&T, &T) -> Ordering) -> Ordering {
        match values {
            [Some(one), Some(other)] if self.descending => compare(&other, &one),
            [Some(one), Some(other)] => compare(&one, &other),
            [one, other] => other.is_some().cmp(&one.is_some()),
        }
    }
}
