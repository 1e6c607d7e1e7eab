//! Strided views of tensors: transposes, slices and most reshapes move no number.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::layout::{CHUNK, MapId};
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

    /// The axis whose indices begin furthest apart, with that distance, if what each holds lies before where the next begins.
    fn outermost(&self) -> Option<(usize, usize)> {
        let axes = (0..self.sides.len()).filter(|&axis| self.sides[axis] > 1);
        let axis = axes.max_by_key(|&axis| self.strides[axis])?;
        let stride = self.strides[axis];
        let others = (0..self.sides.len()).filter(|&other| other != axis);
        let reach = |other: usize| self.sides[other].saturating_sub(1) * self.strides[other];
        let extent = others.map(reach).sum::<usize>();
        (stride > 0 && self.offset % stride + extent < stride).then_some((axis, stride))
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

/// A part of views of the same sides: an axis with a range of its indices, or everything.
#[derive(Clone)]
pub(super) struct Part(Option<(usize, Range<usize>)>);

impl Part {
    /// The part of a view.
    pub(super) fn of(&self, view: &View) -> View {
        match &self.0 {
            Some((axis, range)) => view.sliced(*axis, range.start, range.end, 1),
            None => view.clone(),
        }
    }
}

/// Calls `work` with parts of a view that is written, side by side on several threads if it is long enough: which part, its
/// view, and the numbers that this is of.
pub(super) fn for_parts(
    to: &View,
    out: &mut [f32],
    threads: usize,
    work: impl Fn(&Part, &View, &mut [f32]) + Sync,
) {
    let parts = threads.min(to.len() / CHUNK);
    let outermost = (parts > 1).then(|| to.outermost()).flatten();
    let Some((axis, stride)) = outermost else {
        return work(&Part(None), to, out);
    };
    let side = to.sides[axis];
    let share = side.div_ceil(parts);
    let start = to.offset / stride * stride;
    let chunks = out[start..].par_chunks_mut(share * stride).enumerate();
    chunks.take(side.div_ceil(share)).for_each(|(at, out)| {
        let part = Part(Some((axis, at * share..((at + 1) * share).min(side))));
        let view = View {
            offset: to.offset - start,
            ..part.of(to)
        };
        work(&part, &view, out);
    });
}

/// Calls `visit` with the places in `N` tensors of the same sides for each row along the last axis, and how far apart its
/// numbers are in each and how many there are. Axes that follow each other in all of them are one.
#[inline(always)]
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
    pub(super) fn new(view: &'a View, values: &'a [f32]) -> Self {
        Self { view, values }
    }

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
