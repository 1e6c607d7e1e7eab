//! Parser of the query language: tokens, recursive descent, error positions.

use super::{
    ClassColumn, ClassValue, ComparisonOperator, Filter, Flag, NumberColumn, Query, Sort, SortBy,
};
use crate::attack::parse_number;
use crate::triage::table::Table;

/// Keywords, which are names only in quotes.
pub(super) const RESERVED: [&str; 11] = [
    "and", "or", "not", "sort", "by", "asc", "desc", "true", "tag", "path", "fakeness",
];

/// Largest nesting depth of parentheses and “not”, to bound the recursion.
const DEEPEST: usize = 64;

/// The names that a query can use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary {
    /// Number of models, named `a`, `b`, …
    pub models: usize,
    /// Class names.
    pub classes: Vec<String>,
}

/// A syntax error in the text of a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at character {}: {reason}", at + 1)]
pub struct Mistake {
    /// Position: number of characters before the error.
    pub at: usize,
    /// Description of the error.
    pub reason: String,
}

impl Table {
    /// The names that a query of this table can use.
    pub fn vocabulary(&self) -> Vocabulary {
        Vocabulary {
            models: self.subjects.len(),
            classes: self.classes.clone(),
        }
    }
}

impl Query {
    /// Parses the text of a query; empty text selects all.
    ///
    /// # Errors
    /// A [`Mistake`] with the position of the first error.
    pub fn parse(text: &str, vocabulary: &Vocabulary) -> Result<Self, Mistake> {
        let mut parser = Parser {
            tokens: tokens(text)?,
            next: 0,
            end: text.chars().count(),
            vocabulary,
        };
        let all = parser.tokens.is_empty() || parser.is_word("sort");
        let filter = if all { None } else { Some(parser.or(0)?) };
        let sort = parser.sort()?;
        match parser.tokens.get(parser.next) {
            None => Ok(Self { filter, sort }),
            Some(_) => Err(parser.wrong("here “and”, “or”, “sort by” or the end is wanted")),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    /// A number with its text, which may also be a name.
    Number(f32, String),
    Sign(&'static str),
}

/// Operator symbols, longer ones first, as shorter ones are their prefixes.
const SIGNS: [(&str, &str); 13] = [
    ("<=", "<="),
    (">=", ">="),
    ("!=", "!="),
    ("==", "="),
    ("≤", "<="),
    ("≥", ">="),
    ("≠", "!="),
    ("<", "<"),
    (">", ">"),
    ("=", "="),
    ("~", "~"),
    ("(", "("),
    (")", ")"),
];

/// Splits text into tokens, each with its character position.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Mistake> {
    let mut tokens = Vec::new();
    let (mut rest, mut at) = (text, 0);
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first.is_whitespace() {
            (None, first.len_utf8())
        } else if let Some((sign, token)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            (Some(Token::Sign(token)), sign.len())
        } else {
            let read = match first {
                '"' => text_token(rest),
                '0'..='9' | '-' | '.' => number_token(rest),
                _ => word_token(rest),
            };
            let (token, length) = read.map_err(|reason| Mistake { at, reason })?;
            (Some(token), length)
        };
        tokens.extend(token.map(|token| (at, token)));
        at += rest[..length].chars().count();
        rest = &rest[length..];
    }
    Ok(tokens)
}

fn text_token(rest: &str) -> Result<(Token, usize), String> {
    let (mut text, mut escaped) = (String::new(), false);
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if std::mem::take(&mut escaped) => text.push(c),
            '\\' => escaped = true,
            '"' => return Ok((Token::Text(text), index + 1)),
            _ => text.push(c),
        }
    }
    Err("this quotation has no end".into())
}

/// A number, or one over another, such as `8/255`.
fn number_token(rest: &str) -> Result<(Token, usize), String> {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '/');
    let length = rest.find(|c| !part(c)).unwrap_or(rest.len());
    let value = parse_number(&rest[..length]);
    let value = value.ok_or_else(|| format!("“{}” is no number", &rest[..length]))?;
    Ok((Token::Number(value, rest[..length].to_owned()), length))
}

fn word_token(rest: &str) -> Result<(Token, usize), String> {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let length = rest.find(|c| !part(c)).unwrap_or(rest.len());
    if length == 0 {
        let sign = rest.chars().next().unwrap_or(' ');
        return Err(format!("“{sign}” means nothing here"));
    }
    Ok((Token::Word(rest[..length].to_owned()), length))
}

