//! Strided views of tensors: transposes, slices and most reshapes move no number.

use std::sync::Arc;

use super::layout::MapId;
use crate::model::cpu::product::{MatrixView, MatrixViewMut};

/// Where the numbers of a view are.
#[derive(Clone, Debug)]
pub(super) enum Base {
    /// In a tensor that a step writes.
    Map(MapId),
    /// In a constant of the network.
    Constant(Arc<Vec<f32>>),
}

/// A tensor of one picture: the number at indices `i` is at `offset + Σ iₐ·strideₐ`.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) base: Base,
    pub(super) sides: Vec<usize>,
    /// 0 along axes that are broadcast.
    pub(super) strides: Vec<usize>,
    pub(super) offset: usize,
}

/// Strides of a row-major tensor.
fn contiguous_strides(sides: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; sides.len()];
    for axis in (1..sides.len()).rev() {
        strides[axis - 1] = strides[axis] * sides[axis];
    }
    strides
}

impl View {
    /// All of a row-major tensor.
    pub(super) fn contiguous(base: Base, sides: Vec<usize>) -> Self {
        Self {
            base,
            strides: contiguous_strides(&sides),
            sides,
            offset: 0,
        }
    }

    /// Number of values.
    pub(super) fn len(&self) -> usize {
        self.sides.iter().product()
    }

    /// The tensor that it reads, unless that is a constant.
    pub(super) fn map(&self) -> Option<MapId> {
        match self.base {
            Base::Map(map) => Some(map),
            Base::Constant(_) => None,
        }
    }

    /// Whether its values follow each other in memory in their order.
    pub(super) fn is_contiguous(&self) -> bool {
        let expected = contiguous_strides(&self.sides);
        let axes = self.sides.iter().zip(self.strides.iter().zip(&expected));
        axes.into_iter()
            .all(|(&side, (stride, expected))| side == 1 || stride == expected)
    }

    /// Axis `i` of the result is axis `order[i]`.
    pub(super) fn permuted(&self, order: &[usize]) -> Self {
        Self {
            sides: order.iter().map(|&axis| self.sides[axis]).collect(),
            strides: order.iter().map(|&axis| self.strides[axis]).collect(),
            ..self.clone()
        }
    }

    /// Every `step`-th index of an axis from `start` to before `end`.
    pub(super) fn sliced(&self, axis: usize, start: usize, end: usize, step: usize) -> Self {
        let mut view = self.clone();
        view.sides[axis] = (end - start).div_ceil(step);
        view.offset += start * view.strides[axis];
        view.strides[axis] *= step;
        view
    }

    /// The same for each index of new leading axes and of axes of length 1, by NumPy's rules.
    pub(super) fn broadcast(&self, sides: &[usize]) -> Option<Self> {
        let added = sides.len().checked_sub(self.sides.len())?;
        let mut strides = vec![0; sides.len()];
        for (axis, (&side, &stride)) in self.sides.iter().zip(&self.strides).enumerate() {
            match side {
                _ if side == sides[axis + added] => strides[axis + added] = stride,
                1 => {}
                _ => return None,
            }
        }
        Some(Self {
            sides: sides.to_vec(),
            strides,
            ..self.clone()
        })
    }

    /// The same values with other axes; `None` where they have to be copied for that.
    pub(super) fn reshaped(&self, sides: &[usize]) -> Option<Self> {
        if sides.iter().product::<usize>() != self.len() {
            return None;
        }
        // Axes without those of length 1, which have no place in memory.
        let mut old = self
            .sides
            .iter()
            .copied()
            .zip(self.strides.iter().copied())
            .filter(|(side, _)| *side != 1)
            .collect::<Vec<_>>();
        let mut strides = vec![0; sides.len()];
        // From the last axis on, new axes divide old ones, which merge where they follow each other in memory.
        for axis in (0..sides.len()).rev() {
            if sides[axis] == 1 {
                continue;
            }
            let (mut length, stride) = old.pop()?;
            while length % sides[axis] != 0 {
                let (outer, outer_stride) = old.pop()?;
                if outer_stride != stride * length {
                    return None;
                }
                length *= outer;
            }
            strides[axis] = stride;
            if length > sides[axis] {
                old.push((length / sides[axis], stride * sides[axis]));
            }
        }
        Some(Self {
            sides: sides.to_vec(),
            strides,
            ..self.clone()
        })
    }
}

/// Calls `visit` with the places in `N` tensors of the same sides for each row along the last axis, and how far apart its
/// numbers are in each and how many there are. Axes that follow each other in all of them are one.
pub(super) fn for_rows<const N: usize>(
    sides: &[usize],
    strides: [&[usize]; N],
    mut places: [usize; N],
    mut visit: impl FnMut([usize; N], [usize; N], usize),
) {
    let mut axes: Vec<(usize, [usize; N])> = Vec::new();
    for (axis, &side) in sides.iter().enumerate() {
        let steps = strides.map(|strides| strides[axis]);
        match axes.last_mut() {
            _ if side == 1 => {}
            Some((outer, apart)) if (0..N).all(|at| apart[at] == steps[at] * side) => {
                *outer *= side;
                *apart = steps;
            }
            _ => axes.push((side, steps)),
        }
    }
    let (length, apart) = axes.pop().unwrap_or((1, [0; N]));
    let mut indices = vec![0; axes.len()];
    'rows: loop {
        visit(places, apart, length);
        for (index, (side, steps)) in indices.iter_mut().zip(&axes).rev() {
            *index += 1;
            if *index < *side {
                (0..N).for_each(|at| places[at] += steps[at]);
                continue 'rows;
            }
            *index = 0;
            (0..N).for_each(|at| places[at] -= steps[at] * (side - 1));
        }
        return;
    }
}

/// A view with the numbers of one picture that it is of.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    pub(super) view: &'a View,
    pub(super) values: &'a [f32],
}

impl<'a> Operand<'a> {
    /// A view whose numbers are not needed.
    pub(super) fn without_values(view: &'a View) -> Self {
        Self { view, values: &[] }
    }

    /// The numbers of a view that is contiguous.
    pub(super) fn contiguous(self) -> &'a [f32] {
        &self.values[self.view.offset..][..self.view.len()]
    }

    /// The matrix at these leading places.
    pub(super) fn matrix(self, place: usize) -> MatrixView<'a> {
        let axes = self.view.strides.len();
        MatrixView::strided(
            &self.values[place..],
            self.view.strides[axes - 2],
            self.view.strides[axes - 1],
        )
    }
}

/// The matrix of a view's last two axes that begins at a place.
pub(super) fn matrix_mut<'a>(
    view: &View,
    values: &'a mut [f32],
    place: usize,
) -> MatrixViewMut<'a> {
    let axes = view.strides.len();
    MatrixViewMut::strided(
        &mut values[place..],
        view.strides[axes - 2],
        view.strides[axes - 1],
    )
}
