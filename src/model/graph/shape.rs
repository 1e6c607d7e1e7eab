//! Shapes of values: the lengths of their axes, which of them is the batch, where positions of the picture lie.

use serde::{Deserialize, Serialize};

/// The most axes of a value.
pub(in crate::model) const MAX_AXES: usize = 6;

/// The axis along which the pictures of a batch lie. Networks move it, and merge it with other axes: windows of
/// attention and heads become pictures of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::model) struct BatchAxis {
    pub(in crate::model) axis: usize,
    /// What is before the pictures in that axis: of n pictures its length is `outer`·n·`inner`, and for one
    /// picture `outer`·`inner`.
    pub(in crate::model) outer: usize,
}

impl BatchAxis {
    /// The first axis, pictures first.
    pub(in crate::model) const FIRST: Self = Self { axis: 0, outer: 1 };

    /// Number of values, in their order in memory, for each of which all pictures follow: every reshape leaves it as it
    /// is.
    pub(super) fn before(self, sides: &[usize]) -> usize {
        product(&sides[..self.axis]).saturating_mul(self.outer)
    }
}

/// Where the positions of a feature map lie in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) enum Grid {
    /// The axes of rows and of columns.
    Map([usize; 2]),
    /// One axis of `skipped` other tokens (a class token) and then one token for each position of a grid of
    /// `size`, height and width.
    Tokens {
        axis: usize,
        skipped: usize,
        size: [usize; 2],
    },
}

/// The shape of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::model) struct Shape {
    /// Length of each axis for one picture.
    pub(in crate::model) sides: Vec<usize>,
    /// A constant has no batch axis.
    pub(in crate::model) batch: Option<BatchAxis>,
    /// `None` where it is not known, or is not a feature map.
    pub(in crate::model) grid: Option<Grid>,
}

/// Product of lengths; it saturates, as a file may claim any length.
pub(super) fn product(sides: &[usize]) -> usize {
    sides
        .iter()
        .fold(1_usize, |all, &side| all.saturating_mul(side))
}

impl Shape {
    pub(in crate::model) fn constant(sides: Vec<usize>) -> Self {
        Self {
            sides,
            batch: None,
            grid: None,
        }
    }

    /// Feature maps `[n, c, h, w]`.
    pub(in crate::model) fn maps(sides: Vec<usize>) -> Self {
        Self {
            sides,
            batch: Some(BatchAxis::FIRST),
            grid: Some(Grid::Map([2, 3])),
        }
    }

    /// Whether the first axis is the pictures, and nothing else.
    pub(in crate::model) fn is_batch_first(&self) -> bool {
        self.batch == Some(BatchAxis::FIRST) && self.sides[0] == 1
    }

    /// Checks that an operation along these axes leaves the pictures of a batch apart.
    pub(in crate::model) fn require_apart(&self, axes: &[usize]) -> Result<(), String> {
        let sides = &self.sides;
        for (at, axis) in axes.iter().enumerate() {
            if *axis >= sides.len() {
                return Err(format!("{sides:?} has no axis {axis}"));
            }
            if axes[..at].contains(axis) {
                return Err(format!("it names axis {axis} of {sides:?} twice"));
            }
        }
        match self.batch {
            Some(batch) if axes.contains(&batch.axis) => Err(format!(
                "along axis {} of {sides:?} it mixes the pictures of a batch",
                batch.axis
            )),
            _ => Ok(()),
        }
    }

    /// The same with each axis moved to where `place` says; `None` for an axis that is dropped.
    pub(in crate::model) fn moved(
        &self,
        sides: Vec<usize>,
        place: impl Fn(usize) -> Option<usize>,
    ) -> Self {
        let batch = self.batch.and_then(|batch| {
            Some(BatchAxis {
                axis: place(batch.axis)?,
                ..batch
            })
        });
        let grid = self.grid.and_then(|grid| match grid {
            Grid::Map([rows, columns]) => Some(Grid::Map([place(rows)?, place(columns)?])),
            Grid::Tokens {
                axis,
                skipped,
                size,
            } => Some(Grid::Tokens {
                axis: place(axis)?,
                skipped,
                size,
            }),
        });
        Self { sides, batch, grid }
    }

