//! The names of a vision transformer's tensors, as timm, torchvision and Hugging Face write them.

use std::collections::BTreeMap;

use crate::model::{Array, Weights};

/// Renames torchvision's and Hugging Face's tensors as timm has them. Whether they were Hugging Face's.
pub(super) fn to_timm_names(weights: &mut Weights) -> Result<bool, String> {
    let old = std::mem::take(&mut weights.tensors);
    let is_hugging_face = old.keys().any(|name| name.contains("patch_embeddings."));
    let mut apart: BTreeMap<String, [Option<Array>; 3]> = BTreeMap::new();
    for (name, array) in old {
        let name = if is_hugging_face {
            hugging_face_name(&name)
        } else {
            torchvision_name(&name)
        };
        // Hugging Face keeps query, key and value apart.
        let parts = ["query", "key", "value"];
        let part = (0..3).find_map(|at| {
            let (block, kind) = name.split_once(&format!(".attn.{}.", parts[at]))?;
            Some((format!("{block}.attn.qkv.{kind}"), at))
        });
        match part {
            Some((whole, at)) => apart.entry(whole).or_default()[at] = Some(array),
            None => drop(weights.tensors.insert(name, array)),
        }
    }
    for (name, parts) in apart {
        let [Some(query), Some(key), Some(value)] = parts else {
            return Err(format!("query, key or value of {name} is missing"));
        };
        if query.shape != key.shape || query.shape != value.shape || query.shape.is_empty() {
            return Err(format!(
                "query, key and value of {name} are of other shapes"
            ));
        }
        let mut shape = query.shape.clone();
        shape[0] *= 3;
        let values = [query.values, key.values, value.values].concat();
        weights.tensors.insert(name, Array { shape, values });
    }
    Ok(is_hugging_face)
}

/// A name with each of these parts replaced.
fn renamed(name: &str, parts: &[(&str, &str)]) -> String {
    parts
        .iter()
        .fold(name.to_owned(), |name, (from, to)| name.replace(from, to))
}

fn torchvision_name(name: &str) -> String {
    renamed(
        name,
        &[
            ("class_token", "cls_token"),
            ("conv_proj.", "patch_embed.proj."),
            ("encoder.pos_embedding", "pos_embed"),
            ("encoder.layers.encoder_layer_", "blocks."),
            ("self_attention.in_proj_", "attn.qkv."),
            ("self_attention.out_proj.", "attn.proj."),
            (".ln_1.", ".norm1."),
            (".ln_2.", ".norm2."),
            ("mlp.linear_1.", "mlp.fc1."),
            ("mlp.linear_2.", "mlp.fc2."),
            ("mlp.0.", "mlp.fc1."),
            ("mlp.3.", "mlp.fc2."),
            ("encoder.ln.", "norm."),
            ("heads.head.", "head."),
        ],
    )
}

fn hugging_face_name(name: &str) -> String {
    let name = name.strip_prefix("vit.").unwrap_or(name);
    let name = name.strip_prefix("deit.").unwrap_or(name);
    renamed(
        name,
        &[
            ("embeddings.cls_token", "cls_token"),
            ("embeddings.distillation_token", "dist_token"),
            ("embeddings.position_embeddings", "pos_embed"),
            (
                "embeddings.patch_embeddings.projection.",
                "patch_embed.proj.",
            ),
            // Since transformers 5, and before.
            ("layers.", "blocks."),
            ("encoder.layer.", "blocks."),
            ("attention.q_proj.", "attn.query."),
            ("attention.k_proj.", "attn.key."),
            ("attention.v_proj.", "attn.value."),
            ("attention.o_proj.", "attn.proj."),
            ("attention.attention.", "attn."),
            ("attention.output.dense.", "attn.proj."),
            ("intermediate.dense.", "mlp.fc1."),
            ("output.dense.", "mlp.fc2."),
            ("layernorm_before.", "norm1."),
            ("layernorm_after.", "norm2."),
            ("layernorm.", "norm."),
            ("cls_classifier.", "head."),
            ("distillation_classifier.", "head_dist."),
            ("classifier.", "head."),
        ],
    )
}
