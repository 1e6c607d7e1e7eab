//! The published networks of inverted residual blocks: activations, strides and numbers of blocks, which tensors do not
//! tell.

use crate::model::graph::Activation;

/// Strides of the stages of MobileNetV2, EfficientNet and the large MobileNetV3, and of the small one.
pub(super) const STAGES: [usize; 7] = [1, 2, 2, 2, 1, 2, 1];
pub(super) const SMALL_STAGES: [usize; 6] = [2, 2, 2, 1, 2, 1];
/// Blocks of the stages of MobileNetV2, of EfficientNet-B0, and of MobileNetV3 without timm's last block, which is a
/// plain convolution.
pub(super) const V2_BLOCKS: [usize; 7] = [1, 2, 3, 4, 3, 3, 1];
const B0_BLOCKS: [usize; 7] = [1, 2, 2, 3, 3, 4, 1];
pub(super) const LARGE_BLOCKS: [usize; 6] = [1, 2, 3, 4, 2, 3];
pub(super) const SMALL_BLOCKS: [usize; 5] = [1, 2, 3, 2, 3];
/// How many times deeper than B0 the other EfficientNets are.
const DEPTHS: [f64; 10] = [1.0, 1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 3.1, 3.6, 5.3];
/// The same of timm's deeper MobileNetV2, but for their first and last stages.
const V2_DEPTHS: [f64; 3] = [1.0, 1.2, 1.4];

/// What the names of tensors do not say of a network.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Family {
    /// SiLU and squeeze-and-excitation.
    EfficientNet,
    /// ReLU6: MobileNetV2 and EfficientNet-Lite.
    MobileNetV2,
    /// ReLU in the first stages, then hard swish.
    MobileNetV3,
}

impl Family {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::EfficientNet => "EfficientNet",
            Self::MobileNetV2 => "MobileNetV2 or EfficientNet-Lite",
            Self::MobileNetV3 => "MobileNetV3",
        }
    }

    /// The activation of a block; `is_late` in the stages of MobileNetV3 with hard swish.
    pub(super) fn activation(self, is_late: bool) -> Activation {
        match self {
            Self::EfficientNet => Activation::Silu,
            Self::MobileNetV2 => Activation::Clip(0.0, 6.0),
            Self::MobileNetV3 if is_late => Activation::HardSwish,
            Self::MobileNetV3 => Activation::Relu,
        }
    }

    /// The activation inside squeeze-and-excitation, and its gate.
    pub(super) fn squeeze(self) -> [Activation; 2] {
        match self {
            Self::MobileNetV3 => [Activation::Relu, Activation::HardSigmoid(1.0 / 6.0, 0.5)],
            Self::EfficientNet | Self::MobileNetV2 => [Activation::Silu, Activation::Sigmoid],
        }
    }
}

/// Checks that a network of a family with so many blocks in its stages was published: the strides of others are not
/// known.
pub(super) fn require_published(family: Family, counts: &[usize]) -> Result<(), String> {
    let deeper = |base: &[usize], depth: f64| -> Vec<usize> {
        let blocks = base
            .iter()
            .map(|&count| (count as f64 * depth).ceil() as usize);
        blocks.collect()
    };
    let is_b = || {
        DEPTHS
            .iter()
            .any(|&depth| deeper(&B0_BLOCKS, depth) == counts)
    };
    let is_v2 = || {
        V2_DEPTHS.iter().any(|&depth| {
            let mut blocks = deeper(&V2_BLOCKS, depth);
            (blocks[0], blocks[6]) = (1, 1);
            blocks == counts
        })
    };
    let is_known = match family {
        Family::EfficientNet => is_b(),
        Family::MobileNetV2 => is_b() || is_v2(),
        Family::MobileNetV3 => counts.split_last().is_some_and(|(&last, others)| {
            last == 1 && (others == LARGE_BLOCKS || others == SMALL_BLOCKS)
        }),
    };
    if is_known {
        return Ok(());
    }
    let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
    Err(format!(
        "its stages have {} blocks, as no published {} has, so its strides are not known; open it as an ONNX file",
        counts.join("-"),
        family.name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_published_numbers_of_blocks_have_known_strides() {
        let known: [(Family, &[usize]); 8] = [
            (Family::EfficientNet, &[1, 2, 2, 3, 3, 4, 1]),
            (Family::EfficientNet, &[2, 3, 3, 4, 4, 5, 2]),
            (Family::EfficientNet, &[4, 7, 7, 10, 10, 13, 4]),
            (Family::MobileNetV2, &[1, 2, 2, 3, 3, 4, 1]),
            (Family::MobileNetV2, &[1, 2, 3, 4, 3, 3, 1]),
            (Family::MobileNetV2, &[1, 3, 5, 6, 5, 5, 1]),
            (Family::MobileNetV3, &[1, 2, 3, 4, 2, 3, 1]),
            (Family::MobileNetV3, &[1, 2, 3, 2, 3, 1]),
        ];
        for (family, counts) in known {
            assert_eq!(require_published(family, counts), Ok(()), "{counts:?}");
        }
        // EfficientNetV2-S, FBNet-C, LCNet, MnasNet, and nothing at all.
        let others: [(Family, &[usize]); 5] = [
            (Family::EfficientNet, &[2, 4, 4, 6, 9, 15]),
            (Family::MobileNetV2, &[1, 3, 4, 4, 4, 4, 1]),
            (Family::MobileNetV3, &[1, 2, 2, 2, 4, 2]),
            (Family::MobileNetV2, &[1, 3, 3, 3, 2, 4, 1]),
            (Family::MobileNetV3, &[]),
        ];
        for (family, counts) in others {
            let refused = require_published(family, counts).expect_err("its strides are not known");
            assert!(refused.contains("ONNX"), "{refused}");
        }
    }
}
