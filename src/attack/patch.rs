//! Adversarial patches (Brown et al. 2017): a square or a disk inside which every value of a pixel is allowed, and the
//! search for the place where it does most.

use burn::tensor::Tensor;

use super::mask::AttackMask;
use super::{Attack, AttackMethod, Norm, PgdRun};
use crate::error::{Error, Result};
use crate::model::{Classifier, tensor_values};

/// Gradient steps by which places are compared.
const STEPS: usize = 5;
/// Places along each axis that are tried at most.
const MOST_PLACES: usize = 12;

/// The outline of a patch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PatchShape {
    /// A square.
    #[default]
    Square,
    /// The disk inside that square.
    Disk,
}

impl PatchShape {
    /// Whether the pixel at `row` and `column` of the square of `side` pixels around the patch is inside it.
    fn covers(self, row: usize, column: usize, side: usize) -> bool {
        let radius = side as f32 / 2.0;
        let [y, x] = [row, column].map(|at| at as f32 + 0.5 - radius);
        match self {
            Self::Square => true,
            Self::Disk => x * x + y * y <= radius * radius,
        }
    }

    /// The patch of `side` pixels whose square has its upper left `corner` (row, column) there, in pictures of height
    /// and width `size`; what is beyond their edges is cut off.
    ///
    /// # Errors
    /// [`Error::Config`] when nothing of it is inside.
    pub fn mask(self, corner: [usize; 2], side: usize, size: [usize; 2]) -> Result<AttackMask> {
        let [h, w] = size;
        let covers = |at: usize| {
            let (row, column) = (at / w, at % w);
            let within = |at: usize, from: usize| at.checked_sub(from).filter(|at| *at < side);
            match (within(row, corner[0]), within(column, corner[1])) {
                (Some(row), Some(column)) => self.covers(row, column, side),
                _ => false,
            }
        };
        AttackMask::new((0..h * w).map(covers).collect(), size)
    }
}

/// PGD inside a patch: L∞ with ε 1, so that every value in [0, 1] is allowed.
pub fn patch_attack(attack: &Attack) -> Attack {
    Attack {
        method: AttackMethod::Pgd,
        norm: Norm::Linf,
        epsilon: 1.0,
        step_size: None,
        ..attack.clone()
    }
}

/// A place of a patch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatchPlace {
    /// Row and column of the upper left corner of its square.
    pub corner: [usize; 2],
    /// The loss that the short attack left there; lower is better for the attack.
    pub loss: f32,
}

/// The search for the best place of a patch on one picture: a short attack at each place of a grid.
pub struct PatchSearch {
    shape: PatchShape,
    side: usize,
    attack: Attack,
    x: Tensor<4>,
    label: usize,
    corners: Vec<[usize; 2]>,
    tried: usize,
    run: Option<PgdRun>,
    best: Option<PatchPlace>,
}

impl PatchSearch {
    /// Prepares a search on the picture `x` (`[1, 3, h, w]`, class `label`) for a patch of `side` pixels; goal and seed
    /// are those of `attack`.
    ///
    /// # Errors
    /// [`Error::Config`] when the patch has no pixels or is larger than the picture.
    pub fn new(
        shape: PatchShape,
        side: usize,
        attack: &Attack,
        x: Tensor<4>,
        label: usize,
    ) -> Result<Self> {
        let [_, _, h, w] = x.dims();
        if side == 0 || side > h.min(w) {
            return Err(Error::Config(format!(
                "a patch of {side} pixels does not fit into a picture of {h}×{w}"
            )));
        }
        let along = |length: usize| places(length - side, side);
        let columns = along(w);
        let corner = |row: usize| columns.iter().map(move |&column| [row, column]);
        let corners = along(h).into_iter().flat_map(corner).collect();
        Ok(Self {
            shape,
            side,
            attack: Attack {
                steps: STEPS,
                restarts: 1,
                ..patch_attack(attack)
            },
            x,
            label,
            corners,
            tried: 0,
            run: None,
            best: None,
        })
    }

    /// Takes a gradient step at one place; `false`, and none, once all places were tried.
    pub fn step(&mut self, model: &Classifier) -> bool {
        let Some(&corner) = self.corners.get(self.tried) else {
            return false;
        };
        let mut run = match self.run.take() {
            Some(run) => run,
            None => self.begin(corner, model),
        };
        if run.step(model).is_some() {
            self.run = Some(run);
            return true;
        }
        let loss = tensor_values(run.finish_with_losses(model).0)[0];
        if self.best.is_none_or(|best| loss < best.loss) {
            self.best = Some(PatchPlace { corner, loss });
        }
        self.tried += 1;
        true
    }

    /// The best place so far.
    pub fn best(&self) -> Option<PatchPlace> {
        self.best
    }

    /// Share of the places that were tried, in [0, 1].
    pub fn progress(&self) -> f32 {
        self.tried as f32 / self.corners.len() as f32
    }

    fn begin(&self, corner: [usize; 2], model: &Classifier) -> PgdRun {
        let size = [self.x.dims()[2], self.x.dims()[3]];
        let mask = self.shape.mask(corner, self.side, size);
        let mask = mask.expect("every place of the grid is inside the picture");
        let radius = [self.attack.epsilon];
        PgdRun::new(
            &self.attack,
            model,
            self.x.clone(),
            &[self.label],
            &[0],
            &radius,
        )
        .within(&mask)
    }
}

/// Places along an axis with `free` pixels to move in: half a side apart where that is few enough, both ends with them.
fn places(free: usize, side: usize) -> Vec<usize> {
    let step = (side / 2).max(1);
    let count = free.div_ceil(step).clamp(1, MOST_PLACES - 1);
    let mut places: Vec<usize> = (0..=count).map(|at| at * free / count).collect();
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_reach_both_ends() {
        assert_eq!(places(0, 8), [0]);
        assert_eq!(places(24, 8), [0, 4, 8, 12, 16, 20, 24]);
        let many = places(1000, 4);
        assert_eq!(
            (many.len(), many[0], many[MOST_PLACES - 1]),
            (MOST_PLACES, 0, 1000)
        );
    }

    #[test]
    fn patches_are_squares_and_disks_cut_off_at_the_edge() {
        let rows = |shape: PatchShape, corner, side| -> Vec<String> {
            let mask = shape
                .mask(corner, side, [4, 4])
                .expect("some of it is inside");
            let rows = mask.inside().chunks_exact(4);
            rows.map(|row| {
                row.iter()
                    .map(|&inside| if inside { '#' } else { '.' })
                    .collect()
            })
            .collect()
        };
        assert_eq!(
            rows(PatchShape::Square, [1, 2], 3),
            ["....", "..##", "..##", "..##"]
        );
        assert_eq!(
            rows(PatchShape::Disk, [0, 0], 4),
            [".##.", "####", "####", ".##."]
        );
        assert!(PatchShape::Square.mask([4, 0], 2, [4, 4]).is_err());
    }
}
