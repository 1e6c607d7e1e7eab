//! The explained score: logit or probability of a class, or the difference of two classes.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Whether the logit or the probability of a class is explained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// The class's logit.
    Logit,
    /// The class's softmax probability, as in arXiv 2307.02500.
    #[default]
    Probability,
}

/// A class, chosen relative to a picture's prediction and label, or by its index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassChoice {
    /// The class predicted for the explained picture itself.
    #[default]
    Predicted,
    /// The true class; where it is unknown, the class predicted before any attack.
    True,
    /// The second likeliest class of the explained picture.
    Second,
    /// The class with this index.
    Class(usize),
}

/// The score to explain, in terms of a prediction yet to be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Whether logits or probabilities are explained.
    pub score: Score,
    /// The class to explain.
    pub class: ClassChoice,
    /// If given, the score of this class is subtracted.
    pub against: Option<ClassChoice>,
}

impl Question {
    /// Resolves the classes for a picture whose two likeliest classes are `likeliest` and whose label is
    /// `label`.
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

    /// Checks the class indices for a model of `classes` classes.
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

/// The scalar output of a model that is explained, with resolved class indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Whether logits or probabilities are explained.
    pub score: Score,
    /// Index of the explained class.
    pub class: usize,
    /// Index of the class whose score is subtracted.
    pub against: Option<usize>,
}

impl Target {
    /// Refuses the difference of a class to itself: every map would be zero.
    ///
    /// # Errors
    /// [`Error::Config`] where both classes are the same.
    pub fn validate(&self) -> Result<()> {
        if self.against == Some(self.class) {
            return Err(Error::Config(
                "the class to explain and the one taken off are the same".into(),
            ));
        }
        Ok(())
    }

    /// The score of each picture, `[n]`, from logits `[n, k]`.
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
