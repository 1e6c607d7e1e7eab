//! Scan settings (models, attack, flip search), and the bisection of the flip ε.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::attack::Attack;
use crate::error::{Error, Result};
use crate::files::path_text;
use crate::model::ModelRef;

/// Most models of a scan: each is named by a letter in queries.
pub const MOST_MODELS: usize = 26;

/// Settings of a scan, as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// A folder, a tree of class folders, CIFAR-10's binary batches or a list; see
    /// [`crate::data::PictureList`].
    #[serde(with = "path_text")]
    pub source: PathBuf,
    /// The models that look; at most `MOST_MODELS`.
    pub models: Vec<ModelRef>,
    /// The attack on each picture, if any.
    pub attack: Option<Attack>,
    /// Search of the smallest ε at which the same kind of attack flips each prediction, if wanted.
    pub flip: Option<FlipSearch>,
    /// Whether to store representations, for maps by PCA or t-SNE.
    pub map: bool,
}

/// Settings of the bisection of a picture's flip ε.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlipSearch {
    /// Largest ε to try, in units of pixels in [0, 1].
    pub most: f32,
    /// Width of the bracket at which the bisection ends, in the same unit.
    pub tolerance: f32,
}

impl FlipSearch {
    /// Default of the largest ε, as a multiple of the attack's ε.
    pub const REACH: f32 = 4.0;
    /// Default tolerance, as a share of the largest ε.
    pub const SHARE: f32 = 0.01;

    /// A search up to `most` with the default tolerance.
    pub fn up_to(most: f32) -> Self {
        Self {
            most,
            tolerance: most * Self::SHARE,
        }
    }
}

impl Plan {
    /// Checks that the settings are in range and consistent; `classes` has each model's number of classes.
    ///
    /// # Errors
    /// [`Error::Config`] names the setting that is wrong.
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

/// The attack with ε 0, as key of the results of a flip search.
pub(super) fn family(attack: &Attack) -> Attack {
    Attack {
        epsilon: 0.0,
        ..attack.clone()
    }
}

/// Noise id of a picture, or 0 where the attack uses no random start.
pub(super) fn noise(attack: &Attack, number: u64) -> u64 {
    let random = attack.random_start || attack.restarts > 1 || !attack.method.is_pgd();
    if random { number } else { 0 }
}

/// Bracket of the ε at which a prediction flips: attacked at both ends, it flipped only at the upper one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bracket {
    /// Largest tried ε without a flip; 0 for the clean picture.
    pub low: f32,
    /// Smallest tried ε with a flip; `None` if there is none.
    pub high: Option<f32>,
}

impl Bracket {
    /// The bracket of a picture that satisfies the attack's goal without an attack.
    pub const AT_ONCE: Self = Self {
        low: 0.0,
        high: Some(0.0),
    };

    /// The ε to try next, or `None` if the bisection has ended.
    pub fn next(&self, search: FlipSearch) -> Option<f32> {
        let Some(high) = self.high else {
            return (self.low < search.most).then_some(search.most);
        };
        let middle = self.low + (high - self.low) / 2.0;
        let wide = high - self.low > search.tolerance;
        (wide && middle > self.low && middle < high).then_some(middle)
    }

    /// Narrows the bracket by the result at an ε inside.
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
