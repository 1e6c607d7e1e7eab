//! Checks that run on any device: the CPU's tests and those that need a graphics adapter share them.

pub(crate) mod attribution_checks; // captum's and shap's values
pub(crate) mod parity_checks; // PyTorch's values
