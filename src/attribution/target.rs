//! What is explained: a class, or the difference of two, as a logit or as a probability.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Which output of the model is explained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// The class's logit.
    Logit,
    /// The class's softmax probability, as in arXiv 2307.02500.
    #[default]
    Probability,
}

/// A class by its part in the picture's story or by its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassChoice {
    /// The one that the model sees in the very picture that is explained.
    #[default]
    Predicted,
    /// The true one; where it is not known, the one seen in the picture before any attack.
    True,
    /// The second likeliest in that picture.
    Second,
    /// This one.
    Class(usize),
}

/// What a person asks of a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Logit or probability.
    pub score: Score,
    /// The class to explain.
    pub class: ClassChoice,
    /// Explain by how much the class leads over this one.
    pub against: Option<ClassChoice>,
}

impl Question {
    /// Names the classes, for a picture whose two likeliest classes are `likeliest` and whose true
    /// class is `label`.
    pub fn target(&self, likeliest: [usize; 2], label: usize) -> Target {
        let resolve = |choice: ClassChoice| match choice {
            ClassChoice::Predicted => likeliest[0],
            ClassChoice::Second => likeliest[1],
            ClassChoice::True => label,
            ClassChoice::Class(class) => class,
        };
        Target {
            score: self.score,
            class: resolve(self.class),
            against: self.against.map(resolve),
        }
    }

    /// Refuses classes that a model of `classes` classes does not have.
    ///
    /// # Errors
    /// [`Error::Config`] naming the class.
    pub fn validate(&self, classes: usize) -> Result<()> {
        for choice in [Some(self.class), self.against].into_iter().flatten() {
            if let ClassChoice::Class(class) = choice
                && class >= classes
            {
                return Err(Error::Config(format!(
                    "the class {class} is not one of the {classes} classes"
                )));
            }
        }
        Ok(())
    }
}

/// A number that a model gives a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Logit or probability.
    pub score: Score,
    /// The class.
    pub class: usize,
    /// The class whose score is taken off.
    pub against: Option<usize>,
}

impl Target {
    /// Refuses to explain a class against itself: every map would be zero.
    ///
    /// # Errors
    /// [`Error::Config`] that says so.
    pub fn validate(&self) -> Result<()> {
        if self.against == Some(self.class) {
            return Err(Error::Config(
                "the class to explain and the one taken off are the same".into(),
            ));
        }
        Ok(())
    }

    /// The scores `[n]` of logits `[n, k]`.
    pub fn of_logits(&self, logits: Tensor<2>) -> Tensor<1> {
        let scores = match self.score {
            Score::Logit => logits,
            Score::Probability => softmax(logits, 1),
        };
        let of = |class: usize| scores.clone().narrow(1, class, 1).squeeze_dim::<1>(1);
        match self.against {
            Some(other) => of(self.class) - of(other),
            None => of(self.class),
        }
    }
}
