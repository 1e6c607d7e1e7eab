//! The values of a graph: tensors of any number of axes up to [`MAX_AXES`].

use burn::tensor::{Int, Tensor, TensorData};

use super::shape::MAX_AXES;
use crate::model::cpu::rows::RowOp;
use crate::model::tensor_values;

/// A tensor of up to [`MAX_AXES`] axes, stored with all of them: missing axes are leading axes of length 1.
#[derive(Clone, Debug)]
pub(in crate::model) struct Value {
    pub(super) tensor: Tensor<MAX_AXES>,
    pub(super) rank: usize,
}

impl Value {
    /// A tensor of up to [`MAX_AXES`] axes.
    pub(in crate::model) fn new<const D: usize>(tensor: Tensor<D>) -> Self {
        let shape = padded(&tensor.dims());
        Self {
            tensor: tensor.reshape(shape),
            rank: D,
        }
    }

    /// A constant array.
    pub(in crate::model) fn constant(
        values: Vec<f32>,
        sides: &[usize],
        device: &burn::tensor::Device,
    ) -> Self {
        let data = TensorData::new(values, padded(sides));
        Self {
            tensor: Tensor::from_data(data, device),
            rank: sides.len(),
        }
    }

    /// The lengths without the added axes.
    pub(in crate::model) fn sides(&self) -> Vec<usize> {
        self.tensor.dims()[MAX_AXES - self.rank..].to_vec()
    }

    /// Its numbers, row-major.
    pub(in crate::model) fn values(self) -> Vec<f32> {
        tensor_values(self.tensor)
    }

    /// The tensor of a value of `D` axes.
    pub(super) fn tensor<const D: usize>(self) -> Tensor<D> {
        let sides = self.sides();
        let sides: [usize; D] = sides.try_into().expect("the shape was checked");
        self.tensor.reshape(sides)
    }

    /// Index of an axis among the stored ones.
    pub(super) fn axis(&self, axis: usize) -> usize {
        axis + MAX_AXES - self.rank
    }

    pub(super) fn map(self, change: impl FnOnce(Tensor<MAX_AXES>) -> Tensor<MAX_AXES>) -> Self {
        Self {
            tensor: change(self.tensor),
            rank: self.rank,
        }
    }

    /// Applies an operation on feature maps of four axes.
    pub(super) fn map_image(self, change: impl FnOnce(Tensor<4>) -> Tensor<4>) -> Self {
        Self::new(change(self.tensor()))
    }

    /// Combines all values one by one.
    pub(super) fn with(
        self,
        other: Self,
        change: impl FnOnce(Tensor<MAX_AXES>, Tensor<MAX_AXES>) -> Tensor<MAX_AXES>,
    ) -> Self {
        self.with_leading(other, MAX_AXES, change)
    }

    /// Combines values that fit together, or are repeated, along the first `axes` of the stored ones.
    pub(super) fn with_leading(
        self,
        other: Self,
        axes: usize,
        change: impl FnOnce(Tensor<MAX_AXES>, Tensor<MAX_AXES>) -> Tensor<MAX_AXES>,
    ) -> Self {
        let one = self.repeated_like(&other, axes);
        let two = other.repeated_like(&self, axes);
        Self {
            rank: self.rank.max(other.rank),
            tensor: change(one, two),
        }
    }

    /// Its tensor, repeated along the batch axis of `other` if it has one value there for each of what that axis
    /// holds of one picture.
    fn repeated_like(&self, other: &Self, axes: usize) -> Tensor<MAX_AXES> {
        let (own, others) = (self.tensor.dims(), other.tensor.dims());
        let repeats = std::array::from_fn::<usize, MAX_AXES, _>(|axis| {
            let is_part = axis < axes && own[axis] > 1 && others[axis] > own[axis];
            if is_part { others[axis] / own[axis] } else { 1 }
        });
        if repeats == [1; MAX_AXES] {
            self.tensor.clone()
        } else {
            self.tensor.clone().repeat(&repeats)
        }
    }

    pub(super) fn reshaped(self, sides: &[usize]) -> Self {
        Self {
            tensor: self.tensor.reshape(padded(sides)),
            rank: sides.len(),
        }
    }

    /// Its axes in another order.
    pub(super) fn transposed(self, order: &[usize]) -> Self {
        let missing = MAX_AXES - self.rank;
        let order = std::array::from_fn::<usize, MAX_AXES, _>(|place| {
            let axis = place.checked_sub(missing);
            axis.map_or(place, |axis| order[axis] + missing)
        });
        self.map(|x| x.permute(order))
    }

    /// Applies an operation to the rows that its last `axes` axes are; `None` where it is not on the CPU.
    pub(super) fn rows(&self, operation: RowOp, axes: usize) -> Option<Self> {
        let sides = self.sides();
        let length = sides[sides.len() - axes..].iter().product();
        Some(Self {
            tensor: operation.apply(&self.tensor, length)?,
            rank: self.rank,
        })
    }

    /// Without these axes, which have length 1.
    pub(super) fn without(self, axes: &[usize]) -> Self {
        let sides = self.sides().into_iter().enumerate();
        let left = sides.filter(|(axis, _)| !axes.contains(axis));
        let left: Vec<usize> = left.map(|(_, side)| side).collect();
        self.reshaped(&left)
    }
}

fn padded(sides: &[usize]) -> [usize; MAX_AXES] {
    let missing = MAX_AXES - sides.len();
    std::array::from_fn(|axis| axis.checked_sub(missing).map_or(1, |axis| sides[axis]))
}

impl Value {
    /// These indices of an axis.
    pub(super) fn selected(self, axis: usize, indices: &[usize]) -> Self {
        let place = self.axis(axis);
        let indices: Vec<i32> = indices.iter().map(|&index| index as i32).collect();
        let indices = Tensor::<1, Int>::from_data(&indices[..], &self.tensor.device());
        self.map(|x| x.select(place, indices))
    }
}

/// Values joined along an axis; those that are the same for all pictures are repeated.
pub(super) fn joined(values: impl Iterator<Item = Value>, axis: usize) -> Value {
    let values: Vec<Value> = values.collect();
    let (place, rank) = (values[0].axis(axis), values[0].rank);
    let longest = |at: usize| {
        let lengths = values.iter().map(|value| value.tensor.dims()[at]);
        lengths.max().unwrap_or(1)
    };
    let longest: [usize; MAX_AXES] = std::array::from_fn(longest);
    let all = values.into_iter().map(|value| {
        let own = value.tensor.dims();
        let repeats = std::array::from_fn::<usize, MAX_AXES, _>(|at| {
            if at == place {
                1
            } else {
                longest[at] / own[at]
            }
        });
        if repeats == [1; MAX_AXES] {
            value.tensor
        } else {
            value.tensor.repeat(&repeats)
        }
    });
    let tensor = Tensor::cat(all.collect(), place);
    Value { tensor, rank }
}

/// The value at a place that a step reads, of those that steps made.
pub(super) fn made(values: &[Option<Value>], place: usize) -> Value {
    let value = values[place].clone();
    value.expect("a value is made before it is read")
}
