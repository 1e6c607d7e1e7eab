//! Input normalisation: per-channel mean and standard deviation.

use burn::tensor::{Device, FloatDType, Tensor};
use serde::{Deserialize, Serialize};

/// Per-channel mean and standard deviation, in units of pixels in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalizer {
    /// Mean of red, green, blue.
    pub mean: [f32; 3],
    /// Standard deviation of red, green, blue; all above zero.
    pub std: [f32; 3],
}

impl Normalizer {
    /// CIFAR-10, as paper A states it.
    pub const CIFAR10: Self = Self {
        mean: [0.4914, 0.4822, 0.4465],
        std: [0.2023, 0.1994, 0.2010],
    };

    /// CIFAR-100, as most code for it states it.
    pub const CIFAR100: Self = Self {
        mean: [0.5071, 0.4865, 0.4409],
        std: [0.2673, 0.2564, 0.2762],
    };

    /// From [0, 1] to [−1, 1].
    pub const HALF: Self = Self {
        mean: [0.5; 3],
        std: [0.5; 3],
    };

    /// The identity.
    pub const NONE: Self = Self {
        mean: [0.0; 3],
        std: [1.0; 3],
    };

    /// ImageNet, as torchvision states it.
    pub const IMAGENET: Self = Self {
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    };

    /// `(x − mean) / std` for pixels `[n, 3, h, w]` in [0, 1].
    pub fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let device = x.device().inner();
        let scale = per_channel(self.std.map(|std| 1.0 / std), &device);
        let shift = per_channel(
            std::array::from_fn(|c| -self.mean[c] / self.std[c]),
            &device,
        );
        x * scale + shift
    }

    /// The inverse of [`Normalizer::apply`]: `x · std + mean`.
    pub fn undo(&self, x: Tensor<4>) -> Tensor<4> {
        let device = x.device().inner();
        x * per_channel(self.std, &device) + per_channel(self.mean, &device)
    }

    /// As [`Normalizer::apply`], cast to bfloat16 if `mixed`, for networks that compute in its precision.
    pub(crate) fn apply_in(&self, x: Tensor<4>, mixed: bool) -> Tensor<4> {
        let pixels = self.apply(x);
        if mixed {
            pixels.cast(FloatDType::BF16)
        } else {
            pixels
        }
    }

    /// Whether every number is finite and every deviation positive.
    pub fn is_valid(&self) -> bool {
        self.mean.iter().all(|mean| mean.is_finite())
            && self.std.iter().all(|std| std.is_finite() && *std > 0.0)
    }
}

fn per_channel(values: [f32; 3], device: &Device) -> Tensor<4> {
    Tensor::<1>::from_floats(values, device).reshape([1, 3, 1, 1])
}
