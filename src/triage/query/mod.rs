//! Which pictures, in which order: a small language whose text and tree are one.
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

/// A selection and its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Which pictures; all without one.
    pub filter: Option<Filter>,
    /// In which order; the source's without one.
    pub sort: Option<Sort>,
}

/// What a picture has to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All of these, at least two.
    And(Vec<Filter>),
    /// One of these, at least two.
    Or(Vec<Filter>),
    /// Not this.
    Not(Box<Filter>),
    /// A fact.
    Flag(Flag),
    /// A class that is (or is not, but is known) another.
    Class(ClassColumn, bool, ClassValue),
    /// A number that is known and compares so.
    Number(NumberColumn, ComparisonOperator, f32),
    /// It has this tag.
    Tag(String),
    /// Its path has this in it, in letters of either case.
    Path(String),
}

/// What a class is compared with.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassValue {
    /// The class of this name.
    Named(String),
    /// Another class of the same picture.
    Column(ClassColumn),
}

/// How a number compares.
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

/// An order; what is not known comes last either way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// From the largest to the smallest.
    pub descending: bool,
}

/// What can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SortBy {
    /// A number.
    Number(NumberColumn),
    /// A class, as the table numbers them.
    Class(ClassColumn),
    /// The path.
    Path,
}

impl ComparisonOperator {
    /// Each with its sign.
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
    /// The same of those pictures alone that are also this: what a click adds.
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
    /// Writes it as a part of another.
    fn inside(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::And(_) | Self::Or(_) => write!(f, "({self})"),
            _ => write!(f, "{self}"),
        }
    }
}

/// A name as it is written in a query: between quotes unless it is a plain word.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let starts = name.starts_with(char::is_alphabetic);
    if starts && name.chars().all(plain) && !parse::RESERVED.contains(&name) {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}
