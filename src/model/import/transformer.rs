//! Vision transformers (Dosovitskiy et al. 2021) and DeiT (Touvron et al. 2021) from the tensors that timm,
//! torchvision and Hugging Face write.

use burn::tensor::Device;

use super::builder::{Builder, ConvSettings, assume_epsilon_and_gelu};
use super::transformer_names::to_timm_names;
use super::{Description, Found, LoadError};
use crate::model::Weights;
use crate::model::graph::{Activation, Op, Source};

/// Channels of one head in all published vision transformers of Dosovitskiy et al. and DeiT but the largest.
const HEAD_CHANNELS: usize = 64;

/// ε of LayerNorm in timm and torchvision.
const EPSILON: f64 = 1e-6;
/// ε of LayerNorm in Hugging Face's ViT.
const HUGGING_FACE_EPSILON: f64 = 1e-12;
/// ε of LayerNorm in CLIP (Radford et al. 2021), whose networks also normalise before the first layer.
const CLIP_EPSILON: f64 = 1e-5;

/// Whether these tensors are a vision transformer's, under any of the known names.
pub(super) fn is_one(weights: &Weights) -> bool {
    let has = |name: &str| weights.tensors.contains_key(name);
    let hugging_face = |name: &String| name.contains("embeddings.patch_embeddings.projection.");
    (has("patch_embed.proj.weight") && has("blocks.0.attn.qkv.weight"))
        || has("conv_proj.weight")
        || weights.tensors.keys().any(hugging_face)
}

/// Builds the network.
pub(super) fn build(
    mut weights: Weights,
    description: &Description,
    device: &Device,
) -> Result<Found, LoadError> {
    let is_hugging_face = to_timm_names(&mut weights)?;
    let tried = |reason: String| LoadError::tried("as a vision transformer", reason);
    let mut builder = Builder::new(&weights, [0; 2], device);
    let shape = builder.shape("patch_embed.proj.weight");
    let Some(&[channels, 3, patch, across]) = shape else {
        return Err(tried("its patches are not of pictures".into()));
    };
    if patch != across || patch == 0 || channels == 0 {
        return Err(tried("its patches are not square".into()));
    }
    let prefix = ["cls_token", "dist_token", "reg_token"].map(|name| tokens(&builder, name));
    let prefix: usize = prefix.iter().sum();
    let positions = tokens(&builder, "pos_embed");
    // timm's networks without positions for the class token have as many as patches.
    let (patches, joins_first) = match side_of_square(positions.saturating_sub(prefix)) {
        Some(side) => (side, true),
        None => {
            let side = side_of_square(positions);
            let reason = || tried(format!("{positions} positions are of no square of patches"));
            (side.ok_or_else(reason)?, false)
        }
    };
    let input = [patches * patch; 2];
    if description.input.is_some_and(|said| said != input) {
        let reason = format!(
            "its positions are those of {0}×{0} pixels: resize them first (timm: img_size=…)",
            input[0]
        );
        return Err(tried(reason));
    }
    // Normalised queries tell how many channels a head has.
    let told = builder.shape("blocks.0.attn.q_norm.weight");
    let told = told.and_then(|shape| shape.first().copied());
    let each = told.unwrap_or(HEAD_CHANNELS).max(1);
    let heads = description.heads.unwrap_or((channels / each).max(1));
    if heads == 0 || !channels.is_multiple_of(heads) {
        return Err(tried(format!(
            "{channels} channels are not of {heads} heads"
        )));
    }
    let is_clip = builder.has("norm_pre.weight");
    let activation = match description.activation {
        Some(said) => said.into(),
        None if is_clip => {
            return Err(tried(
                "CLIP's transformers have GELU or QuickGELU, which their tensors do not tell: say which in a description \
                 (activation = \"gelu\" or \"quick-gelu\")"
                    .into(),
            ));
        }
        None => Activation::Gelu,
    };
    let epsilon = match (is_hugging_face, is_clip) {
        (true, _) => HUGGING_FACE_EPSILON,
        (_, true) => CLIP_EPSILON,
        _ => EPSILON,
    };
    let vit = Vit {
        heads,
        channels,
        epsilon,
        activation,
        patch,
        patches,
        prefix,
        joins_first,
    };
    builder = Builder::new(&weights, input, device);
    let depth = builder.count(|block| format!("blocks.{block}.norm1.weight"));
    let output = vit.network(&mut builder, depth).map_err(tried)?;
    let title = format!(
        "{}, {depth} layers of {heads} heads, {channels} channels, patches of {patch}×{patch}",
        if builder.has("dist_token") {
            "DeiT, distilled"
        } else {
            "Vision transformer"
        }
    );
    let mut found = builder.finish(output, title, input)?;
    if description.heads.is_none() && told.is_none() {
        found.assumptions.push(format!(
            "heads of attention: {heads}, of {} channels each; the tensors do not tell (heads = …)",
            channels / heads
        ));
    }
    assume_epsilon_and_gelu(&mut found, epsilon, description.activation);
    Ok(found)
}

