//! What a scan is to find out, as plain data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::attack::Attack;
use crate::error::{Error, Result};

/// Most models of a scan: each has a letter.
pub const MOST_MODELS: usize = 26;

/// What a scan is to find out of every picture of a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// A folder, a tree of class folders, CIFAR-10's binary batches or a list; see
    /// [`crate::data::PictureList`].
    pub source: PathBuf,
    /// Ids of bundled models or paths of files; at most [`MOST_MODELS`].
    pub models: Vec<String>,
    /// The attack on each picture, if any.
    pub attack: Option<Attack>,
    /// Whether to search the ε of the same kind of attack at which each picture flips.
    pub flip: Option<FlipSearch>,
    /// Whether to keep the representations, for a map.
    pub map: bool,
}

/// How to search the ε at which a picture flips.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlipSearch {
    /// The largest ε to try.
    pub most: f32,
    /// How narrow the bracket has to be.
    pub tolerance: f32,
}

impl FlipSearch {
    /// How many times the ε of an attack a search goes, if nothing else is said.
    pub const REACH: f32 = 4.0;
    /// The usual tolerance, as a share of the largest ε.
    pub const SHARE: f32 = 0.01;

    /// Up to `most`, with the usual tolerance.
    pub fn up_to(most: f32) -> Self {
        Self {
            most,
            tolerance: most * Self::SHARE,
        }
    }
}

impl Plan {
    /// Refuses what contradicts itself; `classes` are those of each model.
    pub fn validate(&self, classes: &[usize]) -> Result<()> {
        let wrong = |reason: &str| Err(Error::Config(reason.into()));
        if self.models.is_empty() || self.models.len() > MOST_MODELS {
            return wrong("a scan needs between 1 and 26 models");
        }
        if let Some(attack) = &self.attack {
            classes
                .iter()
                .try_for_each(|&classes| attack.validate(classes))?;
        }
        let Some(search) = self.flip else {
            return Ok(());
        };
        if self.attack.is_none() {
            return wrong("to search the ε of a flip, an attack is needed");
        }
        let sound = search.most.is_finite() && search.tolerance >= search.most * 1e-5;
        if !sound || search.most <= 0.0 {
            return wrong(
                "the search for a flip needs a largest ε above 0 and a tolerance of at least a \
                 hundred-thousandth of it",
            );
        }
        Ok(())
    }
}

/// The attack without its ε, as what a search for a flip is stored under.
pub(super) fn family(attack: &Attack) -> Attack {
    Attack {
        epsilon: 0.0,
        ..attack.clone()
    }
}

/// The number of a picture's noise, or 0 where the attack draws none.
pub(super) fn noise(attack: &Attack, number: u64) -> u64 {
    let random = attack.random_start || attack.restarts > 1;
    if random { number } else { 0 }
}

/// Between which ε a picture flips: it was attacked at both ends and flipped at the upper alone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bracket {
    /// The largest ε below the flip that was tried; 0 for the picture itself.
    pub low: f32,
    /// The ε at which it flipped, if it did.
    pub high: Option<f32>,
}

impl Bracket {
    /// Of a picture that needs no attack.
    pub const AT_ONCE: Self = Self {
        low: 0.0,
        high: Some(0.0),
    };

    /// The ε to try next, or nothing if the bracket is as narrow as wanted.
    pub fn next(&self, search: FlipSearch) -> Option<f32> {
        let Some(high) = self.high else {
            return (self.low < search.most).then_some(search.most);
        };
        let middle = self.low + (high - self.low) / 2.0;
        let wide = high - self.low > search.tolerance;
        (wide && middle > self.low && middle < high).then_some(middle)
    }

    /// Takes in whether it flipped at an ε inside.
    pub fn learn(&mut self, epsilon: f32, flipped: bool) {
        if flipped {
            self.high = Some(epsilon);
        } else {
            self.low = epsilon;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bisection_ends_around_the_flip() {
        let search = FlipSearch {
            most: 2.0,
            tolerance: 0.01,
        };
        for flip in [0.003, 0.5, 1.234, 1.999] {
            let mut bracket = Bracket::default();
            let mut tries = 0;
            while let Some(epsilon) = bracket.next(search) {
                bracket.learn(epsilon, epsilon >= flip);
                tries += 1;
            }
            let high = bracket.high.expect("it flips below 2");
            assert!(bracket.low < flip && flip <= high && high - bracket.low <= 0.01);
            assert!(tries <= 9, "{tries}");
        }
        // Never within reach; a further reach goes on where the last ended.
        let mut bracket = Bracket::default();
        bracket.learn(bracket.next(search).expect("one try"), false);
        assert_eq!((bracket.next(search), bracket.low), (None, 2.0));
        let further = FlipSearch {
            most: 4.0,
            ..search
        };
        assert_eq!(bracket.next(further), Some(4.0));
        assert_eq!(Bracket::AT_ONCE.next(search), None);
    }
}
