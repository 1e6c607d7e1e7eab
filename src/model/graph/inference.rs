//! Shape inference of graph operations, with error messages for inputs that do not fit.

use super::op::{Convolution, Op, Padding, Pooling, Reshape};
use super::shape::{BatchAxis, Grid, MAX_AXES, Shape};

impl Convolution {
    fn shape(&self, first: &Shape) -> Result<Vec<usize>, String> {
        let Self {
            weight,
            bias,
            stride,
            padding,
            dilation,
            groups,
        } = self;
        let [n, c, h, w] = four(first)?;
        let [out, inside, kh, kw] = weight.dims();
        let fits = *groups > 0 && inside * groups == c && out.is_multiple_of(*groups);
        if !fits || bias.as_ref().is_some_and(|bias| bias.dims() != [out]) {
            let weight = weight.dims();
            return Err(format!(
                "its weight {weight:?} in {groups} groups does not fit {:?}",
                first.sides
            ));
        }
        let window = |size, axis: usize, kernel: usize| {
            let reach = (kernel.checked_sub(1)?).checked_mul(dilation[axis])? + 1;
            moved(size, axis, reach, *stride, *padding, false)
        };
        let size = window(h, 0, kh).zip(window(w, 1, kw));
        let (h, w) = size.ok_or_else(|| format!("its kernel does not fit {:?}", first.sides))?;
        Ok(vec![n, out, h, w])
    }
}

impl Op {
    /// Shape of the output for inputs of these shapes.
    ///
    /// # Errors
    /// A message that says what does not fit.
    pub(in crate::model) fn shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let first = inputs.first().ok_or("it has no input")?;
        let second = || inputs.get(1).ok_or("it has one input instead of two");
        let sides = &first.sides;
        if let Some(large) = inputs.iter().find(|input| input.sides.len() > MAX_AXES) {
            let axes = large.sides.len();
            return Err(format!(
                "it reads {axes} axes; at most {MAX_AXES} are known"
            ));
        }
        match self {
            Self::Conv(convolution) => Ok(Shape::maps(convolution.shape(first)?)),
            Self::MaxPool(pooling) | Self::AvgPool(pooling) => {
                Ok(Shape::maps(pooled(first, pooling)?))
            }
            Self::Pad { padding, .. } => {
                let [n, c, h, w] = four(first)?;
                let [top, left, bottom, right] = *padding;
                Ok(Shape::maps(vec![n, c, h + top + bottom, w + left + right]))
            }
            Self::Linear { weight, bias } => {
                let [out, inside] = weight.dims();
                let fits = sides.len() >= 2 && sides.last() == Some(&inside);
                if !fits || bias.as_ref().is_some_and(|bias| bias.dims() != [out]) {
                    let weight = weight.dims();
                    return Err(format!("its weight {weight:?} does not fit {sides:?}"));
                }
                let last = sides.len() - 1;
                first.require_apart(&[last])?;
                let out = [&sides[..last], &[out]].concat();
                Ok(first.moved(out, |axis| (axis != last).then_some(axis)))
            }
            Self::MatMul => product_shape(first, second()?),
            Self::Affine { scale, shift } => {
                let channels = sides.get(1).copied().unwrap_or(0);
                if scale.dims() != [channels] || shift.dims() != [channels] {
                    return Err(format!("{:?} numbers for {sides:?}", scale.dims()));
                }
                first.require_apart(&[1])?;
                Ok(first.clone())
            }
            Self::Activation(_) => Ok(first.clone()),
            Self::Add | Self::Sub | Self::Mul | Self::Div => first.broadcast_with(second()?),
            Self::Softmax(axis) => {
                first.require_apart(&[*axis])?;
                Ok(first.clone())
            }
            Self::Normalize { axes, .. } => {
                first.require_apart(axes)?;
                Ok(first.clone())
            }
            Self::Mean { axes, keep } | Self::Max { axes, keep } => reduced(first, axes, *keep),
            Self::Concat(axis) => joined(inputs, *axis),
            Self::Reshape(Reshape { sides, batch }) => reshaped(first, sides, *batch),
            Self::Transpose(order) => {
                let mut sorted = order.clone();
                sorted.sort_unstable();
                if !sorted.into_iter().eq(0..sides.len()) {
                    return Err(format!("it reorders {sides:?} as {order:?}"));
                }
                let moved = order.iter().map(|&axis| sides[axis]).collect();
                Ok(first.moved(moved, |axis| order.iter().position(|&from| from == axis)))
            }
            Self::Slice {
                axis,
                start,
                end,
                step,
            } => sliced(first, *axis, [*start, *end, *step]),
            Self::Select { axis, indices } => {
                first.require_apart(&[*axis])?;
                if indices.is_empty() || indices.iter().any(|&index| index >= sides[*axis]) {
                    return Err(format!("it takes {indices:?} of axis {axis} of {sides:?}"));
                }
                let mut shape = first.clone();
                shape.sides[*axis] = indices.len();
                shape.grid = None;
                Ok(shape)
            }
        }
    }
}

