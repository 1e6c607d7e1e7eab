//! The query language: filters and sort order of a table's records, as text and as syntax tree.
//!
//! ```text
//! a.right and not b.attacked.right and (true = cat or a.flip < 8/255) sort by a.confidence desc
//! ```
//!
//! ```
//! use epsiloscope::triage::query::{Query, Vocabulary};
//!
//! let vocabulary = Vocabulary {
//!     models: 2,
//!     classes: vec!["cat".into(), "ship".into()],
//! };
//! let query = Query::parse("a.wrong and true = cat sort by a.confidence desc", &vocabulary)?;
//! assert_eq!(query.to_string(), "a.wrong and true = cat sort by a.confidence desc");
//! let mistake = Query::parse("a.wrong and", &vocabulary);
//! assert!(mistake.is_err());
//! # Ok::<(), epsiloscope::triage::query::Mistake>(())
//! ```
//!
//! Models are `a`, `b`, … in the order of their table. What is not known of a picture (no true class,
//! no attack, a flip beyond the search) is neither right nor wrong and compares with nothing.

mod column;
mod parse;
mod select;

pub use column::{ClassColumn, Flag, Moment, NumberColumn};
pub use parse::{Mistake, Vocabulary};

/// A query: a filter and a sort order. Its `Display` is the text that [`Query::parse`] reads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Condition of the selected pictures; `None` selects all.
    pub filter: Option<Filter>,
    /// Sort order; `None` keeps the source's order.
    pub sort: Option<Sort>,
}

/// A condition on a picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Conjunction of at least two filters.
    And(Vec<Filter>),
    /// Disjunction of at least two filters.
    Or(Vec<Filter>),
    /// Negation.
    Not(Box<Filter>),
    /// A named boolean property.
    Flag(Flag),
    /// Comparison of a class: equal where the flag is true, else unequal; false where either is missing.
    Class(ClassColumn, bool, ClassValue),
    /// Comparison of a number with a constant; false where the number is missing.
    Number(NumberColumn, ComparisonOperator, f32),
    /// The picture has this tag.
    Tag(String),
    /// The path contains this text, ignoring case.
    Path(String),
}

/// Right-hand side of a class comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassValue {
    /// The class with this name.
    Named(String),
    /// Another class column of the same picture.
    Column(ClassColumn),
}

/// Comparison operator of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum ComparisonOperator {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Equal,
    Unequal,
}

/// A sort order; missing values come last in either direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sort {
    /// The sort key.
    pub by: SortBy,
    /// Whether to sort in descending order.
    pub descending: bool,
}

/// Sort key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SortBy {
    /// A numeric column.
    Number(NumberColumn),
    /// A class column, by the table's class indices.
    Class(ClassColumn),
    /// The picture's path.
    Path,
}

impl ComparisonOperator {
    /// Every operator with its symbol.
    const SIGNS: [(Self, &str); 6] = [
        (Self::Less, "<"),
        (Self::AtMost, "<="),
        (Self::Greater, ">"),
        (Self::AtLeast, ">="),
        (Self::Equal, "="),
        (Self::Unequal, "!="),
    ];

    fn sign(self) -> &'static str {
        let found = Self::SIGNS.iter().find(|(known, _)| *known == self);
        found.map_or("=", |(_, sign)| sign)
    }
}

impl Query {
    /// Restricts the query by a further filter.
    pub fn and(mut self, also: Filter) -> Self {
        self.filter = Some(match self.filter.take() {
            None => also,
            Some(Filter::And(mut all)) => {
                all.push(also);
                Filter::And(all)
            }
            Some(other) => Filter::And(vec![other, also]),
        });
        self
    }
}

impl From<Filter> for Query {
    fn from(filter: Filter) -> Self {
        Self {
            filter: Some(filter),
            sort: None,
        }
    }
}

impl std::fmt::Display for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(filter) = &self.filter {
            write!(f, "{filter}")?;
        }
        let Some(Sort { by, descending }) = self.sort else {
            return Ok(());
        };
        let space = if self.filter.is_some() { " " } else { "" };
        let way = if descending { " desc" } else { "" };
        match by {
            SortBy::Number(column) => write!(f, "{space}sort by {column}{way}"),
            SortBy::Class(column) => write!(f, "{space}sort by {column}{way}"),
            SortBy::Path => write!(f, "{space}sort by path{way}"),
        }
    }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut list = |parts: &[Self], word: &str| {
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    write!(f, " {word} ")?;
                }
                part.inside(f)?;
            }
            Ok(())
        };
        match self {
            Self::And(parts) => list(parts, "and"),
            Self::Or(parts) => list(parts, "or"),
            Self::Not(part) => {
                f.write_str("not ")?;
                part.inside(f)
            }
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Class(column, equal, value) => {
                let sign = if *equal { "=" } else { "!=" };
                match value {
                    ClassValue::Named(name) => write!(f, "{column} {sign} {}", quoted(name)),
                    ClassValue::Column(other) => write!(f, "{column} {sign} {other}"),
                }
            }
            Self::Number(column, comparison, value) => {
                write!(f, "{column} {} {value}", comparison.sign())
            }
            Self::Tag(tag) => write!(f, "tag = {}", quoted(tag)),
            Self::Path(part) => write!(f, "path ~ {}", quoted(part)),
        }
    }
}

impl Filter {
    /// Writes a filter as operand of another, in parentheses where needed.
    fn inside(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::And(_) | Self::Or(_) => write!(f, "({self})"),
            _ => write!(f, "{self}"),
        }
    }
}

/// A name in query syntax: in quotes unless it is a plain word.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let starts = name.starts_with(char::is_alphabetic);
    if starts && name.chars().all(plain) && !parse::RESERVED.contains(&name) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}
