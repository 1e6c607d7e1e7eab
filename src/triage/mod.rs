//! What goes wrong in a set of pictures: scanned once, kept in one file, and asked again and again.
//!
//! A [`Scan`] looks at every picture of a source with every model, attacks it and searches the ε at
//! which it flips; what it finds goes to a [`Database`] under the picture's, the model's and the
//! attack's fingerprints, so that nothing is computed twice. A [`Table`] is what one scan found, in
//! memory: a [`Query`] selects and orders it, a [`ConfusionMatrix`] and a
//! [`Histogram`] count it, [`report`] takes it elsewhere.

mod batch;
mod compare;
mod database;
mod fingerprint;
mod gather;
mod histogram;
mod item;
pub mod map;
mod matrix;
mod plan;
pub mod query;
pub mod reader;
pub mod report;
mod scan;
mod schema;
mod store;
mod table;

pub use database::{DATABASE_EXTENSIONS, Database, ScanRow, has_database_name};
pub use fingerprint::{Examined, Fingerprint};
pub use histogram::Histogram;
pub use matrix::{Axis, ConfusionMatrix};
pub use plan::{Bracket, FlipSearch, Plan};
pub use query::Query;
pub use scan::{Progress, Scan, ScanStep};
pub use table::{Record, ScanAttackResult, ScannedModel, Side, Table};
