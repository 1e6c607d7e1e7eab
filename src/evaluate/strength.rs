//! Whether an attack is as strong as it could be: measured by a stronger one on some of the pictures.

use super::{BATCH, batch, predict};
use crate::attack::{Attack, Goal};
use crate::data::Dataset;
use crate::model::Classifier;

/// Pictures on which the attacks are compared, at most.
const COMPARED: usize = 128;
/// Fewer pictures cannot tell a point of accuracy.
const FEWEST: usize = 100;
/// Loss of accuracy by the stronger attack from which on it is told.
const TOLERATED: f64 = 0.01;

/// Compares untargeted PGD, of which `held` says what each picture of `data` withstood, with twice its steps and another
/// random start on up to 128 of them, and says so where that still lowers the accuracy by more than a point; nothing for
/// other attacks, and of fewer than 100 pictures. `progress` is called after each batch; returning `false` ends the
/// comparison without a result.
pub fn warning_of_strength(
    model: &Classifier,
    data: &Dataset,
    (attack, held): (&Attack, &[bool]),
    mut progress: impl FnMut() -> bool,
) -> Option<String> {
    let count = data.len().min(COMPARED);
    let comparable = attack.method.is_pgd() && attack.steps > 0 && attack.epsilon > 0.0;
    if !comparable || attack.goal != Goal::Untargeted || count < FEWEST || held.len() < data.len() {
        return None;
    }
    let stronger = Attack {
        steps: 2 * attack.steps,
        step_size: None,
        random_start: true,
        restarts: 1,
        seed: attack.seed.wrapping_add(1),
        ..attack.clone()
    };
    let indices = data.evenly_spaced(count).into_iter();
    let indices: Vec<usize> = indices.filter(|&index| held[index]).collect();
    let mut fell = 0;
    for chunk in indices.chunks(BATCH) {
        if !progress() {
            return None;
        }
        let (x, labels, ids) = batch(data, chunk, model);
        let found = predict(model, stronger.run(model, &x, &labels, &ids)).into_iter();
        fell += found
            .zip(&labels)
            .filter(|(class, label)| class != *label)
            .count();
    }
    let held = indices.len();
    let lost = fell as f64 / count as f64;
    (lost > TOLERATED).then(|| {
        format!(
            "{} steps from another start fooled {fell} of the {held} of {count} pictures that withstood {}: {:.1} points \
             less; take more steps, restarts or AutoAttack",
            stronger.steps,
            attack.kind(),
            100.0 * lost
        )
    })
}
