//! Fills: the constant, blurred or given pictures that serve as baseline or cover pixels.

use serde::{Deserialize, Serialize};

use super::Input;
use crate::error::{Error, Result};
use crate::model::Classifier;

/// An uninformative picture that serves as baseline or covers pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// 0 everywhere.
    Black,
    /// 1 everywhere.
    White,
    /// ½ everywhere.
    Grey,
    /// The channel means of the model's normaliser: the mean colour of its training set.
    DatasetMean,
    /// The picture itself, blurred by a box of this many pixels.
    Blurred(usize),
    /// A picture that a person chose.
    Picture,
}

impl Fill {
    /// The fill as a picture `[3, h, w]`; `mean` is that of the model's normaliser.
    ///
    /// # Errors
    /// [`Error::Config`] for [`Fill::Picture`] when no reference was chosen.
    pub fn picture(self, input: &Input, mean: [f32; 3]) -> Result<Vec<f32>> {
        let flat = |color: [f32; 3]| {
            let area = input.size[0] * input.size[1];
            color.into_iter().flat_map(|v| vec![v; area]).collect()
        };
        Ok(match self {
            Self::Black => flat([0.0; 3]),
            Self::White => flat([1.0; 3]),
            Self::Grey => flat([0.5; 3]),
            Self::DatasetMean => flat(mean),
            Self::Blurred(side) => box_blur(&input.pixels, input.size, side),
            Self::Picture => {
                let missing =
                    || Error::Config("a picture to compare with has to be chosen first".into());
                input.reference.clone().ok_or_else(missing)?
            }
        })
    }

    /// As [`Fill::picture`], with the mean of `model`'s normaliser.
    ///
    /// # Errors
    /// As [`Fill::picture`].
    pub fn of(self, input: &Input, model: &Classifier) -> Result<Vec<f32>> {
        self.picture(input, model.manifest().normalizer.mean)
    }
}

impl std::fmt::Display for Fill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Black => f.write_str("black"),
            Self::White => f.write_str("white"),
            Self::Grey => f.write_str("grey"),
            Self::DatasetMean => f.write_str("data set's mean"),
            Self::Blurred(side) => write!(f, "blurred by {side} pixels"),
            Self::Picture => f.write_str("another picture"),
        }
    }
}

/// Box blur of each plane by `side`×`side` pixels, with reflected borders that do not repeat the edge
/// (OpenCV's `blur`).
pub fn box_blur(planes: &[f32], [h, w]: [usize; 2], side: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(planes.len());
    for plane in planes.chunks_exact(h * w) {
        let rows: Vec<f32> = plane
            .chunks_exact(w)
            .flat_map(|row| mean_along(row, side))
            .collect();
        let mut blurred = vec![0.0; h * w];
        for x in 0..w {
            let column: Vec<f32> = rows.iter().skip(x).step_by(w).copied().collect();
            for (y, value) in mean_along(&column, side).into_iter().enumerate() {
                blurred[y * w + x] = value;
            }
        }
        out.extend(blurred);
    }
    out
}

fn mean_along(line: &[f32], side: usize) -> Vec<f32> {
    let last = line.len() as isize - 1;
    let mirrored = |mut at: isize| {
        if last == 0 {
            return line[0];
        }
        while at < 0 || at > last {
            at = if at < 0 { -at } else { 2 * last - at };
        }
        line[at as usize]
    };
    let side = side.max(1) as isize;
    let mean = |at: isize| {
        let from = at - side / 2;
        let sum: f32 = (from..from + side).map(mirrored).sum();
        sum / side as f32
    };
    (0..=last).map(mean).collect()
}
