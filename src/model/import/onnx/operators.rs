//! The operators that depend on the picture.

use super::arrays::{Constant, is_integer};
use super::attributes::{Attributes, axis};
use super::context::{Import, Traced, made_source};
use super::normalization;
use super::proto::NodeProto;
use super::shape_ops;
use crate::model::graph::{Activation, Convolution, Op, Pooling, Source};

/// Adds what a node does; one value for each of its outputs.
pub(super) fn lower(
    import: &mut Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Result<Vec<Traced>, String> {
    if let Some(activation) = activation(import, node, attributes)? {
        return import.push(node, Op::Activation(activation));
    }
    match node.op_type.as_str() {
        "Conv" => conv(import, node, attributes),
        "Gemm" => gemm(import, node, attributes),
        "MatMul" => matmul(import, node),
        "LayerNormalization" => normalization::layer_norm(import, node, attributes),
        "InstanceNormalization" => normalization::instance_norm(import, node, attributes),
        "GroupNormalization" => normalization::group_norm(import, node, attributes),
        "BatchNormalization" => batch_norm(import, node, attributes),
        "Add" => match import.bias_of_linear(node)? {
            Some(made) => Ok(made),
            None => binary(import, node, Op::Add),
        },
        "Sub" => binary(import, node, Op::Sub),
        "Mul" => binary(import, node, Op::Mul),
        "PRelu" => prelu(import, node),
        "Mish" => mish(import, node),
        "Div" => binary(import, node, Op::Div),
        "MaxPool" | "AveragePool" => pool(import, node, attributes),
        "GlobalAveragePool" => {
            let axes = (2..import.shape(node)?.len()).collect();
            import.push(node, Op::Mean { axes, keep: true })
        }
        "GlobalMaxPool" => {
            let axes = (2..import.shape(node)?.len()).collect();
            import.push(node, Op::Max { axes, keep: true })
        }
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceL2" => reduce(import, node, attributes),
        "Pad" => shape_ops::pad(import, node, attributes),
        "Concat" => {
            let rank = import.shape(node)?.len();
            let axis = axis(attributes.int("axis", 1), rank)?;
            let inputs = (0..node.input.len()).map(|index| import.source(node, index));
            let inputs = inputs.collect::<Result<Vec<Source>, String>>()?;
            import.push_on(inputs, Op::Concat(axis))
        }
        "Flatten" => {
            let shape = import.shape(node)?;
            let at = match attributes.int("axis", 1) {
                end if usize::try_from(end) == Ok(shape.len()) => shape.len(),
                at => axis(at, shape.len())?,
            };
            let [before, after] = [&shape[..at], &shape[at..]].map(|part| part.iter().product());
            import.reshape(node, vec![before, after])
        }
        "Reshape" => shape_ops::reshape(import, node, attributes),
        "Squeeze" | "Unsqueeze" => shape_ops::squeeze(import, node),
        "Transpose" => {
            let rank = import.shape(node)?.len();
            let order = match attributes.ints("perm") {
                Some(order) => order
                    .iter()
                    .map(|&at| axis(at, rank))
                    .collect::<Result<_, _>>()?,
                None => (0..rank).rev().collect(),
            };
            import.push(node, Op::Transpose(order))
        }
        "Gather" => shape_ops::gather(import, node, attributes),
        "Slice" => shape_ops::slice(import, node),
        "Split" => shape_ops::split(import, node, attributes),
        "Softmax" => {
            let softmax = softmax_axis(import, node, attributes)?;
            import.push(node, softmax)
        }
        "LogSoftmax" => {
            let softmax = softmax_axis(import, node, attributes)?;
            let made = import.push(node, softmax)?;
            import.then(&made, Op::Activation(Activation::Log))
        }
        "Identity" | "Cast" | "Dropout" => {
            require_idle(import, node, attributes)?;
            Ok(vec![import.input(node, 0)?.clone()])
        }
        _ => Err("this operator is not known here".into()),
    }
}

fn softmax_axis(import: &Import, node: &NodeProto, attributes: &Attributes) -> Result<Op, String> {
    let rank = import.shape(node)?.len();
    let usual = if import.opset < 13 { 1 } else { -1 };
    Ok(Op::Softmax(axis(attributes.int("axis", usual), rank)?))
}

/// Refuses what looks like doing nothing and does something.
fn require_idle(import: &Import, node: &NodeProto, attributes: &Attributes) -> Result<(), String> {
    if node.op_type == "Cast" && is_integer(attributes.int("to", 1) as i32) {
        return Err("it makes integers of what depends on the picture".into());
    }
    let trains =
        node.op_type == "Dropout" && node.input.get(2).is_some_and(|name| !name.is_empty());
    if trains {
        let mode = import.input(node, 2)?;
        if !matches!(mode, Traced::Constant(Constant::Integers(values, _)) if values == &[0]) {
            return Err("it is set to training".into());
        }
    }
    Ok(())
}

fn activation(
    import: &Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Result<Option<Activation>, String> {
    let float = |name: &str, default: f32| f64::from(attributes.float(name, default));
    Ok(Some(match node.op_type.as_str() {
        "Relu" => Activation::Relu,
        "LeakyRelu" => Activation::LeakyRelu(float("alpha", 0.01)),
        "Elu" => Activation::Elu(float("alpha", 1.0)),
        "Sigmoid" => Activation::Sigmoid,
        "HardSigmoid" => Activation::HardSigmoid(float("alpha", 0.2), float("beta", 0.5)),
        "HardSwish" => Activation::HardSwish,
        "Tanh" => Activation::Tanh,
        "Erf" => Activation::Erf,
        "Gelu" if attributes.text("approximate").unwrap_or_default() == "tanh" => {
            Activation::GeluTanh
        }
        "Gelu" => Activation::Gelu,
        "Softplus" => Activation::Softplus,
        "Exp" => Activation::Exp,
        "Log" => Activation::Log,
        "Sqrt" => Activation::Sqrt,
        "Reciprocal" => Activation::Reciprocal,
        "Neg" => Activation::Neg,
        "Abs" => Activation::Abs,
        "Clip" => {
            let [low, high] = [("min", f32::MIN), ("max", f32::MAX)]
                .map(|(name, default)| attributes.float(name, default));
            let (low, high) = (
                import.number(node, 1)?.unwrap_or(low),
                import.number(node, 2)?.unwrap_or(high),
            );
            Activation::Clip(low, high)
        }
        "Pow" => Activation::Power(import.number(node, 1)?.ok_or("its exponent is missing")?),
        "Swish" if attributes.float("alpha", 1.0) == 1.0 => Activation::Silu,
        _ => return Ok(None),
    }))
}

fn map_size(import: &Import, node: &NodeProto) -> Result<[usize; 2], String> {
    match import.shape(node)?[..] {
        [_, _, h, w] => Ok([h, w]),
        ref other => Err(format!("it reads {other:?}, not a map of four axes")),
    }
}

fn binary(import: &mut Import, node: &NodeProto, op: Op) -> Result<Vec<Traced>, String> {
    let inputs = vec![import.source(node, 0)?, import.source(node, 1)?];
    import.push_on(inputs, op)
}

fn conv(
    import: &mut Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Result<Vec<Traced>, String> {
    let weight = import.weight::<4>(node, 1)?.ok_or("it has no weight")?;
    let [_, _, kh, kw] = weight.dims();
    let stride = attributes.pair("strides")?.unwrap_or([1; 2]);
    let dilation = attributes.pair("dilations")?.unwrap_or([1; 2]);
    let reach = [(kh - 1) * dilation[0] + 1, (kw - 1) * dilation[1] + 1];
    let padding = attributes.padding(map_size(import, node)?, reach, stride)?;
    let groups = usize::try_from(attributes.int("group", 1)).unwrap_or(0);
    if dilation.contains(&0) || stride.contains(&0) {
        return Err("its strides and dilations must be at least 1".into());
    }
    let op = Op::Conv(Convolution {
        weight,
        bias: import.weight::<1>(node, 2)?,
        stride,
        padding,
        dilation,
        groups,
    });
    import.push(node, op)
}

fn gemm(
    import: &mut Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Result<Vec<Traced>, String> {
    let weight = import
        .weight::<2>(node, 1)?
        .ok_or("it multiplies with nothing")?;
    if attributes.int("transA", 0) != 0 {
        return Err("it transposes the batch".into());
    }
    let weight = if attributes.int("transB", 0) == 0 {
        weight.transpose()
    } else {
        weight
    };
    let bias = import.weight::<1>(node, 2)?;
    let op = Op::Linear {
        weight: weight * attributes.float("alpha", 1.0),
        bias: bias.map(|bias| bias * attributes.float("beta", 1.0)),
    };
    import.push(node, op)
}

fn batch_norm(
    import: &mut Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Result<Vec<Traced>, String> {
    if attributes.int("training_mode", 0) != 0 {
        return Err("it is set to training".into());
    }
    let mut parts = Vec::new();
    for index in 1..5 {
        let part = import.weight::<1>(node, index)?;
        parts.push(part.ok_or("it has no statistics")?);
    }
    let [scale, shift, mean, var] = <[_; 4]>::try_from(parts).expect("four were read");
    if [&shift, &mean, &var]
        .iter()
        .any(|part| part.dims() != scale.dims())
    {
        return Err("its statistics are of unequal length".into());
    }
    let scale = scale / (var + attributes.float("epsilon", 1e-5)).sqrt();
    let shift = shift - mean * scale.clone();
    import.push(node, Op::Affine { scale, shift })
}

fn pool(
    import: &mut Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Result<Vec<Traced>, String> {
    let kernel = attributes.pair("kernel_shape")?.ok_or("it has no window")?;
    let stride = attributes.pair("strides")?.unwrap_or([1; 2]);
    if attributes
        .pair("dilations")?
        .is_some_and(|dilation| dilation != [1; 2])
    {
        return Err("windows with gaps are not known here".into());
    }
    if kernel.contains(&0) || stride.contains(&0) {
        return Err("its window and strides must be at least 1".into());
    }
    let pooling = Pooling {
        kernel,
        stride,
        padding: attributes.padding(map_size(import, node)?, kernel, stride)?,
        ceil: attributes.int("ceil_mode", 0) != 0,
        count_padding: attributes.int("count_include_pad", 0) != 0,
    };
    let op = if node.op_type == "MaxPool" {
        Op::MaxPool(pooling)
    } else {
        Op::AvgPool(pooling)
    };
    import.push(node, op)
}

/// A mean, sum, maximum or Euclidean length over axes.
fn reduce(
    import: &mut Import,
    node: &NodeProto,
    attributes: &Attributes,
) -> Result<Vec<Traced>, String> {
    let shape = import.shape(node)?;
    let listed = import.listed(node, "axes", 1)?;
    let listed = listed.ok_or("it does not say over which axes")?;
    let axes = listed.into_iter().map(|at| axis(at, shape.len()));
    let axes = axes.collect::<Result<Vec<usize>, String>>()?;
    let keep = attributes.int("keepdims", 1) != 0;
    let count: usize = axes.iter().map(|&axis| shape[axis]).product();
    match node.op_type.as_str() {
        "ReduceMax" => import.push(node, Op::Max { axes, keep }),
        "ReduceMean" => import.push(node, Op::Mean { axes, keep }),
        "ReduceSum" => {
            let mean = import.push(node, Op::Mean { axes, keep })?;
            import.scaled(&mean, count as f32)
        }
        _ => {
            let squares = import.push(node, Op::Activation(Activation::Power(2.0)))?;
            let mean = import.then(&squares, Op::Mean { axes, keep })?;
            let sum = import.scaled(&mean, count as f32)?;
            import.then(&sum, Op::Activation(Activation::Sqrt))
        }
    }
}

/// A product with a weight is a linear layer along the last axis.
fn matmul(import: &mut Import, node: &NodeProto) -> Result<Vec<Traced>, String> {
    match import.input(node, 1)? {
        Traced::Constant(constant) if constant.shape().len() == 2 => {
            let weight = import.weight::<2>(node, 1)?;
            let weight = weight.ok_or("it multiplies with nothing")?.transpose();
            import.push(node, Op::Linear { weight, bias: None })
        }
        _ => binary(import, node, Op::MatMul),
    }
}

/// max(x, 0) + slope·min(x, 0).
fn prelu(import: &mut Import, node: &NodeProto) -> Result<Vec<Traced>, String> {
    let source = import.source(node, 0)?;
    let positive = import.push(node, Op::Activation(Activation::Relu))?;
    let negative = import.push_on(vec![source, made_source(&positive)?], Op::Sub)?;
    let scaled = import.then_with(&negative, node, 1, Op::Mul)?;
    import.push_on(
        vec![made_source(&positive)?, made_source(&scaled)?],
        Op::Add,
    )
}

/// x·tanh(softplus(x)).
fn mish(import: &mut Import, node: &NodeProto) -> Result<Vec<Traced>, String> {
    let source = import.source(node, 0)?;
    let softplus = import.push(node, Op::Activation(Activation::Softplus))?;
    let gate = import.then(&softplus, Op::Activation(Activation::Tanh))?;
    import.push_on(vec![source, made_source(&gate)?], Op::Mul)
}