/// Number of tokens in a tensor `[1, t, d]`, `[1, 1, d]` or `[t, d]`; 0 without it.
fn tokens(builder: &Builder, name: &str) -> usize {
    match builder.shape(name) {
        Some([.., tokens, _]) => *tokens,
        _ => 0,
    }
}

fn side_of_square(count: usize) -> Option<usize> {
    let side = count.isqrt();
    (side > 0 && side * side == count).then_some(side)
}

/// The settings of a vision transformer.
struct Vit {
    heads: usize,
    channels: usize,
    /// Of LayerNorm.
    epsilon: f64,
    activation: Activation,
    /// Side of a patch, in pixels.
    patch: usize,
    /// Patches along a side.
    patches: usize,
    /// Tokens before those of patches.
    prefix: usize,
    /// Whether those are joined before positions are added.
    joins_first: bool,
}

impl Vit {
    fn network(&self, builder: &mut Builder, depth: usize) -> Result<usize, String> {
        let settings = ConvSettings {
            stride: self.patch,
            padding: [0; 4],
            groups: 1,
        };
        let x = builder.conv("patch_embed.proj", 0, settings)?;
        let count = self.patches * self.patches;
        let x = builder
            .draft
            .reshape(Source::Value(x), vec![1, self.channels, count])?;
        let mut x = builder.push(Op::Transpose(vec![0, 2, 1]), x)?;
        if self.joins_first {
            x = self.joined(builder, x)?;
            x = positioned(builder, x)?;
        } else {
            x = positioned(builder, x)?;
            x = self.joined(builder, x)?;
        }
        if builder.has("norm_pre.weight") {
            x = builder.layer_norm("norm_pre", x, self.epsilon)?;
        }
        for block in 0..depth {
            x = self.block(builder, &format!("blocks.{block}"), x)?;
        }
        if builder.has("norm.weight") {
            x = builder.layer_norm("norm", x, self.epsilon)?;
        }
        self.head(builder, x)
    }

    /// The tokens before those of patches, and these.
    fn joined(&self, builder: &mut Builder, x: usize) -> Result<usize, String> {
        let mut parts = Vec::new();
        for name in ["cls_token", "dist_token", "reg_token"] {
            if builder.has(name) {
                parts.push(builder.constant(name)?);
            }
        }
        if parts.is_empty() {
            return Ok(x);
        }
        parts.push(Source::Value(x));
        builder.draft.push(Op::Concat(1), parts)
    }

