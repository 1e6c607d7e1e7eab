//! The frozen classifier for which a generator is trained: what it says of pictures, and the gradient by which
//! the generator learns to change its answer.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use super::config::FrozenClassifier;
use crate::attack::auto::Loss;
use crate::counterfactual::{TargetClassifier, real_classes};
use crate::data::class_indices;
use crate::error::{Error, Result};
use crate::evaluate::probabilities;
use crate::model::{Classifier, Examined, Manifest, ModelRef, tensor_values};

impl FrozenClassifier {
    /// The model `path`, a file or a bundled model's id, with its manifest.
    ///
    /// # Errors
    /// As [`crate::model::zoo::open`].
    pub fn open(path: &Path) -> Result<(Self, Manifest)> {
        let examined = opened(path, &Device::flex())?;
        let manifest = examined.classifier.manifest().clone();
        let reference = Self {
            model: path.into(),
            identity: TargetClassifier {
                name: manifest.name.clone(),
                fingerprint: examined.fingerprint.to_string(),
            },
        };
        Ok((reference, manifest))
    }
}

fn opened(path: &Path, device: &Device) -> Result<Examined> {
    Examined::open(&ModelRef::from(path.as_os_str().to_owned()), device)
}

/// A classifier whose weights never change, and its outputs for the classes of a training.
pub struct Frozen {
    /// The classifier.
    pub classifier: Arc<Classifier>,
    /// For each class of the training the classifier's output.
    pub outputs: Vec<usize>,
}

impl Frozen {
    /// Opens the classifier for a training of `classes` on pictures of height and width `input`.
    ///
    /// # Errors
    /// As [`crate::model::zoo::open`]; [`Error::Model`] where its content is another than that of `reference`, it lacks a
    /// class, or sees pictures of another size.
    pub(super) fn open(
        reference: &FrozenClassifier,
        classes: &[String],
        input: [usize; 2],
        device: &Device,
    ) -> Result<Self> {
        let FrozenClassifier { model, identity } = reference;
        let Examined {
            fingerprint,
            classifier,
        } = opened(model, device)?;
        let wrong = |reason: String| Error::model(model, reason);
        if fingerprint.to_string() != identity.fingerprint {
            return Err(wrong(
                "its content has changed since this training was begun; start a new one".into(),
            ));
        }
        let manifest = classifier.manifest();
        if manifest.input != input {
            let reason = format!(
                "it sees pictures of {:?} pixels, the training has pictures of {input:?}",
                manifest.input
            );
            return Err(wrong(reason));
        }
        let real = &manifest.labels[..real_classes(&manifest.labels)];
        let outputs = class_indices(classes, real).map_err(wrong)?;
        Ok(Self {
            classifier,
            outputs,
        })
    }

    /// Its labels for the classes of the training.
    pub fn labels(&self) -> Vec<String> {
        let labels = &self.classifier.manifest().labels;
        self.outputs
            .iter()
            .map(|&output| labels[output].clone())
            .collect()
    }

    /// The outputs of these classes of the training.
    pub fn outputs_of(&self, classes: &[usize]) -> Vec<usize> {
        classes.iter().map(|&class| self.outputs[class]).collect()
    }

    /// The likeliest class of the training other than its own for each of the pictures `[n, 3, h, w]`.
    pub(super) fn runners_up(&self, x: Tensor<4>, sources: &[usize]) -> Vec<usize> {
        let seen = self.in_chunks(&x, |x| probabilities(&self.classifier, x));
        let seen = seen.into_iter().flatten().zip(sources);
        seen.map(|(seen, &source)| {
            let others = (0..self.outputs.len()).filter(|&class| class != source);
            let value = |class: usize| seen[self.outputs[class]];
            others
                .max_by(|&a, &b| value(a).total_cmp(&value(b)))
                .unwrap_or(source)
        })
        .collect()
    }

    /// The flip term of pictures `[n, 3, h, w]` on the autodiff graph: the mean cross-entropy of the classifier's
    /// answers to the classes `targets`, and a scalar whose gradient is that of the mean.
    ///
    /// The classifier computes its own gradient, as for an attack, so that any classifier will do and none of its
    /// weights is part of the graph.
    pub(super) fn flip_term(&self, pictures: Tensor<4>, targets: &[usize]) -> (f64, Tensor<1>) {
        let n = targets.len();
        let (mut sum, mut gradients, mut first) = (0.0, Vec::new(), 0);
        let wanted = self.outputs_of(targets);
        let found = self.in_chunks(&pictures.clone().inner(), |x| {
            let [count, ..] = x.dims();
            let wanted = &wanted[first..first + count];
            first += count;
            self.classifier.gradient(&x, &|features| {
                let logits = self.classifier.logits_of(features);
                Loss::CrossEntropy.of_logits(logits, wanted, &[])
            })
        });
        for (losses, gradient) in found {
            sum += tensor_values(losses)
                .into_iter()
                .map(f64::from)
                .sum::<f64>();
            gradients.push(gradient);
        }
        let gradient = Tensor::cat(gradients, 0);
        (sum / n as f64, (pictures * gradient).sum() / n as f64)
    }

    /// What `compute` makes of the pictures, as many at once as fit in memory.
    fn in_chunks<T>(&self, x: &Tensor<4>, mut compute: impl FnMut(Tensor<4>) -> T) -> Vec<T> {
        let [n, ..] = x.dims();
        let most = self.classifier.budget().at_once().max(1);
        let starts = (0..n).step_by(most);
        starts
            .map(|at| compute(x.clone().narrow(0, at, most.min(n - at))))
            .collect()
    }
}
