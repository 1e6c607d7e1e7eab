//! Integration tests that need no graphics adapter, in one binary.

mod parity; // PyTorch's values, on the CPU
mod parity_checks; // the same checks, shared with the tests on wgpu
