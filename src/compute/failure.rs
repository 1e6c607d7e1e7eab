//! What a failed step means.

/// Why a step panicked, as far as its message tells: neither burn nor wgpu hand over an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceFailure {
    /// The device had no room for so many pictures at once.
    Memory,
    /// The device is gone: a driver's reset, a timeout, a plug pulled.
    Device,
    /// Anything else.
    Other,
}

impl DeviceFailure {
    /// Reads a panic's message.
    pub fn of(message: &str) -> Self {
        let message = message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        // A buffer that cannot be read back any more is how burn notices first.
        if says(&[
            "poisoned",
            "device was lost",
            "device is lost",
            "staging buffer could not be mapped",
        ]) {
            Self::Device
        } else if says(&[
            "out of memory",
            "out of device memory",
            "outofmemory",
            "out-of-memory",
        ]) {
            Self::Memory
        } else {
            Self::Other
        }
    }
}
