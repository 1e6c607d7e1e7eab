//! From the nodes of a file to a graph.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

use super::arrays::{Constant, constant, is_integer};
use super::attributes::Attributes;
use super::head::{self, Answers};
use super::operators;
use super::proto::{GraphProto, NodeProto, ValueInfo};
use crate::data::LUMA;
use crate::model::architecture::GraphSummary;
use crate::model::graph::{Convolution, Draft, Graph, Op, Source, Value};
use crate::model::import::onnx::context::{Import, Traced};
use crate::model::import::{ChannelOrder, Description};

/// Where nothing else is said: the size of the pictures of most models there are.
const USUAL: usize = 224;

/// Numbers that constants may take beyond twice those of the file.
const SLACK: usize = 4 << 20;

/// Nodes of the largest classifiers are some thousands.
const MOST_NODES: usize = 100_000;

/// A graph, and what is to be said of it.
pub(super) struct Imported {
    pub(super) graph: Graph,
    pub(super) summary: GraphSummary,
    /// Height and width of the pictures that it is for.
    pub(super) input: [usize; 2],
    /// Whether it was made for pictures of one channel.
    pub(super) grey: bool,
    pub(super) notes: Vec<String>,
    pub(super) assumptions: Vec<String>,
}

/// The graph of a file.
pub(super) fn import(
    file: GraphProto,
    opset: i64,
    description: &Description,
    folder: &Path,
    device: &Device,
) -> Result<Imported, String> {
    if file.node.len() > MOST_NODES {
        return Err(format!("it has {} nodes", file.node.len()));
    }
    let mut names = HashMap::new();
    let mut numbers = 0;
    for tensor in file.initializer {
        let name = tensor.name.clone();
        let read = constant(tensor, folder);
        let read = read.map_err(|reason| format!("its array {name}: {reason}"))?;
        numbers += read.numbers();
        names.insert(name, Traced::Constant(read));
    }
    let inputs: Vec<&ValueInfo> = file
        .input
        .iter()
        .filter(|input| !names.contains_key(&input.name))
        .collect();
    let [input] = inputs[..] else {
        return Err(format!(
            "it has {} inputs; one picture is needed",
            inputs.len()
        ));
    };
    let InputShape { size, last, grey } = InputShape::of(input, description.input)?;
    let (mut notes, mut assumptions) = (Vec::new(), Vec::new());
    if description.input.is_none() && is_dynamic(input) {
        let [height, width] = size;
        assumptions.push(format!(
            "its input, which may have any size, is {height}×{width} pixels"
        ));
    }
    let mut import = Import {
        draft: Draft::new(size),
        opset,
        names,
        reads: reads(&file.node, &file.output),
        device,
        folder,
        left: Cell::new(2 * numbers + SLACK),
    };
    let mut picture = 0;
    if grey {
        picture = import
            .draft
            .push(luma(device), vec![Source::Value(picture)])?;
    } else if description.channels == Some(ChannelOrder::Bgr) {
        picture = reversed_channels(&mut import.draft, picture)?;
    }
    if last {
        // Channels last, as TensorFlow has it.
        let order = Op::Transpose(vec![0, 2, 3, 1]);
        picture = import.draft.push(order, vec![Source::Value(picture)])?;
    }
    import
        .names
        .insert(input.name.clone(), Traced::Value(picture));
    for node in &file.node {
        add_node(&mut import, node).map_err(|reason| {
            let name = if node.name.is_empty() {
                node.output.first()
            } else {
                Some(&node.name)
            };
            let name = name.map_or("", String::as_str);
            format!("its node {name} ({}): {reason}", node.op_type)
        })?;
    }
    let names: Vec<&str> = file
        .output
        .iter()
        .map(|output| output.name.as_str())
        .collect();
    let output = head::choose(&names, &import, description.output.as_deref())?;
    if names.len() > 1 {
        notes.push(format!(
            "of its outputs {}, {output} is read as the logits",
            names.join(", ")
        ));
    }
    let Some(Traced::Value(output)) = import.names.get(output).cloned() else {
        return Err("its output does not depend on its input".into());
    };
    let head = head::logits(&mut import.draft, output, device)?;
    notes.extend(head.notes);
    let (graph, summary) = import.draft.finish(head.output, head.title)?;
    assumptions.extend(Answers::of(&graph, size, device)?.doubt());
    Ok(Imported {
        graph,
        summary,
        input: size,
        grey,
        notes,
        assumptions,
    })
}

/// The luma of a picture, `[n, 1, h, w]`.
fn luma(device: &Device) -> Op {
    Op::Conv(Convolution {
        weight: Tensor::from_data(TensorData::new(LUMA.to_vec(), [1, 3, 1, 1]), device),
        bias: None,
        stride: [1; 2],
        padding: [0; 4],
        dilation: [1; 2],
        groups: 1,
    })
}

/// The picture with its channels in reverse order.
fn reversed_channels(draft: &mut Draft, picture: usize) -> Result<usize, String> {
    let mut planes = Vec::with_capacity(3);
    for start in (0..3).rev() {
        let plane = Op::Slice {
            axis: 1,
            start,
            end: start + 1,
            step: 1,
        };
        planes.push(Source::Value(
            draft.push(plane, vec![Source::Value(picture)])?,
        ));
    }
    draft.push(Op::Concat(1), planes)
}

