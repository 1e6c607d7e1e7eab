//! What a person has set up for export.

use serde::{Deserialize, Serialize};

use crate::export::figure::Figure;
use crate::export::film::Film;

/// The figure and the film as they were last set up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exports {
    /// The figure.
    pub figure: Figure,
    /// The film.
    pub film: Film,
}

impl Exports {
    /// Puts those back to the usual that make no figure or film.
    pub(super) fn sanitize(&mut self) {
        if self.figure.validate().is_err() {
            self.figure = Figure::default();
        }
        if self.film.validate().is_err() {
            self.film = Film::default();
        }
    }
}
