//! How feature maps lie in memory: channels last, channels padded to whole vectors, a border of zeros around each map.

use rayon::prelude::*;

/// Index of a feature map or tensor.
pub(super) type MapId = usize;

/// Feature maps with their layout.
pub(super) type Map<'a> = (&'a Layout, &'a [f32]);
/// Feature maps that are written.
pub(super) type MapMut<'a> = (&'a Layout, &'a mut [f32]);

/// Layout of feature maps, picture after picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Height in pixels, without the border.
    pub(super) h: usize,
    /// Width in pixels, without the border.
    pub(super) w: usize,
    /// Number of channels.
    pub(super) c: usize,
    /// Numbers between neighbouring pixels: the channels, rounded up to whole vectors.
    pub(super) pitch: usize,
    /// Pixels of zeros above, left, below and right, so that no convolution has to look where the map ends.
    pub(super) border: [usize; 4],
}

impl Layout {
    /// Maps `[c, h, w]` without border for vectors of `lanes` numbers.
    pub(super) fn new([c, h, w]: [usize; 3], lanes: usize) -> Self {
        Self {
            h,
            w,
            c,
            pitch: c.next_multiple_of(lanes),
            border: [0; 4],
        }
    }

    /// Makes the border at least this wide.
    pub(super) fn widen(&mut self, border: [usize; 4]) {
        for (own, other) in self.border.iter_mut().zip(border) {
            *own = (*own).max(other);
        }
    }

    /// Numbers between the starts of neighbouring rows.
    pub(super) fn row(&self) -> usize {
        let [_, left, _, right] = self.border;
        (left + self.w + right) * self.pitch
    }

    /// Numbers of one picture.
    pub(super) fn picture(&self) -> usize {
        let [above, _, below, _] = self.border;
        (above + self.h + below) * self.row()
    }

    /// Index of a pixel's first channel within its picture.
    pub(super) fn pixel(&self, y: usize, x: usize) -> usize {
        let [above, left, ..] = self.border;
        (above + y) * self.row() + (left + x) * self.pitch
    }

    /// The numbers of a row of a picture, border left out.
    pub(super) fn row_of<'v>(&self, values: &'v [f32], [picture, y]: [usize; 2]) -> &'v [f32] {
        &values[picture * self.picture() + self.pixel(y, 0)..][..self.w * self.pitch]
    }

    /// Every row of pictures, borders left out, with its picture and its place in it.
    pub(super) fn rows_mut<'v>(
        &self,
        values: &'v mut [f32],
    ) -> impl Iterator<Item = ([usize; 2], &'v mut [f32])> + use<'v> {
        let [above, left, below, _] = self.border;
        let (all, h, length) = (above + self.h + below, self.h, self.w * self.pitch);
        let start = left * self.pitch;
        let rows = values.chunks_exact_mut(self.row().max(1)).enumerate();
        rows.filter_map(move |(number, row)| {
            let y = (number % all).checked_sub(above).filter(|&y| y < h)?;
            Some(([number / all, y], &mut row[start..start + length]))
        })
    }

    /// Calls `work` with every row of pictures, borders left out, and its place: picture and row.
    pub(super) fn for_each_row(
        &self,
        values: &mut [f32],
        threads: usize,
        work: impl Fn([usize; 2], &mut [f32]) + Sync + Send,
    ) {
        let length = self.w * self.pitch;
        side_by_side(self.rows_mut(values), length, threads, |(place, row)| {
            work(place, row);
        });
    }

    /// Zeroes the border of every picture.
    pub(super) fn clear_border(&self, values: &mut [f32]) {
        let [above, left, below, right] = self.border;
        let (row, pitch) = (self.row(), self.pitch);
        for picture in values.chunks_exact_mut(self.picture()) {
            picture[..above * row].fill(0.0);
            let length = picture.len();
            picture[length - below * row..].fill(0.0);
            if left + right == 0 {
                continue;
            }
            for y in 0..self.h {
                let row = &mut picture[(above + y) * row..][..row];
                row[..left * pitch].fill(0.0);
                row[(left + self.w) * pitch..].fill(0.0);
            }
        }
    }

    /// Copies pictures `[n, c, h, w]` to this layout, each value changed by `change(channel, value)`; padding becomes zero.
    pub(super) fn fill_from(
        &self,
        pictures: &[f32],
        values: &mut [f32],
        change: impl Fn(usize, f32) -> f32,
    ) {
        let plane = self.h * self.w;
        let parts = pictures.chunks_exact(self.c * plane);
        for (from, to) in parts.zip(values.chunks_exact_mut(self.picture())) {
            for y in 0..self.h {
                let row = &mut to[self.pixel(y, 0)..][..self.w * self.pitch];
                for (x, pixel) in row.chunks_exact_mut(self.pitch).enumerate() {
                    let (channels, padding) = pixel.split_at_mut(self.c);
                    padding.fill(0.0);
                    for (channel, value) in channels.iter_mut().enumerate() {
                        *value = change(channel, from[channel * plane + y * self.w + x]);
                    }
                }
            }
        }
        self.clear_border(values);
    }

    /// Copies maps of this layout to `[n, c, h, w]`.
    pub(super) fn copy_to(&self, values: &[f32], pictures: &mut [f32]) {
        let plane = self.h * self.w;
        let parts = pictures.chunks_exact_mut(self.c * plane);
        for (to, from) in parts.zip(values.chunks_exact(self.picture())) {
            for y in 0..self.h {
                let row = &from[self.pixel(y, 0)..][..self.w * self.pitch];
                for (x, pixel) in row.chunks_exact(self.pitch).enumerate() {
                    for (channel, value) in pixel[..self.c].iter().enumerate() {
                        to[channel * plane + y * self.w + x] = *value;
                    }
                }
            }
        }
    }
}

/// Numbers that are worth a thread of their own.
pub(super) const CHUNK: usize = 1 << 14;

/// Calls `work` with every part, of so many numbers each, on several threads if they are worth it.
pub(super) fn side_by_side<T: Send>(
    parts: impl Iterator<Item = T>,
    numbers: usize,
    threads: usize,
    work: impl Fn(T) + Sync + Send,
) {
    if threads == 1 {
        parts.for_each(work);
        return;
    }
    let parts: Vec<T> = parts.collect();
    let least = CHUNK.div_ceil(numbers.max(1));
    let parts = parts.into_par_iter().with_min_len(least);
    parts.for_each(work);
}