    /// Where the batch lies after a reshape to `sides`: the values keep their order, so as many of them are
    /// before the pictures as were.
    ///
    /// Several places may fit, as axes of length 1 and merged axes do not tell. The last axis is of features and
    /// taken only if no other fits; an axis that begins with the pictures is taken before one that has others first.
    ///
    /// # Errors
    /// A message, if the sizes differ or no place fits.
    pub(super) fn reshaped_batch(&self, sides: &[usize]) -> Result<Option<BatchAxis>, String> {
        if product(sides) != product(&self.sides) {
            return Err(format!("it makes {sides:?} of {:?}", self.sides));
        }
        let Some(batch) = self.batch else {
            return Ok(None);
        };
        let before = batch.before(&self.sides);
        let fitting = (0..sides.len()).filter_map(|axis| {
            let first = product(&sides[..axis]);
            let outer = before / first.max(1);
            let fits = first > 0 && outer > 0 && first * outer == before;
            (fits && sides[axis].is_multiple_of(outer)).then_some(BatchAxis { axis, outer })
        });
        let best = fitting.min_by_key(|fit| {
            let is_last = fit.axis > 0 && fit.axis + 1 == sides.len();
            (is_last, fit.outer, fit.axis)
        });
        let reason = || {
            format!(
                "it makes {sides:?} of {:?}, which mixes the pictures of a batch",
                self.sides
            )
        };
        best.ok_or_else(reason).map(Some)
    }

    /// Where the positions lie after a reshape to `sides`.
    pub(super) fn reshaped_grid(&self, sides: &[usize]) -> Option<Grid> {
        let old = |axis: usize| product(&self.sides[..axis]);
        // The axis that begins after as many values and has this length.
        let find = |before: usize, length: usize| {
            (0..sides.len())
                .find(|&axis| product(&sides[..axis]) == before && sides[axis] == length)
        };
        let as_map = |before: usize, [h, w]: [usize; 2]| {
            let rows = find(before, h)?;
            let is_map = sides.get(rows + 1) == Some(&w);
            is_map.then_some(Grid::Map([rows, rows + 1]))
        };
        match self.grid? {
            Grid::Map([rows, columns]) => {
                let size = [self.sides[rows], self.sides[columns]];
                if columns != rows + 1 {
                    return None;
                }
                as_map(old(rows), size).or_else(|| {
                    Some(Grid::Tokens {
                        axis: find(old(rows), size[0] * size[1])?,
                        skipped: 0,
                        size,
                    })
                })
            }
            Grid::Tokens {
                axis,
                skipped,
                size,
            } => match find(old(axis), self.sides[axis]) {
                Some(axis) => Some(Grid::Tokens {
                    axis,
                    skipped,
                    size,
                }),
                None if skipped == 0 && self.sides[axis] == size[0] * size[1] => {
                    as_map(old(axis), size)
                }
                None => None,
            },
        }
    }

    /// The shape of an operation on the values of this and another, one by one.
    ///
    /// # Errors
    /// A message, if they do not fit together or pictures of a batch would mix.
    pub(super) fn broadcast_with(&self, other: &Self) -> Result<Self, String> {
        let sides = broadcast(&self.sides, &other.sides)?;
        let [a, b] = [self, other].map(|shape| {
            let added = sides.len() - shape.sides.len();
            shape.moved(shape.sides.clone(), |axis| Some(axis + added))
        });
        let batch = match (a.batch, b.batch) {
            (Some(one), Some(two)) if one != two => {
                return Err(format!(
                    "it combines {:?} and {:?}, whose pictures lie along other axes",
                    self.sides, other.sides
                ));
            }
            (one, two) => one.or(two),
        };
        // A constant has either one value for all or one for each of what the axis holds of a picture.
        if let Some(BatchAxis { axis, outer }) = batch {
            let side = |shape: &Self| {
                let added = sides.len() - shape.sides.len();
                axis.checked_sub(added).map_or(1, |axis| shape.sides[axis])
            };
            for (shape, has) in [(self, a.batch), (other, b.batch)] {
                let length = side(shape);
                let fits = match has {
                    Some(_) => length == sides[axis],
                    None => length == 1 || outer == 1,
                };
                if !fits {
                    return Err(format!(
                        "it combines {:?} and {:?}, which mixes the pictures of a batch",
                        self.sides, other.sides
                    ));
                }
            }
        }
        let holds = |grid: &Grid| match *grid {
            Grid::Map(axes) => axes.iter().all(|&axis| sides[axis] > 1),
            Grid::Tokens { axis, size, .. } => sides[axis] >= size[0] * size[1],
        };
        let grid = a.grid.or(b.grid).filter(holds);
        Ok(Self { sides, batch, grid })
    }
}

/// The broadcast shape, by NumPy's rules.
pub(in crate::model) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| {
        let missing = rank - shape.len();
        axis.checked_sub(missing).map_or(1, |axis| shape[axis])
    };
    let both = (0..rank).map(|axis| match (size(a, axis), size(b, axis)) {
        (x, y) if x == y || y == 1 => Ok(x),
        (1, y) => Ok(y),
        _ => Err(format!("{a:?} and {b:?} do not fit together")),
    });
    both.collect()
}
