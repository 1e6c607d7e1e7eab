//! Inpainting of hidden pixels from visible ones: push–pull (Gortler et al. 1996).

/// Inpaints the hidden values of `picture`, `[3, h, w]`; a pixel is hidden when any of its channels is.
/// Where nothing is visible, every pixel gets the mean colour.
pub(super) fn inpaint(picture: &[f32], visible: &[bool], [h, w]: [usize; 2]) -> Vec<f32> {
    let area = h * w;
    let shown: Vec<bool> = (0..area)
        .map(|at| {
            visible
                .iter()
                .skip(at)
                .step_by(area)
                .all(|&visible| visible)
        })
        .collect();
    let nothing = !shown.contains(&true);
    let fill = |plane: &[f32]| {
        if nothing {
            let mean = plane.iter().sum::<f32>() / area as f32;
            return vec![mean; area];
        }
        let known = plane.iter().zip(&shown);
        let level = Level {
            h,
            w,
            values: known
                .map(|(&value, &shown)| if shown { [value, 1.0] } else { [0.0, 0.0] })
                .collect(),
        };
        let filled = level.filled();
        let pixels = plane.iter().zip(&shown).zip(filled);
        pixels
            .map(|((&own, &shown), filled)| if shown { own } else { filled })
            .collect()
    };
    picture.chunks_exact(area).flat_map(fill).collect()
}

/// A level of the push–pull pyramid: a plane with a confidence weight for each pixel.
struct Level {
    h: usize,
    w: usize,
    /// Value times weight, and weight in [0, 1].
    values: Vec<[f32; 2]>,
}

impl Level {
    /// Pull phase: every pixel's own value by its weight, the rest from the coarser level.
    fn filled(&self) -> Vec<f32> {
        if self.values.len() == 1 {
            return vec![self.values[0][0] / self.values[0][1]];
        }
        let above = self.halved();
        let coarse = above.filled();
        let fill = |at: usize| {
            let [sum, weight] = self.values[at];
            let (y, x) = (at / self.w / 2, at % self.w / 2);
            sum + (1.0 - weight) * coarse[y * above.w + x]
        };
        (0..self.values.len()).map(fill).collect()
    }

    /// Push phase: the coarser level of sums over 2×2 pixels, with weights limited to 1.
    fn halved(&self) -> Self {
        let (h, w) = (self.h.div_ceil(2), self.w.div_ceil(2));
        let mut values = vec![[0.0f32; 2]; h * w];
        for (at, [sum, weight]) in self.values.iter().enumerate() {
            let above = &mut values[at / self.w / 2 * w + at % self.w / 2];
            above[0] += sum;
            above[1] += weight;
        }
        for [sum, weight] in &mut values {
            if *weight > 1.0 {
                *sum /= *weight;
                *weight = 1.0;
            }
        }
        Self { h, w, values }
    }
}
