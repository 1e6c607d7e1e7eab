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
            import.draft.sides(*place)[1..]
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
    let count: usize = draft.sides(output)[1..].iter().product();
    if taken_off.contains(&"sigmoid") && count > 1 {
        head.notes.push("its last sigmoid is taken off, whose input are the logits: a model of labels that do not exclude each other, read as if they did".into());
    }
    if draft.sides(output).len() > 2
        && draft.sides(output)[1..]
            .iter()
            .filter(|&&side| side > 1)
            .count()
            <= 1
    {
        output = draft.reshape(Source::Value(output), vec![1, count])?;
    }
    if draft.sides(output) == [1, 1] {
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

/// What a graph answers to three pictures.
pub(super) struct Answers {
    /// Logits of each picture.
    rows: Vec<Vec<f32>>,
}

impl Answers {
    /// Asks the graph.
    ///
    /// # Errors
    /// A message, if the answer to a picture depends on the others of its batch.
    pub(super) fn of(
        graph: &Graph,
        [height, width]: [usize; 2],
        device: &Device,
    ) -> Result<Self, String> {
        let area = 3 * height * width;
        let noise = |at: usize, scale: f32| scale * ((at * 7919 % 1009) as f32 / 504.5 - 1.0);
        let values = (0..3 * area).map(|at| noise(at, (at / area) as f32 * 1.5));
        let data = TensorData::new(values.collect::<Vec<f32>>(), [3, 3, height, width]);
        let pictures = Tensor::<4>::from_data(data, device);
        let answers = |pictures: Tensor<4>| {
            let features = graph.features(pictures, FeatureLayer::LAST);
            let logits = graph.logits(graph.embed(features));
            let [_, classes] = logits.dims();
            let logits = tensor_values(logits);
            let rows = logits.chunks_exact(classes).map(<[f32]>::to_vec);
            rows.collect::<Vec<_>>()
        };
        let rows = answers(pictures.clone());
        // Reshapes of a graph that was exported for one picture do not say where a batch goes.
        let alone = answers(pictures.narrow(0, 2, 1));
        let largest = rows[2].iter().fold(1e-3_f32, |most, z| most.max(z.abs()));
        let differs = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-2 * largest;
        if rows[2].iter().zip(&alone[0]).any(differs) {
            return Err("its answer to a picture depends on the others of a batch: export it with a dynamic batch, or it normalises over the batch".into());
        }
        Ok(Self { rows })
    }

    /// A doubt whether they are logits.
    pub(super) fn doubt(&self) -> Option<String> {
        let answers = self.rows.concat();
        let are_between =
            |low: f32, high: f32| answers.iter().all(|value| (low..=high).contains(value));
        let mut sums = self.rows.iter().map(|row| row.iter().sum::<f32>());
        let spread = answers.iter().any(|value| value.abs() > 0.05);
        let what = if are_between(0.0, 1.0) && sums.all(|sum| (sum - 1.0).abs() < 1e-3) {
            "probabilities: they sum to 1"
        } else if are_between(0.0, 1.0) && spread {
            "squeezed into [0, 1]"
        } else if are_between(-1.0, 1.0) && spread && answers.iter().any(|value| value.abs() > 0.98)
        {
            "squeezed into [−1, 1]"
        } else {
            return None;
        };
        Some(format!(
            "its outputs are logits, though they look {what}: attacks by gradients may be too weak, and figures under attack too good"
        ))
    }
}
