//! What stands in place of a pixel that is not there.

use serde::{Deserialize, Serialize};

use super::Input;
use crate::error::{Error, Result};
use crate::model::Classifier;

/// A picture that shows nothing, in one of its senses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// 0 everywhere.
    Black,
    /// 1 everywhere.
    White,
    /// ½ everywhere.
    Grey,
    /// The colour that the model's normaliser takes off: the mean of its training set.
    DatasetMean,
    /// The picture itself, blurred by a box of this many pixels.
    Blurred(usize),
    /// Another picture.
    Picture,
}

impl Fill {
    /// The picture `[3, h, w]` that it stands for; `mean` is the normaliser's.
    ///
    /// # Errors
    /// [`Error::Config`] for [`Fill::Picture`] when there is none.
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

    /// As [`Fill::picture`], with the mean of `model`.
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

/// Each plane's running mean over a box of `side`×`side` pixels, mirrored at the border without
/// repeating it (OpenCV's `blur`).
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
