//! Heat maps: how an attribution is coloured. Everything here is a uniform of `shaders/view.wgsl`.

use std::sync::{Arc, OnceLock};

use colorgrad::Gradient;
use serde::{Deserialize, Serialize};

use super::GpuImage;

/// Which values show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// Both, apart.
    #[default]
    Signed,
    /// What speaks for the class.
    Positive,
    /// What speaks against it.
    Negative,
    /// Both, alike.
    Absolute,
}

impl Sign {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Signed, Self::Positive, Self::Negative, Self::Absolute];

    /// How much of a value shows, at least 0.
    pub fn magnitude(self, value: f32) -> f32 {
        match self {
            Self::Signed | Self::Absolute => value.abs(),
            Self::Positive => value.max(0.0),
            Self::Negative => (-value).max(0.0),
        }
    }
}

/// How the channels of a pixel become one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    /// Their sum, which keeps completeness.
    #[default]
    Sum,
    /// Their mean, as in arXiv 2307.02500.
    Mean,
}

/// What is under the colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Blend {
    /// The picture without its colours.
    #[default]
    Grey,
    /// The picture.
    Picture,
    /// Nothing: the map alone.
    Alone,
}

impl Blend {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Grey, Self::Picture, Self::Alone];
}

/// Colours. The first three diverge from white, one side for each sign, and like all but the last
/// can be told apart with any colour vision (Brewer 2003; Nuñez et al. 2018 for cividis).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Palette {
    /// Red speaks for, blue against.
    #[default]
    RedBlue,
    /// Orange speaks for, purple against.
    OrangePurple,
    /// Brown speaks for, teal against.
    BrownTeal,
    /// From blue to yellow, evenly bright.
    Viridis,
    /// From black over violet to pale yellow.
    Magma,
    /// From blue to yellow.
    Cividis,
    /// From blue over green to red.
    Turbo,
}

impl Palette {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::RedBlue,
        Self::OrangePurple,
        Self::BrownTeal,
        Self::Viridis,
        Self::Magma,
        Self::Cividis,
        Self::Turbo,
    ];

    /// Whether its middle stands for 0.
    pub fn diverges(self) -> bool {
        matches!(self, Self::RedBlue | Self::OrangePurple | Self::BrownTeal)
    }

    /// Red, green and blue in [0, 1] at `share` in [0, 1].
    pub fn color(self, share: f32) -> [f32; 3] {
        use colorgrad::preset;
        // Brewer's diverging maps begin with the warm colour, which is to be the positive side.
        let back = 1.0 - share;
        let color = match self {
            Self::RedBlue => preset::rd_bu().at(back),
            Self::OrangePurple => preset::pu_or().at(back),
            Self::BrownTeal => preset::br_bg().at(back),
            Self::Viridis => preset::viridis().at(share),
            Self::Magma => preset::magma().at(share),
            Self::Cividis => preset::cividis().at(share),
            Self::Turbo => preset::turbo().at(share),
        };
        [color.r, color.g, color.b].map(|value| value.clamp(0.0, 1.0))
    }

    /// 256 colours with an unused fourth number, as the shader reads them.
    pub fn table(self) -> &'static [[f32; 4]; 256] {
        static TABLES: [OnceLock<[[f32; 4]; 256]>; 7] = [const { OnceLock::new() }; 7];
        TABLES[self as usize].get_or_init(|| {
            std::array::from_fn(|at| {
                let [r, g, b] = self.color(at as f32 / 255.0);
                [r, g, b, 1.0]
            })
        })
    }

    /// Where in the palette a value is found, in [0, 1], for `level` in [−1, 1].
    pub fn place(self, sign: Sign, level: f32) -> f32 {
        match (sign, self.diverges()) {
            (Sign::Signed, _) | (Sign::Positive | Sign::Absolute, true) => 0.5 + 0.5 * level,
            (Sign::Negative, true) => 0.5 - 0.5 * level,
            (_, false) => level,
        }
    }
}

/// How heat maps are drawn, as plain data; changing it computes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeatStyle {
    /// Which values show.
    pub sign: Sign,
    /// How channels become one value.
    pub channels: Channels,
    /// The colours end at this percentile of the magnitudes, in (0, 100].
    pub percentile: f32,
    /// Values below this share of the colours' end do not show, in [0, 1].
    pub threshold: f32,
    /// How far the colours cover the picture, in [0, 1].
    pub opacity: f32,
    /// The colours.
    pub palette: Palette,
    /// What is under them.
    pub blend: Blend,
    /// Whether all maps on the screen share one scale, so that they can be compared.
    pub locked: bool,
    /// A line around the pixels of highest magnitude, in per cent of all; 0 draws none.
    pub contour: f32,
}

impl Default for HeatStyle {
    fn default() -> Self {
        Self {
            sign: Sign::default(),
            channels: Channels::default(),
            percentile: 99.0,
            threshold: 0.0,
            opacity: 0.9,
            palette: Palette::default(),
            blend: Blend::default(),
            locked: false,
            contour: 0.0,
        }
    }
}

impl HeatStyle {
    /// What a value counts on the colour bar, for a sum over `channels` channels.
    pub fn number(&self, sum: f32, channels: usize) -> f32 {
        match self.channels {
            Channels::Sum => sum,
            Channels::Mean => sum / channels.max(1) as f32,
        }
    }