    fn block(&self, builder: &mut Builder, at: &str, x: usize) -> Result<usize, String> {
        let y = builder.layer_norm(&format!("{at}.norm1"), x, self.epsilon)?;
        let y = self.attention(builder, &format!("{at}.attn"), y)?;
        let y = scaled(builder, &format!("{at}.ls1.gamma"), y)?;
        let x = builder.add(x, y)?;
        let y = builder.layer_norm(&format!("{at}.norm2"), x, self.epsilon)?;
        let y = builder.linear(&format!("{at}.mlp.fc1"), y)?;
        let y = builder.activate(self.activation, y)?;
        let y = builder.linear(&format!("{at}.mlp.fc2"), y)?;
        let y = scaled(builder, &format!("{at}.ls2.gamma"), y)?;
        builder.add(x, y)
    }

    fn attention(&self, builder: &mut Builder, at: &str, x: usize) -> Result<usize, String> {
        let tokens = self.prefix + self.patches * self.patches;
        let each = self.channels / self.heads;
        let x = builder.linear(&format!("{at}.qkv"), x)?;
        let sides = vec![1, tokens, 3, self.heads, each];
        let x = builder.draft.reshape(Source::Value(x), sides)?;
        let x = builder.push(Op::Transpose(vec![2, 0, 3, 1, 4]), x)?;
        let mut parts = [0; 3];
        for (at, part) in parts.iter_mut().enumerate() {
            *part = builder.index(x, 0, at)?;
        }
        let [mut query, mut key, value] = parts;
        if builder.has(&format!("{at}.q_norm.weight")) {
            query = builder.layer_norm(&format!("{at}.q_norm"), query, self.epsilon)?;
            key = builder.layer_norm(&format!("{at}.k_norm"), key, self.epsilon)?;
        }
        let scale = builder.number(1.0 / (each as f32).sqrt());
        let query = builder.push_with(Op::Mul, query, scale)?;
        let key = builder.push(Op::Transpose(vec![0, 1, 3, 2]), key)?;
        let scores = builder.push_with(Op::MatMul, query, Source::Value(key))?;
        let shares = builder.push(Op::Softmax(3), scores)?;
        let x = builder.push_with(Op::MatMul, shares, Source::Value(value))?;
        let x = builder.push(Op::Transpose(vec![0, 2, 1, 3]), x)?;
        let sides = vec![1, tokens, self.channels];
        let x = builder.draft.reshape(Source::Value(x), sides)?;
        builder.linear(&format!("{at}.proj"), x)
    }

    /// The classes: from the class token, or without `norm` from the mean of the patches.
    fn head(&self, builder: &mut Builder, x: usize) -> Result<usize, String> {
        let is_mean = builder.has("fc_norm.weight") || self.prefix == 0;
        if !is_mean {
            let token = builder.index(x, 1, 0)?;
            let logits = builder.linear("head", token)?;
            if !builder.has("head_dist.weight") {
                return Ok(logits);
            }
            let token = builder.index(x, 1, 1)?;
            let distilled = builder.linear("head_dist", token)?;
            let sum = builder.add(logits, distilled)?;
            let half = builder.number(0.5);
            return builder.push_with(Op::Mul, sum, half);
        }
        let patches = Op::Slice {
            axis: 1,
            start: self.prefix,
            end: self.prefix + self.patches * self.patches,
            step: 1,
        };
        let mut x = x;
        if self.prefix > 0 {
            x = builder.push(patches, x)?;
        }
        let mean = Op::Mean {
            axes: vec![1],
            keep: false,
        };
        let mut x = builder.push(mean, x)?;
        if builder.has("fc_norm.weight") {
            x = builder.layer_norm("fc_norm", x, self.epsilon)?;
        }
        builder.linear("head", x)
    }
}

/// LayerScale, if the file has one of that name.
fn scaled(builder: &mut Builder, name: &str, x: usize) -> Result<usize, String> {
    if !builder.has(name) {
        return Ok(x);
    }
    let scale = builder.constant(name)?;
    builder.push_with(Op::Mul, x, scale)
}

fn positioned(builder: &mut Builder, x: usize) -> Result<usize, String> {
    let positions = builder.constant("pos_embed")?;
    builder.push_with(Op::Add, x, positions)
}
