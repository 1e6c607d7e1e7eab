//! Shape inference of graph operations, with error messages for inputs that do not fit.

use super::op::{Convolution, Op, Padding, Pooling};

impl Convolution {
    fn shape(&self, first: &[usize]) -> Result<Vec<usize>, String> {
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
                "its weight {weight:?} in {groups} groups does not fit {first:?}"
            ));
        }
        let window = |size, axis: usize, kernel: usize| {
            let reach = (kernel.checked_sub(1)?).checked_mul(dilation[axis])? + 1;
            moved(size, axis, reach, *stride, *padding, false)
        };
        let size = window(h, 0, kh).zip(window(w, 1, kw));
        let (h, w) = size.ok_or_else(|| format!("its kernel does not fit {first:?}"))?;
        Ok(vec![n, out, h, w])
    }
}

impl Op {
    /// Shape of the output for inputs of these shapes; the first axis is the batch.
    pub(super) fn shape(&self, inputs: &[Vec<usize>]) -> Result<Vec<usize>, String> {
        let first = inputs.first().ok_or("it has no input")?;
        let pair = matches!(self, Self::Add | Self::Sub | Self::Mul | Self::Div);
        if (first.is_empty() && !pair) || first.len() > 4 {
            return Err(format!("it reads {first:?}; one to four axes are needed"));
        }
        match self {
            Self::Conv(convolution) => convolution.shape(first),
            Self::Linear { weight, bias } => {
                let [out, inside] = weight.dims();
                let fits = first.len() == 2 && first[1] == inside;
                if !fits || bias.as_ref().is_some_and(|bias| bias.dims() != [out]) {
                    let weight = weight.dims();
                    return Err(format!("its weight {weight:?} does not fit {first:?}"));
                }
                Ok(vec![first[0], out])
            }
            Self::Affine { scale, shift } => {
                let channels = first.get(1).copied().unwrap_or(0);
                if scale.dims() != [channels] || shift.dims() != [channels] {
                    return Err(format!("{:?} numbers for {first:?}", scale.dims()));
                }
                Ok(first.clone())
            }
            Self::Activation(_) => Ok(first.clone()),
            Self::Add | Self::Sub | Self::Mul | Self::Div => {
                let second = inputs.get(1).ok_or("it has one input instead of two")?;
                broadcast(first, second)
            }
            Self::MaxPool(pooling) | Self::AvgPool(pooling) => pooled(first, pooling),
            Self::Mean { axes, keep } => {
                if axes.iter().any(|&axis| axis == 0 || axis >= first.len()) {
                    return Err(format!("it takes the mean of {first:?} over {axes:?}"));
                }
                let all = first.iter().enumerate();
                Ok(if *keep {
                    all.map(|(axis, &size)| if axes.contains(&axis) { 1 } else { size })
                        .collect()
                } else {
                    all.filter(|(axis, _)| !axes.contains(axis))
                        .map(|(_, &size)| size)
                        .collect()
                })
            }
            Self::Pad { padding, .. } => {
                let [n, c, h, w] = four(first)?;
                let [top, left, bottom, right] = *padding;
                Ok(vec![n, c, h + top + bottom, w + left + right])
            }
            Self::Concat(axis) => {
                let mut shape = first.clone();
                if *axis == 0 || *axis >= shape.len() {
                    return Err(format!("it joins {first:?} along axis {axis}"));
                }
                for other in &inputs[1..] {
                    let same = other.len() == shape.len()
                        && (0..shape.len()).all(|at| at == *axis || other[at] == first[at]);
                    if !same {
                        return Err(format!("it joins {first:?} and {other:?}"));
                    }
                    shape[*axis] += other[*axis];
                }
                Ok(shape)
            }
            Self::Reshape(rest) => {
                let product = |sides: &[usize]| sides.iter().product::<usize>();
                let (had, wanted) = (product(&first[1..]), product(rest));
                if rest.len() > 3 || wanted != had {
                    return Err(format!("it makes {rest:?} of {:?}", &first[1..]));
                }
                Ok([&first[..1], rest].concat())
            }
            Self::Transpose(order) => {
                let mut sorted = order.clone();
                sorted.sort_unstable();
                if order.first() != Some(&0) || !sorted.into_iter().eq(0..first.len()) {
                    return Err(format!("it reorders {first:?} as {order:?}"));
                }
                Ok(order.iter().map(|&axis| first[axis]).collect())
            }
            Self::Slice { axis, start, end } => {
                let size = first.get(*axis).copied().unwrap_or(0);
                if *axis == 0 || start >= end || *end > size {
                    return Err(format!(
                        "it takes {start}..{end} of axis {axis} of {first:?}"
                    ));
                }
                let mut shape = first.clone();
                shape[*axis] = end - start;
                Ok(shape)
            }
            Self::Softmax(axis) => {
                if *axis == 0 || *axis >= first.len() {
                    return Err(format!("softmax along axis {axis} of {first:?}"));
                }
                Ok(first.clone())
            }
        }
    }
}

fn four(shape: &[usize]) -> Result<[usize; 4], String> {
    let fits = <[usize; 4]>::try_from(shape);
    fits.map_err(|_| format!("it reads {shape:?}, not a map of four axes"))
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

fn pooled(shape: &[usize], pooling: &Pooling) -> Result<Vec<usize>, String> {
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
    let (h, w) =
        size.ok_or_else(|| format!("its window {:?} does not fit {shape:?}", pooling.kernel))?;
    Ok(vec![n, c, h, w])
}

/// The broadcast shape, by NumPy's rules; the first axis of the longer one stays the batch.
pub(in crate::model) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let size = |shape: &[usize], axis: usize| {
        let missing = rank - shape.len();
        axis.checked_sub(missing).map_or(1, |axis| shape[axis])
    };
    let both = (0..rank).map(|axis| match (size(a, axis), size(b, axis)) {
        (x, y) if x == y || y == 1 => Ok(x),
        (1, y) => Ok(y),
        _ => Err(format!("{a:?} and {b:?} do not fit together")),
    });
    both.collect()
}
