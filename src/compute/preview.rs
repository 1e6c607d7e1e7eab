//! Predictions of a model under other descriptions of its file: what it would answer if it were read otherwise.

use std::sync::Arc;

use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, TensorData};

use super::requests::{ComputeMessage, ModelInput};
use super::scheduler::Step;
use crate::data::picture::unit_planes;
use crate::data::{Crop, Picture, same_class};
use crate::evaluate::{predict, top};
use crate::model::import::{
    Alternative, DescriptionEdit, NORMALIZERS, NormalizerSource, alternatives,
};
use crate::model::{Classifier, ModelRef, Normalizer, tensor_values, zoo};

/// Pictures of known classes on which alternatives are compared, at most.
pub const MOST_LABELLED: usize = 64;

/// A request for predictions under other descriptions.
#[derive(Clone, Debug, PartialEq)]
pub struct PreviewRequest {
    /// The open picture and the model.
    pub input: ModelInput,
    /// Other pictures with their true classes, or with names that may be such, at most [`MOST_LABELLED`].
    pub labelled: Vec<(Picture, Crop, String)>,
}

/// The prediction under one description.
#[derive(Clone, Debug, PartialEq)]
pub struct DescriptionPreview {
    /// What it says of the file, in place of what is said now.
    pub alternative: Alternative,
    /// The likeliest class.
    pub class: usize,
    /// Its probability.
    pub confidence: f32,
    /// Of the labelled pictures whose class the model knows, how many are right, and how many there are.
    pub right: [usize; 2],
}

/// A way to read the file that is still to be tried.
enum Variant {
    /// Another normaliser before the same network.
    Normalizer(&'static str, Normalizer),
    /// The file opened again.
    Reopened(Alternative),
}

/// Previews under way: all of [`NORMALIZERS`], and all [`alternatives`] of the architecture, as which the file is opened
/// again.
pub struct PreviewJob {
    reference: ModelRef,
    model: Arc<Classifier>,
    /// The open picture, `[1, 3, h, w]`.
    x: Tensor<4>,
    /// The labelled pictures whose class the model knows, `[n, 3, h, w]`, with their classes.
    labelled: Option<(Tensor<4>, Vec<usize>)>,
    /// Still to be tried, the next one last.
    waiting: Vec<Variant>,
    found: Vec<DescriptionPreview>,
}

impl PreviewJob {
    /// Begins previews on the picture `x`, `[1, 3, h, w]`.
    pub(super) fn new(request: &PreviewRequest, model: Arc<Classifier>, x: Tensor<4>) -> Self {
        let reference = request.input.model.clone();
        let description = reference.description().unwrap_or_default();
        let others = alternatives(&model.manifest().architecture, &description).into_iter();
        let normalizers = NORMALIZERS
            .into_iter()
            .map(|(name, normalizer)| Variant::Normalizer(name, normalizer));
        let waiting = normalizers.chain(others.map(Variant::Reopened));
        let mut waiting: Vec<Variant> = waiting.collect();
        waiting.reverse();
        Self {
            labelled: labelled(&request.labelled, &model),
            reference,
            model,
            x,
            waiting,
            found: Vec::new(),
        }
    }

    /// Tries the next way to read the file.
    pub(super) fn step(&mut self) -> Step<ComputeMessage> {
        let Some(variant) = self.waiting.pop() else {
            return Step {
                message: None,
                done: true,
            };
        };
        self.found.extend(self.preview(variant));
        Step {
            message: Some(ComputeMessage::DescriptionsPreviewed(self.found.clone())),
            done: self.waiting.is_empty(),
        }
    }

    fn preview(&self, variant: Variant) -> Option<DescriptionPreview> {
        match variant {
            Variant::Normalizer(name, other) => {
                let own = self.model.manifest().normalizer;
                let alternative = Alternative {
                    what: "Normaliser",
                    name,
                    edit: DescriptionEdit::Normalizer(NormalizerSource::Named(name.into())),
                    is_current: other == own,
                };
                // The model's own normaliser undoes what is put before it.
                let instead = |x: &Tensor<4>| own.undo(other.apply(x.clone()));
                Some(self.of(alternative, &self.model, instead))
            }
            Variant::Reopened(alternative) if alternative.is_current => {
                Some(self.of(alternative, &self.model, Tensor::clone))
            }
            Variant::Reopened(mut alternative) => {
                // An alternative that does not fit the file is none.
                let edited = self.reference.edited(alternative.edit.clone())?;
                let other = zoo::open(&edited, self.model.device()).ok()?;
                let (ours, theirs) = (self.model.manifest(), other.manifest());
                if theirs.input != ours.input {
                    return None;
                }
                // The number of heads that was assumed is one of those that can be said.
                let says_heads = matches!(alternative.edit, DescriptionEdit::Heads(_));
                alternative.is_current = says_heads && theirs.architecture == ours.architecture;
                Some(self.of(alternative, &other, Tensor::clone))
            }
        }
    }

    fn of(
        &self,
        alternative: Alternative,
        model: &Classifier,
        instead: impl Fn(&Tensor<4>) -> Tensor<4>,
    ) -> DescriptionPreview {
        let logits = model.logits(instead(&self.x));
        let probabilities = tensor_values(softmax(logits, 1));
        let class = top(&probabilities);
        let right = self.labelled.as_ref().map_or([0; 2], |(x, classes)| {
            let found = predict(model, instead(x)).into_iter().zip(classes);
            let right = found.filter(|(found, class)| found == *class).count();
            [right, classes.len()]
        });
        DescriptionPreview {
            alternative,
            class,
            confidence: probabilities[class],
            right,
        }
    }
}

/// The pictures whose class the model knows.
fn labelled(
    pictures: &[(Picture, Crop, String)],
    model: &Classifier,
) -> Option<(Tensor<4>, Vec<usize>)> {
    let manifest = model.manifest();
    let size @ [h, w] = manifest.input;
    let class = |name: &String| {
        manifest
            .labels
            .iter()
            .position(|label| same_class(label, name))
    };
    let known = pictures.iter().filter_map(|(picture, crop, name)| {
        Some((unit_planes(&picture.cropped(*crop, size)), class(name)?))
    });
    let (planes, classes): (Vec<Vec<f32>>, Vec<usize>) = known.take(MOST_LABELLED).unzip();
    if classes.is_empty() {
        return None;
    }
    let data = TensorData::new(planes.concat(), [classes.len(), 3, h, w]);
    Some((Tensor::from_data(data, model.device()), classes))
}