    /// The colour at a share of the colour bar, from its left end at 0 to its right end at 1.
    pub fn bar(&self, share: f32) -> [f32; 3] {
        let lowest = if self.sign == Sign::Signed { -1.0 } else { 0.0 };
        let level = lowest + share * (1.0 - lowest);
        self.palette.color(self.palette.place(self.sign, level))
    }

    /// The numbers at the left end, the middle and the right end of a bar whose colours end at `end`.
    pub fn bar_numbers(&self, end: f32) -> [f32; 3] {
        match self.sign {
            Sign::Signed => [-end, 0.0, end],
            Sign::Negative => [0.0, -end / 2.0, -end],
            Sign::Positive | Sign::Absolute => [0.0, end / 2.0, end],
        }
    }

    /// A map in its colours over a picture, `[3, h, w]` like the picture's `planes`: what the shader draws, for
    /// files. `scale` is where the colours end.
    pub fn paint(&self, planes: &[f32], heat: &HeatMap, scale: f32) -> Vec<f32> {
        let area = heat.values().len();
        let mut painted = vec![0.0; 3 * area];
        for (at, &value) in heat.values().iter().enumerate() {
            let rgb = [0, 1, 2].map(|channel| planes[channel * area + at]);
            for (channel, part) in self.color(rgb, value, scale).into_iter().enumerate() {
                painted[channel * area + at] = part;
            }
        }
        painted
    }

    /// The same for a pixel. `rgb` is the picture's own colour,
    /// `value` the map's, `scale` where the colours end.
    pub fn color(&self, rgb: [f32; 3], value: f32, scale: f32) -> [f32; 3] {
        let size = (self.sign.magnitude(value) / scale.max(f32::MIN_POSITIVE)).min(1.0);
        let level = if self.sign == Sign::Signed {
            size.copysign(value)
        } else {
            size
        };
        let at = (self.palette.place(self.sign, level) * 255.0).round();
        let color = self.palette.table()[at as usize];
        let below = match self.blend {
            Blend::Alone => {
                self.palette.table()[(self.palette.place(self.sign, 0.0) * 255.0) as usize]
            }
            Blend::Picture => [rgb[0], rgb[1], rgb[2], 1.0],
            Blend::Grey => [0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]; 4],
        };
        let shows = if size < self.threshold { 0.0 } else { 1.0 };
        let cover = match self.blend {
            Blend::Alone => shows,
            Blend::Grey | Blend::Picture => shows * self.opacity * size.sqrt(),
        };
        std::array::from_fn(|c| below[c] + cover * (color[c] - below[c]))
    }
}

/// A map that can be drawn: one value a pixel, the sum over its channels.
#[derive(Clone)]
pub struct HeatMap(Arc<Inner>);

struct Inner {
    frame: GpuImage,
    /// Magnitudes in rising order, by [`Sign`].
    sorted: [OnceLock<Vec<f32>>; 4],
}

impl HeatMap {
    /// Takes the sum over the channels of each pixel, row by row; `size` is height and width.
    pub fn new(pixels: Vec<f32>, size: [usize; 2]) -> Self {
        Self(Arc::new(Inner {
            frame: GpuImage::from_planes(pixels, size),
            sorted: std::array::from_fn(|_| OnceLock::new()),
        }))
    }

    /// The values as a frame of one plane.
    pub fn frame(&self) -> &GpuImage {
        &self.0.frame
    }

    /// The values, row by row.
    pub fn values(&self) -> &[f32] {
        self.0.frame.planes()
    }

    /// The magnitude that `percentile` per cent of the pixels do not exceed.
    pub fn magnitude_at(&self, sign: Sign, percentile: f32) -> f32 {
        let sorted = self.0.sorted[sign as usize].get_or_init(|| {
            let values = self.values().iter();
            let mut sizes: Vec<f32> = values.map(|&value| sign.magnitude(value)).collect();
            sizes.sort_by(f32::total_cmp);
            sizes
        });
        let last = sorted.len().saturating_sub(1) as f32;
        let at = (last * percentile / 100.0).round().clamp(0.0, last);
        sorted.get(at as usize).copied().unwrap_or(0.0)
    }

    /// Where the colours end on a scale of this map's own.
    pub fn scale(&self, style: &HeatStyle) -> f32 {
        let clipped = self.magnitude_at(style.sign, style.percentile);
        // A map of few strong pixels is all zero at most percentiles.
        if clipped > 0.0 {
            clipped
        } else {
            self.magnitude_at(style.sign, 100.0).max(f32::MIN_POSITIVE)
        }
    }
}

/// One colour a model row, distinguishable with any colour vision (Okabe and Ito 2008).
const ROWS: [[u8; 3]; 4] = [
    [0xE6, 0x9F, 0x00],
    [0x56, 0xB4, 0xE9],
    [0x00, 0x9E, 0x73],
    [0xCC, 0x79, 0xA7],
];

/// The colour of a model row in plots and bars.
pub fn row_color(row: usize) -> [u8; 3] {
    ROWS[row % ROWS.len()]
}

/// A number in few characters.
pub fn short(number: f32) -> String {
    if number == 0.0 {
        "0".into()
    } else if (0.01..100.0).contains(&number.abs()) {
        format!("{number:.2}")
    } else {
        format!("{number:.0e}")
    }
}
