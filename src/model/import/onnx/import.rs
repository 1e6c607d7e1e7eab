//! From the nodes of a file to a graph.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

use super::arrays::{Constant, constant, is_integer};
use super::attributes::Attributes;
use super::proto::{GraphProto, NodeProto, ValueInfo};
use super::{constant_folding, operators};
use crate::model::architecture::GraphSummary;
use crate::model::graph::{Draft, Graph, Op, Source, Value};

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Traced {
    /// A value of the draft: it depends on the picture.
    Value(usize),
    /// It does not.
    Constant(Constant),
}

/// An import under way.
pub(super) struct Import<'a> {
    pub(super) draft: Draft,
    pub(super) opset: i64,
    names: HashMap<String, Traced>,
    /// How often each name is read.
    reads: HashMap<String, usize>,
    device: &'a Device,
    folder: &'a Path,
    /// Numbers that constants may still take.
    left: Cell<usize>,
}

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
        import.node(node).map_err(|reason| {
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

impl Import<'_> {
    fn node(&mut self, node: &NodeProto) -> Result<(), String> {
        if !matches!(node.domain.as_str(), "" | "ai.onnx") {
            return Err(format!("operators of {} are not known here", node.domain));
        }
        let attributes = Attributes(node);
        let made = if let Some(made) = self.known(node, &attributes)? {
            self.spend(&made)?;
            vec![Traced::Constant(made)]
        } else {
            operators::lower(self, node, &attributes)?
        };
        for (name, made) in node.output.iter().zip(made) {
            self.names.insert(name.clone(), made);
        }
        Ok(())
    }

    /// What can be computed without a picture.
    fn known(&self, node: &NodeProto, attributes: &Attributes) -> Result<Option<Constant>, String> {
        if node.op_type == "Constant" {
            return constant_folding::written(attributes, self.folder).map(Some);
        }
        if node.op_type == "Shape" {
            let shape = match self.input(node, 0)? {
                Traced::Value(place) => self.draft.shape(*place).to_vec(),
                Traced::Constant(constant) => constant.shape().to_vec(),
            };
            return constant_folding::shape_of(&shape, attributes).map(Some);
        }
        let inputs = node.input.iter().filter(|name| !name.is_empty());
        let inputs = inputs.map(|name| match self.names.get(name) {
            Some(Traced::Constant(constant)) => Some(constant),
            _ => None,
        });
        match inputs.collect::<Option<Vec<_>>>() {
            Some(inputs) if !inputs.is_empty() => {
                constant_folding::compute(&node.op_type, &inputs, attributes, self.opset).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// What an input's name stands for.
    pub(super) fn input(&self, node: &NodeProto, index: usize) -> Result<&Traced, String> {
        let name = node.input.get(index).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| format!("its input {index} is missing"))?;
        let known = self.names.get(name);
        known.ok_or_else(|| format!("nothing makes its input {name}"))
    }

    /// A constant input, if it is there.
    pub(super) fn constant(
        &self,
        node: &NodeProto,
        index: usize,
    ) -> Result<Option<&Constant>, String> {
        if node.input.get(index).is_none_or(String::is_empty) {
            return Ok(None);
        }
        match self.input(node, index)? {
            Traced::Constant(constant) => Ok(Some(constant)),
            Traced::Value(_) => Err(format!("its input {index} depends on the picture")),
        }
    }

    /// Integers given as a constant input, if they are there.
    pub(super) fn integers(
        &self,
        node: &NodeProto,
        index: usize,
    ) -> Result<Option<Vec<i64>>, String> {
        match self.constant(node, index)? {
            Some(Constant::Integers(values, _)) => Ok(Some(values.clone())),
            Some(Constant::Floats(..)) => Err(format!("its input {index} is not of integers")),
            None => Ok(None),
        }
    }

    /// Integers that are an attribute in older opsets and an input in newer ones.
    pub(super) fn listed(
        &self,
        node: &NodeProto,
        name: &str,
        index: usize,
    ) -> Result<Option<Vec<i64>>, String> {
        match Attributes(node).ints(name) {
            Some(values) => Ok(Some(values.to_vec())),
            None => self.integers(node, index),
        }
    }

    /// One number given as a constant input, if it is there.
    pub(super) fn number(&self, node: &NodeProto, index: usize) -> Result<Option<f32>, String> {
        match self.constant(node, index)? {
            Some(Constant::Floats(values, _)) if values.len() == 1 => Ok(Some(values[0])),
            Some(Constant::Integers(values, _)) if values.len() == 1 => Ok(Some(values[0] as f32)),
            Some(_) => Err(format!("its input {index} is not one number")),
            None => Ok(None),
        }
    }

    /// A weight of `D` axes.
    pub(super) fn weight<const D: usize>(
        &self,
        node: &NodeProto,
        index: usize,
    ) -> Result<Option<Tensor<D>>, String> {
        match self.constant(node, index)? {
            None => Ok(None),
            Some(constant @ Constant::Floats(values, shape))
                if shape.len() == D && !values.is_empty() =>
            {
                self.spend(constant)?;
                let data = TensorData::new(values.clone(), shape.clone());
                Ok(Some(Tensor::from_data(data, self.device)))
            }
            Some(other) => Err(format!(
                "its input {index} is {:?}; {D} axes are needed",
                other.shape()
            )),
        }
    }

    /// An input as an operation reads it.
    pub(super) fn source(&self, node: &NodeProto, index: usize) -> Result<Source, String> {
        match self.input(node, index)? {
            Traced::Value(place) => Ok(Source::Value(*place)),
            Traced::Constant(constant @ Constant::Floats(values, shape))
                if shape.len() <= 4 && !values.is_empty() =>
            {
                self.spend(constant)?;
                Ok(Source::Constant(Box::new(Value::constant(
                    values.clone(),
                    shape,
                    self.device,
                ))))
            }
            Traced::Constant(other) => Err(format!("its input {index} is {:?}", other.shape())),
        }
    }

    /// A sum that is a linear layer's bias, written apart.
    pub(super) fn bias_of_linear(
        &mut self,
        node: &NodeProto,
    ) -> Result<Option<Vec<Traced>>, String> {
        for [of, added] in [[0, 1], [1, 0]] {
            let Traced::Value(place) = *self.input(node, of)? else {
                continue;
            };
            // Others that read the layer read it without the bias.
            let read = node.input.get(of).and_then(|name| self.reads.get(name));
            let one = |constant: &Constant| constant.shape().len() == 1;
            if read == Some(&1)
                && matches!(self.input(node, added)?, Traced::Constant(constant) if one(constant))
                && let Some(bias) = self.weight::<1>(node, added)?
                && self.draft.add_bias(place, bias)
            {
                return Ok(Some(vec![Traced::Value(place)]));
            }
        }
        Ok(None)
    }

    /// Counts a constant, so that no file can make of little as much as it likes.
    fn spend(&self, constant: &Constant) -> Result<(), String> {
        let left = self.left.get().checked_sub(constant.numbers());
        self.left
            .set(left.ok_or("its constants take far more room than the file")?);
        Ok(())
    }

    /// Adds an operation on the first input.
    pub(super) fn push(&mut self, node: &NodeProto, op: Op) -> Result<Vec<Traced>, String> {
        let source = self.source(node, 0)?;
        self.push_on(vec![source], op)
    }

    /// Adds an operation on these.
    pub(super) fn push_on(&mut self, inputs: Vec<Source>, op: Op) -> Result<Vec<Traced>, String> {
        Ok(vec![Traced::Value(self.draft.push(op, inputs)?)])
    }

    /// Shape of the first input for one picture.
    pub(super) fn shape(&self, node: &NodeProto) -> Result<Vec<usize>, String> {
        Ok(match self.input(node, 0)? {
            Traced::Value(place) => self.draft.shape(*place).to_vec(),
            Traced::Constant(constant) => constant.shape().to_vec(),
        })
    }
}
