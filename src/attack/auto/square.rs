//! Square Attack (Andriushchenko et al. 2020): random search with square changes, without gradients.

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::attack::mask::Bounds;
use crate::attack::{AttackMask, Norm};
use crate::data::random::noise_rng;
use crate::model::{Classifier, tensor_values};

/// Share of the pixels that the first squares cover.
const FIRST_SHARE: f32 = 0.8;
/// Queries after which the share halves.
const HALVINGS: [usize; 9] = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];

/// What the search attacks and how.
pub struct Square<'a> {
    /// The classifier.
    pub model: &'a Classifier,
    /// L∞ or L2.
    pub norm: Norm,
    /// Radius, in units of pixels in [0, 1].
    pub epsilon: f32,
    /// Queries of each picture, at most.
    pub queries: usize,
    /// Seed of the random search.
    pub seed: u64,
    /// The pixels that may change, if not all; squares are then placed in the smallest rectangle around them.
    pub mask: Option<AttackMask>,
}

/// A picture in the search.
struct Candidate {
    original: Vec<f32>,
    best: Vec<f32>,
    /// Logit of the label minus the largest other one; misclassified from 0 down.
    margin: f32,
    rng: ChaCha8Rng,
}

/// The random search on a batch, a query at a time.
pub struct SquareRun {
    search: Search,
    queries: usize,
    query: usize,
    labels: Vec<usize>,
    candidates: Vec<Candidate>,
    /// `[n, 3, h, w]`.
    shape: [usize; 4],
}

/// Where the search may go.
struct Search {
    norm: Norm,
    epsilon: f32,
    /// Height and width of the pictures.
    size: [usize; 2],
    /// The part of them in which squares are placed.
    bounds: Bounds,
    mask: Option<AttackMask>,
}

impl Square<'_> {
    /// Searches around pictures `x` (`[n, 3, h, w]`, classes `labels`); each has its own random stream, chosen by
    /// `noise_ids`. Returns the pictures of smallest margin and whether they are misclassified.
    pub fn run(
        &self,
        x: &Tensor<4>,
        labels: &[usize],
        noise_ids: &[u64],
    ) -> (Tensor<4>, Vec<bool>) {
        let mut run = self.begin(x, labels, noise_ids);
        while run.step(self.model) {}
        run.finish(self.model.device())
    }

    /// The same, to be stepped.
    pub fn begin(&self, x: &Tensor<4>, labels: &[usize], noise_ids: &[u64]) -> SquareRun {
        let shape @ [_, _, h, w] = x.dims();
        let values = tensor_values(x.clone());
        let search = Search {
            norm: self.norm,
            epsilon: self.epsilon,
            size: [h, w],
            bounds: match &self.mask {
                Some(mask) => mask.bounds(),
                None => Bounds::all([h, w]),
            },
            mask: self.mask.clone(),
        };
        let begin = |(original, &id): (&[f32], &u64)| {
            let mut rng = noise_rng(self.seed, id);
            Candidate {
                best: search.stripes(original, &mut rng),
                original: original.to_vec(),
                margin: f32::INFINITY,
                rng,
            }
        };
        let pictures = values.chunks_exact(3 * h * w).zip(noise_ids);
        let mut candidates: Vec<Candidate> = pictures.map(begin).collect();
        let first: Vec<Vec<f32>> = candidates.iter().map(|one| one.best.clone()).collect();
        let margins = margins(self.model, &first, labels, [h, w]);
        for (candidate, margin) in candidates.iter_mut().zip(margins) {
            candidate.margin = margin;
        }
        SquareRun {
            search,
            queries: self.queries,
            query: 0,
            labels: labels.to_vec(),
            candidates,
            shape,
        }
    }
}

impl SquareRun {
    /// Asks the model once for every picture that is not misclassified; `false`, and nothing, once all are or all
    /// queries are spent.
    pub fn step(&mut self, model: &Classifier) -> bool {
        let open = |at: &usize| self.candidates[*at].margin > 0.0;
        let open: Vec<usize> = (0..self.labels.len()).filter(open).collect();
        if open.is_empty() || self.query == self.queries {
            return false;
        }
        let share = share_of(self.query);
        self.query += 1;
        let mut proposals = Vec::with_capacity(open.len());
        for &at in &open {
            let candidate = &mut self.candidates[at];
            proposals.push(self.search.proposal(candidate, share));
        }
        let labels: Vec<usize> = open.iter().map(|&at| self.labels[at]).collect();
        let margins = margins(model, &proposals, &labels, self.search.size);
        for ((at, proposal), margin) in open.into_iter().zip(proposals).zip(margins) {
            let candidate = &mut self.candidates[at];
            if margin < candidate.margin {
                candidate.best = proposal;
                candidate.margin = margin;
            }
        }
        true
    }