/// Whether height or width of the input are left open.
fn is_dynamic(input: &ValueInfo) -> bool {
    let tensor = input.kind.as_ref().and_then(|kind| kind.tensor.as_ref());
    let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
    shape.is_some_and(|shape| {
        shape
            .dim
            .iter()
            .skip(1)
            .filter(|side| side.value <= 0)
            .count()
            > 0
    })
}

/// How often each name is read, by nodes or as an output.
fn reads(nodes: &[NodeProto], outputs: &[ValueInfo]) -> HashMap<String, usize> {
    let inputs = nodes.iter().flat_map(|node| &node.input);
    let mut reads = HashMap::new();
    for name in inputs.chain(outputs.iter().map(|output| &output.name)) {
        *reads.entry(name.clone()).or_default() += 1;
    }
    reads
}

/// What an input takes.
struct InputShape {
    /// Height and width of the pictures.
    size: [usize; 2],
    /// Whether channels come last.
    last: bool,
    /// Whether there is only one channel.
    grey: bool,
}

impl InputShape {
    fn of(input: &ValueInfo, asked: Option<[usize; 2]>) -> Result<Self, String> {
        let (size, last, channels) = input_size(input, asked)?;
        Ok(Self {
            size,
            last,
            grey: channels == 1,
        })
    }
}

/// Height and width of the pictures, whether channels come last, and how many there are; 0 for any number.
fn input_size(
    input: &ValueInfo,
    asked: Option<[usize; 2]>,
) -> Result<([usize; 2], bool, i64), String> {
    let kind = input.kind.as_ref().and_then(|kind| kind.tensor.as_ref());
    let kind = kind.ok_or("its input is no tensor")?;
    if is_integer(kind.element) {
        return Err("its input is integers; pictures of floating-point numbers are needed".into());
    }
    let shape = kind
        .shape
        .as_ref()
        .ok_or("the shape of its input is not known")?;
    let sides: Vec<i64> = shape.dim.iter().map(|side| side.value).collect();
    let [batch, b, c, d] = sides[..] else {
        return Err(format!("its input is {sides:?}, not a batch of pictures"));
    };
    let is_last = |count: i64| d == count && b != count && b != 3;
    let (channels, h, w, last) = if is_last(3) || is_last(1) {
        (d, b, c, true)
    } else {
        (b, c, d, false)
    };
    if !matches!(channels, 0 | 1 | 3) || !matches!(batch, 0 | 1) {
        return Err(format!(
            "its input is {sides:?}; any number of pictures of three channels, or of one, is needed"
        ));
    }
    let asked = asked.unwrap_or([0; 2]);
    let side = |fixed: i64, asked: usize| match (usize::try_from(fixed).unwrap_or(0), asked) {
        (0, 0) => Ok(USUAL),
        (0, asked) => Ok(asked),
        (fixed, asked) if asked == 0 || asked == fixed => Ok(fixed),
        (fixed, asked) => Err(format!(
            "it was exported for {fixed} pixels, not for {asked}"
        )),
    };
    let size = [side(h, asked[0])?, side(w, asked[1])?];
    if size.iter().any(|&side| side > MAX_SIDE) {
        return Err(format!("its input is {size:?}"));
    }
    Ok((size, last, channels))
}

/// The largest side of an input.
const MAX_SIDE: usize = 2048;

/// Adds a node: as a constant if it does not depend on the picture, else as operations of the graph.
fn add_node(import: &mut Import, node: &NodeProto) -> Result<(), String> {
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return Err(format!("operators of {} are not known here", node.domain));
    }
    let attributes = Attributes(node);
    let known = match import.known(node, &attributes) {
        // What folding does not know may be an operation of graphs.
        Err(reason) => Some(run_on_constants(import, node, &attributes).ok_or(reason)?),
        Ok(known) => known,
    };
    let made = match known {
        Some(made) => {
            import.spend(&made)?;
            vec![Traced::Constant(made)]
        }
        None => operators::lower(import, node, &attributes)?,
    };
    for (name, made) in node.output.iter().zip(made) {
        import.names.insert(name.clone(), made);
    }
    Ok(())
}

/// The result of a node on constants, computed as a graph computes it; `None` where it cannot.
fn run_on_constants(
    import: &mut Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Option<Constant> {
    let name = node.input.first()?.clone();
    let Constant::Floats(values, sides) = import.constant(node, 0).ok()??.clone() else {
        return None;
    };
    let input = Value::constant(values, &sides, import.device);
    let draft = std::mem::replace(&mut import.draft, Draft::of_constant(&input));
    let known = import.names.insert(name.clone(), Traced::Value(0));
    let made = operators::lower(import, node, attributes);
    import.names.extend(known.map(|known| (name, known)));
    let scratch = std::mem::replace(&mut import.draft, draft);
    match made.ok()?[..] {
        [Traced::Value(place)] => {
            let result = scratch.run(input, place);
            let sides = result.sides();
            Some(Constant::Floats(result.values(), sides))
        }
        _ => None,
    }
}
