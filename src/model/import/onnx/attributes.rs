//! The attributes of a node.

use super::proto::{AttributeProto, NodeProto, TensorProto};
use crate::model::graph::Padding;

/// A node with its attributes by name.
pub(super) struct Attributes<'a>(pub(super) &'a NodeProto);

impl Attributes<'_> {
    fn find(&self, name: &str) -> Option<&AttributeProto> {
        self.0
            .attribute
            .iter()
            .find(|attribute| attribute.name == name)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.find(name).map_or(default, |attribute| attribute.i)
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        self.find(name).map_or(default, |attribute| attribute.f)
    }

    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.find(name).map(|attribute| attribute.ints.as_slice())
    }

    pub(super) fn floats(&self, name: &str) -> Option<&[f32]> {
        self.find(name).map(|attribute| attribute.floats.as_slice())
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        let attribute = self.find(name)?;
        Some(String::from_utf8_lossy(&attribute.s).into_owned())
    }

    pub(super) fn tensor(&self, name: &str) -> Option<TensorProto> {
        self.find(name)?.t.clone()
    }

    /// Two lengths, for height and width.
    pub(super) fn pair(&self, name: &str) -> Result<Option<[usize; 2]>, String> {
        let Some(values) = self.ints(name) else {
            return Ok(None);
        };
        let sizes: Vec<usize> = values
            .iter()
            .filter_map(|&side| usize::try_from(side).ok())
            .collect();
        let pair = <[usize; 2]>::try_from(sizes);
        let pair = pair
            .ok()
            .filter(|pair| pair.iter().all(|&side| side <= MAX_SIDE));
        pair.map(Some)
            .ok_or_else(|| format!("its {name} is {values:?}"))
    }

    /// What goes around a map: as listed, or what keeps the size with a window and its stride.
    pub(super) fn padding(
        &self,
        map: [usize; 2],
        window: [usize; 2],
        stride: [usize; 2],
    ) -> Result<Padding, String> {
        let kind = self.text("auto_pad").unwrap_or_default();
        if matches!(kind.as_str(), "SAME_UPPER" | "SAME_LOWER") {
            let around = |axis: usize| {
                let step = stride[axis].max(1);
                let places = map[axis].div_ceil(step);
                let all =
                    ((places.saturating_sub(1)) * step + window[axis]).saturating_sub(map[axis]);
                let less = all / 2;
                if kind == "SAME_UPPER" {
                    [less, all - less]
                } else {
                    [all - less, less]
                }
            };
            let ([top, bottom], [left, right]) = (around(0), around(1));
            return Ok([top, left, bottom, right]);
        }
        let Some(values) = self.ints("pads") else {
            return Ok([0; 4]);
        };
        let sizes: Vec<usize> = values
            .iter()
            .filter_map(|&side| usize::try_from(side).ok())
            .collect();
        let four = <[usize; 4]>::try_from(sizes);
        let four = four
            .ok()
            .filter(|four| four.iter().all(|&side| side <= MAX_SIDE));
        four.ok_or_else(|| format!("its pads are {values:?}"))
    }
}

/// No window or padding is larger.
const MAX_SIDE: usize = 1 << 12;

/// An axis counted from the front.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let counted = if axis < 0 {
        axis.checked_add(rank as i64)
    } else {
        Some(axis)
    };
    let counted = counted.and_then(|axis| usize::try_from(axis).ok());
    let inside = counted.filter(|&axis| axis < rank);
    inside.ok_or_else(|| format!("axis {axis} of {rank}"))
}