    /// Share of the queries that are spent, in [0, 1].
    pub fn progress(&self) -> f32 {
        self.query as f32 / self.queries.max(1) as f32
    }

    /// The pictures of smallest margin so far, and whether they are misclassified.
    pub fn finish(self, device: &Device) -> (Tensor<4>, Vec<bool>) {
        let candidates = self.candidates.iter();
        let fooled = candidates.map(|one| one.margin <= 0.0).collect();
        let best: Vec<f32> = self
            .candidates
            .into_iter()
            .flat_map(|one| one.best)
            .collect();
        let best = Tensor::from_data(TensorData::new(best, self.shape), device);
        (best, fooled)
    }
}

/// Margins of pictures; misclassified from 0 down.
fn margins(
    model: &Classifier,
    pictures: &[Vec<f32>],
    labels: &[usize],
    [h, w]: [usize; 2],
) -> Vec<f32> {
    let shape = [pictures.len(), 3, h, w];
    let x = Tensor::<4>::from_data(TensorData::new(pictures.concat(), shape), model.device());
    let logits = tensor_values(model.logits(x));
    let margin = |(row, &label): (&[f32], &usize)| {
        let others = row.iter().enumerate().filter(|(class, _)| *class != label);
        let other = others
            .map(|(_, &logit)| logit)
            .fold(f32::NEG_INFINITY, f32::max);
        row[label] - other
    };
    let rows = logits.chunks_exact(model.classes());
    rows.zip(labels).map(margin).collect()
}

impl Search {
    /// The first point: vertical stripes for L∞, a grid of squares for L2.
    fn stripes(&self, original: &[f32], rng: &mut ChaCha8Rng) -> Vec<f32> {
        let mut change = vec![0.0; original.len()];
        match self.norm {
            Norm::Linf => {
                let [h, w] = self.size;
                for channel in 0..3 {
                    for column in 0..w {
                        let value = self.epsilon * sign(rng);
                        for row in 0..h {
                            change[(channel * h + row) * w + column] = value;
                        }
                    }
                }
            }
            _ => {
                // Five by five squares in the middle.
                let Bounds {
                    top,
                    left,
                    height,
                    width,
                } = self.bounds;
                let side = (height.min(width) / 5).max(1);
                let places = |from: usize, length: usize| {
                    let count = (length / side).min(5);
                    let margin = from + (length - count * side) / 2;
                    (0..count).map(move |place| margin + place * side)
                };
                for top in places(top, height) {
                    for left in places(left, width) {
                        let bump = bump(side, rng);
                        for channel in 0..3 {
                            let sign = sign(rng);
                            let places = self.window(channel, (top, left), side);
                            for (at, value) in places.zip(&bump) {
                                change[at] += sign * value;
                            }
                        }
                    }
                }
            }
        }
        self.within(original, change)
    }

    /// A picture near the best so far, one square of it changed.
    fn proposal(&self, from: &mut Candidate, share: f32) -> Vec<f32> {
        let Bounds { height, width, .. } = self.bounds;
        let side = (share * (height * width) as f32).sqrt().round() as usize;
        let most = height.min(width);
        let pairs = from.best.iter().zip(&from.original);
        let mut change: Vec<f32> = pairs.map(|(best, original)| best - original).collect();
        match self.norm {
            Norm::Linf => {
                let side = side.clamp(1, most);
                let corner = self.corner(&mut from.rng, side);
                for channel in 0..3 {
                    let step = 2.0 * self.epsilon * sign(&mut from.rng);
                    for at in self.window(channel, corner, side) {
                        change[at] = (change[at] + step).clamp(-self.epsilon, self.epsilon);
                    }
                }
            }
            _ => {
                let side = (side.max(3) | 1).min(most);
                self.move_mass(&mut change, side, &mut from.rng);
            }
        }
        self.within(&from.original, change)
    }

