//! Knowledge distillation (Hinton et al. 2015): the network also learns the answers of a teacher.

use std::path::PathBuf;

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use crate::data::class_indices;
use crate::error::{Error, Result};
use crate::model::{Classifier, ModelRef, zoo};

/// Settings of a distillation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distillation {
    /// The teacher: a file or a bundled model's id.
    pub teacher: PathBuf,
    /// Share of the teacher in the loss, in (0, 1]; the labels have the rest.
    pub share: f64,
    /// Temperature T, above 0, by which both models' logits are divided.
    pub temperature: f64,
}

impl Distillation {
    /// Whether all settings are in range.
    pub fn is_valid(&self) -> bool {
        self.share > 0.0
            && self.share <= 1.0
            && self.temperature > 0.0
            && self.temperature.is_finite()
    }
}

/// A frozen teacher.
pub struct Teacher {
    model: Classifier,
    /// Indices of the classes among the teacher's, `[classes]`.
    columns: Tensor<1, Int>,
    settings: Distillation,
}

impl Teacher {
    /// Opens the teacher of a training on pictures of height and width `input` of these classes.
    ///
    /// # Errors
    /// As [`zoo::open`]; [`Error::Model`] when it does not know a class or sees another size.
    pub fn open(
        settings: &Distillation,
        input: [usize; 2],
        classes: &[String],
        device: &Device,
    ) -> Result<Self> {
        let path = &settings.teacher;
        let model = zoo::open(&ModelRef::from(path.as_os_str().to_owned()), device)?;
        let manifest = model.manifest();
        if manifest.input != input {
            let [height, width] = manifest.input;
            let reason = format!(
                "as a teacher it must see pictures of {}×{} pixels like the network in training, it sees {height}×{width}",
                input[0], input[1]
            );
            return Err(Error::model(path, reason));
        }
        let columns = class_indices(classes, &manifest.labels)
            .map_err(|reason| Error::model(path, format!("as a teacher: {reason}")))?;
        let columns: Vec<i32> = columns.into_iter().map(|at| at as i32).collect();
        Ok(Self {
            columns: Tensor::from_data(&columns[..], device),
            model,
            settings: settings.clone(),
        })
    }

    /// The loss of `logits` `[n, classes]` of pictures `[n, 3, h, w]`, whose loss by their labels is
    /// `label_loss`: (1 − share)·label_loss + share·T²·KL(teacher ‖ network), mean over the batch.
    pub fn loss(&self, pictures: Tensor<4>, logits: Tensor<2>, label_loss: Tensor<1>) -> Tensor<1> {
        let Distillation {
            share, temperature, ..
        } = self.settings;
        let answers = self.model.logits(pictures).select(1, self.columns.clone()) / temperature;
        let targets = softmax(answers.clone(), 1);
        let difference = log_softmax(answers, 1) - log_softmax(logits / temperature, 1);
        let divergence = (targets * difference).sum_dim(1).mean();
        label_loss * (1.0 - share) + divergence * (share * temperature * temperature)
    }
}
