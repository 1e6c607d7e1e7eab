//! Operations on burn's CPU tensors that burn composes of slower ones: convolutions of training, operations on rows.

pub(in crate::model) mod flex;
pub(in crate::model) mod product;
pub(in crate::model) mod rows;
pub(in crate::model) mod training;
