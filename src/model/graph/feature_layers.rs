//! Feature layers of a graph: values on which all later operations depend exclusively.

use super::{Node, Op};

/// Indices of the values that serve as feature layers and representation.
#[derive(Clone, Debug)]
pub(super) struct FeatureLayers {
    /// Feature maps `[n, c, h, w]`, from the stem on: the last one of each resolution.
    pub(super) stages: Vec<usize>,
    /// The representation `[n, d]` that the last linear layer reads, else the logits themselves.
    pub(super) embedding: usize,
}

impl FeatureLayers {
    pub(super) fn find(nodes: &[Node], shapes: &[Vec<usize>]) -> Result<Self, String> {
        let separating = separating_values(nodes);
        let vectors = || {
            separating
                .iter()
                .copied()
                .filter(|&at| shapes[at].len() == 2)
        };
        let reads = |at: usize| -> Option<usize> {
            let node = nodes.get(at.checked_sub(1)?)?;
            let linear = matches!(node.op, Op::Linear { .. });
            linear.then(|| node.reads().next()).flatten()
        };
        let output = nodes.len();
        let before = reads(output).filter(|at| vectors().any(|other| other == *at));
        let embedding = before.unwrap_or(output);
        let mut stages: Vec<usize> = Vec::new();
        for &at in separating.iter().filter(|&&at| at > 0 && at < embedding) {
            let [_, _, h, w] = shapes[at][..] else {
                continue;
            };
            let same = |&last: &usize| shapes[last][2..] == [h, w];
            // A map of one pixel is pooled already; it is a feature layer only if there is no larger map.
            if h * w == 1 && !stages.is_empty() {
                continue;
            }
            if stages.last().is_some_and(same) {
                stages.pop();
            }
            stages.push(at);
        }
        if stages.is_empty() {
            return Err("it has no feature map through which everything passes".into());
        }
        Ok(Self { stages, embedding })
    }
}

/// Indices of the values that separate the graph: no later node reads an earlier value.
fn separating_values(nodes: &[Node]) -> Vec<usize> {
    // For each index, the earliest value that is read at or after it.
    let mut earliest = vec![usize::MAX; nodes.len() + 2];
    for (index, node) in nodes.iter().enumerate().rev() {
        let read = node.reads().min().unwrap_or(usize::MAX);
        earliest[index + 1] = earliest[index + 2].min(read);
    }
    (0..=nodes.len())
        .filter(|&place| earliest[place + 1] >= place)
        .collect()
}