/// Matrix products along the last two axes, with the axes before them broadcast.
fn product_shape(a: &Shape, b: &Shape) -> Result<Shape, String> {
    let wrong = || format!("it multiplies {:?} by {:?}", a.sides, b.sides);
    let ([.., rows, inside], [.., same, columns]) = (&a.sides[..], &b.sides[..]) else {
        return Err(wrong());
    };
    if inside != same {
        return Err(wrong());
    }
    let leading = |shape: &Shape| {
        let matrix = shape.sides.len() - 2;
        shape.require_apart(&[matrix, matrix + 1])?;
        let sides = shape.sides[..matrix].to_vec();
        Ok::<_, String>(Shape {
            grid: None,
            ..shape.moved(sides, Some)
        })
    };
    let mut shape = leading(a)?.broadcast_with(&leading(b)?)?;
    shape.sides.extend([*rows, *columns]);
    Ok(shape)
}

/// Shape after a mean or maximum over axes.
fn reduced(shape: &Shape, axes: &[usize], keep: bool) -> Result<Shape, String> {
    shape.require_apart(axes)?;
    let all = shape.sides.iter().enumerate();
    if keep {
        let sides = all
            .map(|(axis, &side)| if axes.contains(&axis) { 1 } else { side })
            .collect();
        let moved = shape.moved(sides, Some);
        let grid = shape.moved(Vec::new(), |axis| (!axes.contains(&axis)).then_some(axis));
        return Ok(Shape {
            grid: grid.grid,
            ..moved
        });
    }
    let sides = all
        .filter(|(axis, _)| !axes.contains(axis))
        .map(|(_, &side)| side)
        .collect();
    Ok(shape.moved(sides, |axis| {
        let dropped = axes.iter().filter(|&&other| other < axis).count();
        (!axes.contains(&axis)).then_some(axis - dropped)
    }))
}

/// Shape of values joined along an axis; constants among them are repeated for every picture.
fn joined(inputs: &[Shape], axis: usize) -> Result<Shape, String> {
    let value = inputs.iter().find(|input| input.batch.is_some());
    let value = value.ok_or("it joins nothing that depends on the picture")?;
    value.require_apart(&[axis])?;
    let mut shape = value.clone();
    shape.sides[axis] = 0;
    for other in inputs {
        let same = other.sides.len() == shape.sides.len()
            && (0..shape.sides.len()).all(|at| at == axis || other.sides[at] == shape.sides[at])
            && other.batch.is_none_or(|batch| Some(batch) == shape.batch);
        if !same {
            return Err(format!("it joins {:?} and {:?}", value.sides, other.sides));
        }
        shape.sides[axis] = shape.sides[axis].saturating_add(other.sides[axis]);
    }
    shape.grid = match value.grid {
        // Tokens that are joined before the grid.
        Some(Grid::Tokens {
            axis: tokens,
            skipped,
            size,
        }) if tokens == axis => {
            let constants = inputs.iter().take_while(|input| input.batch.is_none());
            let added: usize = constants.map(|input| input.sides[axis]).sum();
            let others = inputs.iter().filter(|input| input.batch.is_some()).count();
            (others == 1).then_some(Grid::Tokens {
                axis,
                skipped: skipped + added,
                size,
            })
        }
        Some(Grid::Map(axes)) if axes.contains(&axis) => None,
        grid => grid,
    };
    Ok(shape)
}

