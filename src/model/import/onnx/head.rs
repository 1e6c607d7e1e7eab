//! The end of a graph: which output is the logits, and what stands between it and them.

use burn::tensor::{Device, Tensor, TensorData};

use super::context::{Import, Traced};
use crate::model::graph::{Draft, Graph, Op, Source};
use crate::model::import::ONE_OUTPUT;
use crate::model::{FeatureLayer, Network, tensor_values};

/// What the names of outputs say, the likeliest logits first.
const NAMES: [&str; 6] = ["logit", "class", "prob", "score", "pred", "output"];

/// The output that is the logits: the one that a person named, else the only one, else the one whose name
/// and shape say so, else the last.
pub(super) fn choose<'a>(
    names: &[&'a str],
    import: &Import,
    wanted: Option<&str>,
) -> Result<&'a str, String> {
    if let Some(wanted) = wanted {
        let found = names.iter().find(|name| **name == wanted);
        return found
            .copied()
            .ok_or_else(|| format!("it has no output {wanted}; there are {}", names.join(", ")));
    }
    let is_row = |name: &str| match import.names.get(name) {
        Some(Traced::Value(place)) => {
            import.draft.shape(*place)[1..]
                .iter()
                .filter(|&&side| side > 1)
                .count()
                <= 1
        }
        _ => false,
    };
    let rows: Vec<&str> = names.iter().copied().filter(|name| is_row(name)).collect();
    let named = |word: &&str| {
        let mut plain = rows.iter().filter(|name| {
            let name = name.to_lowercase();
            name.contains(word) && !name.contains("aux")
        });
        plain.next().copied()
    };
    let likeliest = NAMES.iter().find_map(named).or(rows.last().copied());
    likeliest
        .or(names.first().copied())
        .ok_or_else(|| "it has no output".into())
}

/// The logits of a graph.
pub(super) struct Head {
    /// Index of their value.
    pub(super) output: usize,
    /// Display name of the graph.
    pub(super) title: String,
    pub(super) notes: Vec<String>,
}

/// Finds the logits behind the value `output`: takes off what squeezes them, flattens maps of one pixel, and
/// makes two classes of one output.
pub(super) fn logits(
    draft: &mut Draft,
    mut output: usize,
    device: &Device,
) -> Result<Head, String> {
    let mut head = Head {
        output,
        title: "ONNX graph".into(),
        notes: Vec::new(),
    };
    let mut taken_off = Vec::new();
    while let Some((name, before)) = draft.before_squashing(output) {
        taken_off.push(name);
        output = before;
    }
    if !taken_off.is_empty() {
        head.title += &format!(" without its last {}", taken_off.join(" and "));
    }
    let count: usize = draft.shape(output)[1..].iter().product();
    if taken_off.contains(&"sigmoid") && count > 1 {
        head.notes.push("its last sigmoid is taken off, whose input are the logits: a model of labels that do not exclude each other, read as if they did".into());
    }
    if draft.shape(output).len() > 2
        && draft.shape(output)[1..]
            .iter()
            .filter(|&&side| side > 1)
            .count()
            <= 1
    {
        output = draft.push(Op::Reshape(vec![count]), vec![Source::Value(output)])?;
    }
    if draft.shape(output) == [1, 1] {
        head.notes.push(ONE_OUTPUT.into());
        output = two_classes(draft, output, device)?;
    }
    head.output = output;
    Ok(head)
}

/// The logits 0 and z of the one output z.
fn two_classes(draft: &mut Draft, output: usize, device: &Device) -> Result<usize, String> {
    if draft.make_two_rows(output) {
        return Ok(output);
    }
    let data = TensorData::new(vec![0.0_f32, 1.0], [2, 1]);
    let weight = Tensor::from_data(data, device);
    draft.push(
        Op::Linear { weight, bias: None },
        vec![Source::Value(output)],
    )
}

/// A doubt whether a graph's outputs are logits, from its answers to three pictures.
pub(super) fn doubt(graph: &Graph, [height, width]: [usize; 2], device: &Device) -> Option<String> {
    let area = 3 * height * width;
    let noise = |at: usize, scale: f32| scale * ((at * 7919 % 1009) as f32 / 504.5 - 1.0);
    let values = (0..3 * area).map(|at| noise(at, (at / area) as f32 * 1.5));
    let data = TensorData::new(values.collect::<Vec<f32>>(), [3, 3, height, width]);
    let features = graph.features(Tensor::from_data(data, device), FeatureLayer::LAST);
    let answers = graph.logits(graph.embed(features));
    let [_, classes] = answers.dims();
    let answers = tensor_values(answers);
    let are_between =
        |low: f32, high: f32| answers.iter().all(|value| (low..=high).contains(value));
    let sums = answers
        .chunks_exact(classes)
        .map(|row| row.iter().sum::<f32>());
    let mut sums = sums.collect::<Vec<_>>().into_iter();
    let spread = answers.iter().any(|value| value.abs() > 0.05);
    let what = if are_between(0.0, 1.0) && sums.all(|sum| (sum - 1.0).abs() < 1e-3) {
        "probabilities: they sum to 1"
    } else if are_between(0.0, 1.0) && spread {
        "squeezed into [0, 1]"
    } else if are_between(-1.0, 1.0) && spread && answers.iter().any(|value| value.abs() > 0.98) {
        "squeezed into [−1, 1]"
    } else {
        return None;
    };
    Some(format!(
        "its outputs are logits, though they look {what}: attacks by gradients may be too weak, and figures under attack too good"
    ))
}
