//! From the nodes of a file to a graph.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;

use burn::tensor::Device;

use super::arrays::{constant, is_integer};
use super::attributes::Attributes;
use super::operators;
use super::proto::{GraphProto, NodeProto, ValueInfo};
use crate::model::architecture::GraphSummary;
use crate::model::graph::{Draft, Graph, Op, Source};
use crate::model::import::onnx::context::{Import, Traced};

/// Where nothing else is said: the size of the pictures of most models there are.
const USUAL: usize = 224;

/// Numbers that constants may take beyond twice those of the file.
const SLACK: usize = 4 << 20;

/// Nodes of the largest classifiers are some thousands.
const MOST_NODES: usize = 100_000;

/// The graph, its summary, and the size of picture it is for.
pub(super) fn import(
    file: GraphProto,
    opset: i64,
    size: Option<[usize; 2]>,
    folder: &Path,
    device: &Device,
) -> Result<(Graph, GraphSummary, [usize; 2]), String> {
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
    let (size, last) = input_size(input, size)?;
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
    if last {
        // Channels last, as TensorFlow has it.
        let order = Op::Transpose(vec![0, 2, 3, 1]);
        picture = import.draft.push(order, vec![Source::Value(0)])?;
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
    let output = file.output.first().ok_or("it has no output")?;
    let Some(Traced::Value(mut output)) = import.names.get(&output.name).cloned() else {
        return Err("its output does not depend on its input".into());
    };
    let mut title = "ONNX graph".to_owned();
    if let Some(before) = import.draft.before_softmax(output) {
        title += " without its last softmax";
        output = before;
    }
    if let [1, classes, 1, 1] = *import.draft.shape(output) {
        output = import
            .draft
            .push(Op::Reshape(vec![classes]), vec![Source::Value(output)])?;
    }
    let (graph, summary) = import.draft.finish(output, title)?;
    Ok((graph, summary, size))
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

/// Height and width of the pictures, and whether channels come last.
fn input_size(input: &ValueInfo, asked: Option<[usize; 2]>) -> Result<([usize; 2], bool), String> {
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
    let (channels, h, w, last) = if d == 3 && b != 3 {
        (d, b, c, true)
    } else {
        (b, c, d, false)
    };
    if !matches!(channels, 0 | 3) || !matches!(batch, 0 | 1) {
        return Err(format!(
            "its input is {sides:?}; any number of pictures of 3 channels is needed"
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
    Ok((size, last))
}

/// The largest side of an input.
const MAX_SIDE: usize = 2048;

/// Adds a node: as a constant if it does not depend on the picture, else as operations of the graph.
fn add_node(import: &mut Import, node: &NodeProto) -> Result<(), String> {
    if !matches!(node.domain.as_str(), "" | "ai.onnx") {
        return Err(format!("operators of {} are not known here", node.domain));
    }
    let attributes = Attributes(node);
    let made = if let Some(made) = import.known(node, &attributes)? {
        import.spend(&made)?;
        vec![Traced::Constant(made)]
    } else {
        operators::lower(import, node, &attributes)?
    };
    for (name, made) in node.output.iter().zip(made) {
        import.names.insert(name.clone(), made);
    }
    Ok(())
}