fn reshaped(shape: &Shape, sides: &[usize], batch: Option<BatchAxis>) -> Result<Shape, String> {
    // The place that the operation names may be any that fits.
    shape.reshaped_batch(sides)?;
    let before = |sides: &[usize], batch: BatchAxis| {
        let length = *sides.get(batch.axis)?;
        (batch.outer > 0 && length.is_multiple_of(batch.outer)).then(|| batch.before(sides))
    };
    let [old, new] = [(&shape.sides[..], shape.batch), (sides, batch)]
        .map(|(sides, batch)| batch.map(|batch| before(sides, batch)));
    if old != new || new == Some(None) {
        return Err(format!(
            "it makes {sides:?} of {:?}, which mixes the pictures of a batch",
            shape.sides
        ));
    }
    Ok(Shape {
        sides: sides.to_vec(),
        batch,
        grid: shape.reshaped_grid(sides),
    })
}

/// Shape of a slice by start, end and step.
fn sliced(shape: &Shape, axis: usize, [start, end, step]: [usize; 3]) -> Result<Shape, String> {
    let sides = &shape.sides;
    let length = sides.get(axis).copied().unwrap_or(0);
    if start >= end || end > length || step == 0 {
        return Err(format!(
            "it takes {start}..{end} of axis {axis} of {sides:?}"
        ));
    }
    shape.require_apart(&[axis])?;
    let mut out = shape.clone();
    out.sides[axis] = (end - start).div_ceil(step);
    if let Some(Grid::Tokens {
        axis: tokens,
        skipped,
        size,
    }) = shape.grid
        && tokens == axis
    {
        let keeps = start <= skipped && step == 1 && end >= skipped + size[0] * size[1];
        out.grid = keeps.then(|| Grid::Tokens {
            axis,
            skipped: skipped - start,
            size,
        });
    }
    Ok(out)
}

/// The lengths of feature maps `[n, c, h, w]`.
fn four(shape: &Shape) -> Result<[usize; 4], String> {
    let sides = &shape.sides;
    match sides[..] {
        [n, c, h, w] if shape.batch == Some(BatchAxis::FIRST) => Ok([n, c, h, w]),
        _ => Err(format!("it reads {sides:?}, not feature maps of four axes")),
    }
}

/// Number of window positions along an axis (0: height, 1: width); `None` if the window does not fit.
fn moved(
    size: usize,
    axis: usize,
    reach: usize,
    stride: [usize; 2],
    padding: Padding,
    ceil: bool,
) -> Option<usize> {
    let (before, after, stride) = (padding[axis], padding[axis + 2], stride[axis]);
    if stride == 0 || reach == 0 || before.max(after) > reach {
        return None;
    }
    let room = (size + before + after).checked_sub(reach)?;
    let mut places = room / stride + 1;
    // As in PyTorch and ONNX, a window past the edge must still begin inside the map.
    if ceil && !room.is_multiple_of(stride) && places * stride < size + before {
        places += 1;
    }
    Some(places)
}

fn pooled(shape: &Shape, pooling: &Pooling) -> Result<Vec<usize>, String> {
    let [n, c, h, w] = four(shape)?;
    let side = |size, axis: usize| {
        let kernel = pooling.kernel[axis];
        moved(
            size,
            axis,
            kernel,
            pooling.stride,
            pooling.padding,
            pooling.ceil,
        )
    };
    let size = side(h, 0).zip(side(w, 1));
    let (h, w) = size.ok_or_else(|| {
        format!(
            "its window {:?} does not fit {:?}",
            pooling.kernel, shape.sides
        )
    })?;
    Ok(vec![n, c, h, w])
}