struct Parser<'a> {
    tokens: Vec<(usize, Token)>,
    next: usize,
    end: usize,
    vocabulary: &'a Vocabulary,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn word(&self) -> Option<&str> {
        match self.peek() {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    fn is_word(&self, word: &str) -> bool {
        self.word() == Some(word)
    }

    /// Consumes a keyword if it is next.
    fn take(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.next += usize::from(found);
        found
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(next)) if *next == sign);
        self.next += usize::from(found);
        found
    }

    /// An error at the next token.
    fn wrong(&self, reason: impl Into<String>) -> Mistake {
        let at = self.tokens.get(self.next).map_or(self.end, |(at, _)| *at);
        Mistake {
            at,
            reason: reason.into(),
        }
    }

    fn or(&mut self, depth: usize) -> Result<Filter, Mistake> {
        self.list("or", Filter::Or, &|parser| parser.and(depth))
    }

    fn and(&mut self, depth: usize) -> Result<Filter, Mistake> {
        self.list("and", Filter::And, &|parser| parser.one(depth))
    }

    fn list(
        &mut self,
        word: &str,
        join: fn(Vec<Filter>) -> Filter,
        part: &dyn Fn(&mut Self) -> Result<Filter, Mistake>,
    ) -> Result<Filter, Mistake> {
        let first = part(self)?;
        if !self.is_word(word) {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.take(word) {
            parts.push(part(self)?);
        }
        Ok(join(parts))
    }

    fn one(&mut self, depth: usize) -> Result<Filter, Mistake> {
        if depth > DEEPEST {
            return Err(self.wrong("too many parentheses inside one another"));
        }
        if self.take("not") {
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.take_sign("(") {
            let inner = self.or(depth + 1)?;
            if !self.take_sign(")") {
                return Err(self.wrong("here “)” is wanted"));
            }
            return Ok(inner);
        }
        self.predicate()
    }

    fn predicate(&mut self) -> Result<Filter, Mistake> {
        let Some(word) = self.word().map(str::to_owned) else {
            return Err(self.wrong("here a column is wanted, such as a.right or true"));
        };
        let start = self.next;
        if self.take("tag") {
            return self.text("=").map(Filter::Tag);
        }
        if self.take("path") {
            return self.text("~").map(Filter::Path);
        }
        if let Some(column) = named(ClassColumn::all(self.vocabulary.models), &word) {
            self.next += 1;
            return self.class(column);
        }
        if let Some(column) = named(NumberColumn::all(self.vocabulary.models), &word) {
            self.next += 1;
            return self.number(column);
        }
        for flag in Flag::all(self.vocabulary.models) {
            if flag.to_string().split(' ').all(|word| self.take(word)) {
                return Ok(Filter::Flag(flag));
            }
            self.next = start;
        }
        Err(self.wrong(format!(
            "no column is called “{word}”; there are {}",
            self.columns()
        )))
    }

    /// Column names for error messages, those of the first model standing for all.
    fn columns(&self) -> String {
        fn names<T: ToString>(columns: Vec<T>) -> impl Iterator<Item = String> {
            columns.into_iter().map(|column| column.to_string())
        }
        let models = self.vocabulary.models.min(1);
        let all = names(ClassColumn::all(models))
            .chain(names(NumberColumn::all(models)))
            .chain(names(Flag::all(models)))
            .chain(["tag".into(), "path".into()]);
        let all: Vec<String> = all.collect();
        all.join(", ")
    }

    fn text(&mut self, sign: &str) -> Result<String, Mistake> {
        if !self.take_sign(sign) {
            return Err(self.wrong(format!("here “{sign}” is wanted")));
        }
        self.name()
    }

    /// Parses a name, in quotes or not.
    fn name(&mut self) -> Result<String, Mistake> {
        let name = match self.peek() {
            Some(Token::Text(text)) => text.clone(),
            Some(Token::Word(word)) if !RESERVED.contains(&word.as_str()) => word.clone(),
            Some(Token::Number(_, text)) => text.clone(),
            _ => return Err(self.wrong("here a name is wanted, between quotes if need be")),
        };
        self.next += 1;
        Ok(name)
    }

    fn class(&mut self, column: ClassColumn) -> Result<Filter, Mistake> {
        let equal = self.take_sign("=");
        if !equal && !self.take_sign("!=") {
            return Err(self.wrong("here “=” or “!=” is wanted"));
        }
        let columns = ClassColumn::all(self.vocabulary.models);
        if let Some(other) = self.word().and_then(|word| named(columns, word)) {
            self.next += 1;
            return Ok(Filter::Class(column, equal, ClassValue::Column(other)));
        }
        let before = self.next;
        let name = self.name()?;
        if !self.vocabulary.classes.contains(&name) {
            self.next = before;
            let known = self.vocabulary.classes.join(", ");
            return Err(self.wrong(format!("no class is called “{name}”; there are {known}")));
        }
        Ok(Filter::Class(column, equal, ClassValue::Named(name)))
    }

    fn number(&mut self, column: NumberColumn) -> Result<Filter, Mistake> {
        let found = ComparisonOperator::SIGNS
            .iter()
            .find(|(_, sign)| matches!(self.peek(), Some(Token::Sign(next)) if next == sign));
        let Some((comparison, _)) = found else {
            return Err(self.wrong("here a comparison is wanted, such as <"));
        };
        self.next += 1;
        let Some(Token::Number(value, _)) = self.peek() else {
            return Err(self.wrong("here a number is wanted"));
        };
        let filter = Filter::Number(column, *comparison, *value);
        self.next += 1;
        Ok(filter)
    }

    fn sort(&mut self) -> Result<Option<Sort>, Mistake> {
        if !self.take("sort") {
            return Ok(None);
        }
        if !self.take("by") {
            return Err(self.wrong("here “by” is wanted"));
        }
        let word = self.word().unwrap_or_default();
        let models = self.vocabulary.models;
        let by = if word == "path" {
            SortBy::Path
        } else if let Some(column) = named(NumberColumn::all(models), word) {
            SortBy::Number(column)
        } else if let Some(column) = named(ClassColumn::all(models), word) {
            SortBy::Class(column)
        } else {
            return Err(self.wrong("here a number, a class or path is wanted to sort by"));
        };
        self.next += 1;
        let descending = self.take("desc");
        if !descending {
            self.take("asc");
        }
        Ok(Some(Sort { by, descending }))
    }
}

/// The column with that name.
fn named<T: Copy + ToString>(columns: Vec<T>, name: &str) -> Option<T> {
    columns
        .into_iter()
        .find(|column| column.to_string() == name)
}
