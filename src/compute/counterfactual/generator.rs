//! Counterfactuals by a generator (paper B, arXiv 2310.00761).

use burn::tensor::activation::softmax;

use super::{CounterfactualRequest, CounterfactualResult, Question};
use crate::counterfactual::Counterfactual;
use crate::error::Result;
use crate::model::tensor_values;

/// Answers `request` by the generator of `model`, whatever its method says.
///
/// # Errors
/// [`crate::error::Error::Config`] when the target is no class of the model.
pub fn by_generator(
    model: &Counterfactual,
    request: CounterfactualRequest,
) -> Result<CounterfactualResult> {
    let targets = model.generator.outputs();
    let question = Question::new(&model.discriminator, model.classes(), targets, request)?;
    let translated = model
        .generator
        .translate(question.x.clone(), &[question.target]);
    let made = question.inside_mask(translated.picture);
    // A generator for some of the classes alone cannot always turn a picture into what it was.
    let back = targets.contains(&question.source).then(|| {
        let back = model.generator.translate(made.clone(), &[question.source]);
        question.inside_mask(back.picture)
    });
    let mut answer = question.finished(&model.discriminator, made, back);
    answer.head = Some(tensor_values(softmax(translated.head, 1)));
    Ok(answer)
}
