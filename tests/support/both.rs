//! What the tests of the CPU and those that need a graphics adapter share.

pub(crate) mod attribution_checks; // captum's and shap's values
pub(crate) mod parity_checks; // PyTorch's values
pub(crate) mod snapshots; // small pictures of what is drawn
pub(crate) mod window; // the window in a run of frames
