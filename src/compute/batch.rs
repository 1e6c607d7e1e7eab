//! Running attacks, and the predictions of new forward passes on their results.

use burn::tensor::Tensor;

use super::GpuImage;
use super::requests::AttackResult;
use crate::attack::{Attack, AttackMask, AttackRun};
use crate::evaluate;
use crate::model::Classifier;

/// The same picture attacked at several ε at once.
pub(super) struct AttackBatch {
    run: Option<AttackRun>,
    x: Tensor<4>,
    radii: Vec<f32>,
}

impl AttackBatch {
    pub(super) fn new(
        model: &Classifier,
        attack: &Attack,
        x: &Tensor<4>,
        label: usize,
        radii: &[f32],
        mask: Option<&AttackMask>,
    ) -> Self {
        let count = radii.len();
        let x = x.clone().repeat_dim(0, count);
        // All share one noise, so that the curve over ε is smooth.
        let run = AttackRun::new(
            attack,
            model,
            x.clone(),
            &vec![label; count],
            &vec![0; count],
            radii,
        );
        Self {
            run: Some(run.within(mask)),
            x,
            radii: radii.to_vec(),
        }
    }

    /// Share of the steps done.
    pub(super) fn progress(&self) -> f32 {
        self.run.as_ref().map_or(1.0, AttackRun::progress)
    }

    /// One gradient step; the results once all are done.
    pub(super) fn step(&mut self, model: &Classifier) -> Option<Vec<AttackResult>> {
        let run = self.run.as_mut()?;
        if run.step(model) {
            return None;
        }
        let adversarial = self.run.take()?.finish(model);
        Some(judge(model, &self.x, adversarial, &self.radii))
    }
}

fn judge(
    model: &Classifier,
    x: &Tensor<4>,
    adversarial: Tensor<4>,
    radii: &[f32],
) -> Vec<AttackResult> {
    let evaluated = evaluate::evaluate_attack(model, x, &adversarial);
    let one = |(index, prediction): (usize, evaluate::Prediction)| {
        let picture = adversarial.clone().narrow(0, index, 1);
        AttackResult {
            epsilon: radii[index],
            inside_box: evaluate::inside_box(&picture),
            picture: GpuImage::new(picture),
            probabilities: prediction.probabilities,
            linf: evaluated.linf[index],
            l2: evaluated.l2[index],
        }
    };
    evaluated
        .predictions
        .into_iter()
        .enumerate()
        .map(one)
        .collect()
}
