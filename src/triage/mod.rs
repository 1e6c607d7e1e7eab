//! Error analysis of a data set: scans with predictions and attacks, stored in an SQLite database and
//! queried.
//!
//! A [`Scan`] evaluates every model on every picture of a source, attacks it and searches the ε at which
//! its prediction flips; results are stored in a [`Database`] by the fingerprints of picture, model and
//! attack, so that nothing is computed twice. A [`Table`] has the results of one scan in memory: a
//! [`Query`] selects and sorts its records, a [`ConfusionMatrix`] and a [`Histogram`] count them,
//! [`report`] exports them.

mod batch;
mod compare;
mod database;
mod gather;
mod histogram;
mod item;
pub mod map;
mod matrix;
mod merge;
mod part;
mod plan;
pub mod query;
pub mod reader;
pub mod report;
mod scan;
mod schema;
mod store;
mod table;

pub use database::{DATABASE_EXTENSIONS, Database, ScanRow, has_database_name};
pub use histogram::Histogram;
pub use matrix::{Axis, ConfusionMatrix};
pub use merge::Conflict;
pub use part::Part;
pub use plan::{Bracket, FlipSearch, Plan};
pub use query::Query;
pub use scan::{Scan, ScanCounts, ScanStep};
pub use table::{Record, ScanAttackResult, ScannedModel, Side, Table};
