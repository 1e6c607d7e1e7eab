//! The state of an import: the graph drafted so far and what each name of the file stands for.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;

use burn::tensor::{Device, Tensor, TensorData};

use super::arrays::{Constant, written};
use super::attributes::Attributes;
use super::constant_folding;
use super::proto::NodeProto;
use crate::model::graph::{Draft, MAX_AXES, Op, Source, Value};

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
    pub(super) names: HashMap<String, Traced>,
    /// How often each name is read.
    pub(super) reads: HashMap<String, usize>,
    pub(super) device: &'a Device,
    pub(super) folder: &'a Path,
    /// Numbers that constants may still take.
    pub(super) left: Cell<usize>,
}

impl Import<'_> {
    /// What can be computed without a picture.
    pub(super) fn known(
        &self,
        node: &NodeProto,
        attributes: &Attributes,
    ) -> Result<Option<Constant>, String> {
        if node.op_type == "Constant" {
            return written(attributes, self.folder).map(Some);
        }
        if node.op_type == "Shape" {
            let shape = match self.input(node, 0)? {
                Traced::Value(place) => self.draft.sides(*place).to_vec(),
                Traced::Constant(constant) => constant.shape().to_vec(),
            };
            return constant_folding::shape_of(&shape, attributes).map(Some);
        }
        // An input that is left out between others is an empty list, which means its default.
        let left_out = Constant::Integers(Vec::new(), vec![0]);
        let inputs = node.input.iter().map(|name| match self.names.get(name) {
            _ if name.is_empty() => Some(&left_out),
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
                if shape.len() <= MAX_AXES && !values.is_empty() =>
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
    pub(super) fn spend(&self, constant: &Constant) -> Result<(), String> {
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

    /// Adds a reshape of the first input to these lengths for one picture.
    pub(super) fn reshape(
        &mut self,
        node: &NodeProto,
        sides: Vec<usize>,
    ) -> Result<Vec<Traced>, String> {
        let source = self.source(node, 0)?;
        Ok(vec![Traced::Value(self.draft.reshape(source, sides)?)])
    }

    /// Adds an operation on what an operation made.
    pub(super) fn then(&mut self, made: &[Traced], op: Op) -> Result<Vec<Traced>, String> {
        self.push_on(vec![made_source(made)?], op)
    }

    /// Adds a product of what an operation made and a number.
    pub(super) fn scaled(&mut self, made: &[Traced], by: f32) -> Result<Vec<Traced>, String> {
        let number = Value::constant(vec![by], &[], self.device);
        let inputs = vec![made_source(made)?, Source::Constant(Box::new(number))];
        self.push_on(inputs, Op::Mul)
    }

    /// Adds an operation on what an operation made and a constant input of the node.
    pub(super) fn then_with(
        &mut self,
        made: &[Traced],
        node: &NodeProto,
        index: usize,
        op: Op,
    ) -> Result<Vec<Traced>, String> {
        let constant = self.source(node, index)?;
        self.push_on(vec![made_source(made)?, constant], op)
    }

    /// Lengths of the first input for one picture.
    pub(super) fn shape(&self, node: &NodeProto) -> Result<Vec<usize>, String> {
        Ok(match self.input(node, 0)? {
            Traced::Value(place) => self.draft.sides(*place).to_vec(),
            Traced::Constant(constant) => constant.shape().to_vec(),
        })
    }
}

/// The one value that an operation made, as an input of the next.
pub(super) fn made_source(made: &[Traced]) -> Result<Source, String> {
    match made {
        [Traced::Value(place)] => Ok(Source::Value(*place)),
        _ => Err("it makes no value".into()),
    }
}
