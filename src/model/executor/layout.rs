//! How feature maps lie in memory: channels last, channels padded to whole vectors, a border of zeros around each map.

/// Index of a feature map or tensor.
pub(super) type MapId = usize;

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

    /// Calls `visit` with the range of each row of `pictures` pictures, borders left out.
    pub(super) fn rows(&self, pictures: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
        let this = *self;
        (0..pictures).flat_map(move |picture| {
            (0..this.h).map(move |y| {
                let start = picture * this.picture() + this.pixel(y, 0);
                start..start + this.w * this.pitch
            })
        })
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