    /// For L2: takes the change of one window away and adds as much to another, and what the radius has left.
    fn move_mass(&self, change: &mut [f32], side: usize, rng: &mut ChaCha8Rng) {
        let (to, from) = (self.corner(rng, side), self.corner(rng, side));
        let energy = |change: &[f32], at: &[usize]| {
            at.iter().map(|&at| change[at] * change[at]).sum::<f32>()
        };
        let mut both: Vec<usize> = (0..3)
            .flat_map(|channel| {
                let to = self.window(channel, to, side);
                to.chain(self.window(channel, from, side))
            })
            .collect();
        both.sort_unstable();
        both.dedup();
        let whole = change.iter().map(|value| value * value).sum::<f32>();
        let left = (self.epsilon * self.epsilon - whole).max(0.0) / 3.0;
        let of_windows = energy(change, &both);
        let bump = bump(side, rng);
        let mut fresh = Vec::with_capacity(3 * bump.len());
        for channel in 0..3 {
            let places: Vec<usize> = self.window(channel, to, side).collect();
            let length = energy(change, &places).sqrt();
            let sign = sign(rng);
            let mixed = places.iter().zip(&bump);
            let mixed: Vec<f32> = mixed
                .map(|(&at, bump)| sign * bump + change[at] / (1e-12 + length))
                .collect();
            let scale = mixed.iter().map(|value| value * value).sum::<f32>().sqrt();
            let wanted = (left + of_windows).sqrt();
            fresh.extend(
                mixed
                    .into_iter()
                    .map(|value| value / (1e-12 + scale) * wanted),
            );
        }
        for channel in 0..3 {
            self.window(channel, from, side)
                .for_each(|at| change[at] = 0.0);
        }
        let places = (0..3).flat_map(|channel| self.window(channel, to, side));
        for (at, value) in places.zip(fresh) {
            change[at] = value;
        }
    }

    /// The picture with the part of a change inside the mask, that as long as the radius in L2, in [0, 1].
    fn within(&self, original: &[f32], mut change: Vec<f32>) -> Vec<f32> {
        if let Some(mask) = &self.mask {
            mask.constrain(&mut change);
        }
        let scale = match self.norm {
            Norm::Linf => 1.0,
            norm => self.epsilon / (1e-12 + norm.length_of(change.iter().copied())),
        };
        let pairs = original.iter().zip(change);
        pairs
            .map(|(x, change)| (x + scale * change).clamp(0.0, 1.0))
            .collect()
    }

    /// A random window of `side` pixels: top and left.
    fn corner(&self, rng: &mut ChaCha8Rng, side: usize) -> (usize, usize) {
        let Bounds { top, left, .. } = self.bounds;
        (
            rng.random_range(top..=top + self.bounds.height - side),
            rng.random_range(left..=left + self.bounds.width - side),
        )
    }

    /// Indices of a window's values in one channel, row by row.
    fn window(
        &self,
        channel: usize,
        (top, left): (usize, usize),
        side: usize,
    ) -> impl Iterator<Item = usize> + use<> {
        let [h, w] = self.size;
        (top..top + side).flat_map(move |row| {
            let line = (channel * h + row) * w;
            line + left..line + left + side
        })
    }
}

/// Share of the pixels that the square of a query covers.
fn share_of(query: usize) -> f32 {
    let halvings = HALVINGS.iter().filter(|&&from| query > from).count();
    FIRST_SHARE / (1 << halvings) as f32
}

fn sign(rng: &mut ChaCha8Rng) -> f32 {
    if rng.random() { 1.0 } else { -1.0 }
}

/// A bump of unit length beside its negative, one above the other or side by side (figure 2 of the paper).
fn bump(side: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let upper = side / 2;
    let mut values = rings(upper, side);
    values.extend(rings(side - upper, side).into_iter().map(|value| -value));
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    values
        .iter_mut()
        .for_each(|value| *value /= length.max(f32::MIN_POSITIVE));
    if rng.random() {
        values = (0..side * side)
            .map(|at| values[at % side * side + at / side])
            .collect();
    }
    values
}

/// Rectangles within rectangles, of unit length: `rows` × `columns`.
fn rings(rows: usize, columns: usize) -> Vec<f32> {
    let mut values = vec![0.0f32; rows * columns];
    let (middle_row, middle_column) = (rows / 2, columns / 2);
    for ring in 0..=middle_row.max(middle_column) {
        let weight = 1.0 / ((ring + 1) * (ring + 1)) as f32;
        let rows_of = middle_row.saturating_sub(ring)..(middle_row + ring + 1).min(rows);
        for row in rows_of {
            let columns_of =
                middle_column.saturating_sub(ring)..(middle_column + ring + 1).min(columns);
            for column in columns_of {
                values[row * columns + column] += weight;
            }
        }
    }
    let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
    values
        .iter_mut()
        .for_each(|value| *value /= length.max(f32::MIN_POSITIVE));
    values
}
