//! Everyday corruptions: the fifteen kinds of ImageNet-C (Hendrycks and Dietterich 2019, section 3) with a continuous
//! severity.
//!
//! The constants are those of the authors' program for pictures of 224 pixels; lengths in pixels scale with the shorter
//! side. Between their five severities the constants are interpolated linearly, below the first one from the
//! identity on. Frost is an exception: the authors lay photographs of frost over the picture, this program draws
//! its own.

mod blur;
mod digital;
mod noise;
mod resample;
mod weather;

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::random::noise_rng;

/// The side of the pictures that the authors' constants are for, in pixels.
const AUTHORS_SIDE: f32 = 224.0;

/// The largest severity.
pub const MAX_SEVERITY: f32 = 5.0;

/// A kind of corruption.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum CorruptionKind {
    /// Gaussian noise.
    #[default]
    GaussianNoise,
    /// Poisson noise of few photons.
    ShotNoise,
    /// Values replaced by 0 or 1.
    ImpulseNoise,
    /// Blur by a disk.
    DefocusBlur,
    /// As through frosted glass: neighbours change places.
    GlassBlur,
    /// Blur along a line.
    MotionBlur,
    /// Blur by zooming in.
    ZoomBlur,
    /// Falling snow.
    Snow,
    /// Frost on the lens, drawn by this program.
    Frost,
    /// Fog of a fractal density.
    Fog,
    /// More light.
    Brightness,
    /// Less contrast.
    Contrast,
    /// Regions stretched.
    Elastic,
    /// Fewer pixels.
    Pixelate,
    /// JPEG compression.
    Jpeg,
}

impl CorruptionKind {
    /// All kinds, in ImageNet-C's order.
    pub const ALL: [Self; 15] = [
        Self::GaussianNoise,
        Self::ShotNoise,
        Self::ImpulseNoise,
        Self::DefocusBlur,
        Self::GlassBlur,
        Self::MotionBlur,
        Self::ZoomBlur,
        Self::Snow,
        Self::Frost,
        Self::Fog,
        Self::Brightness,
        Self::Contrast,
        Self::Elastic,
        Self::Pixelate,
        Self::Jpeg,
    ];

    /// Display name.
    pub fn name(self) -> &'static str {
        match self {
            Self::GaussianNoise => "Gaussian noise",
            Self::ShotNoise => "shot noise",
            Self::ImpulseNoise => "impulse noise",
            Self::DefocusBlur => "defocus blur",
            Self::GlassBlur => "glass blur",
            Self::MotionBlur => "motion blur",
            Self::ZoomBlur => "zoom blur",
            Self::Snow => "snow",
            Self::Frost => "frost",
            Self::Fog => "fog",
            Self::Brightness => "brightness",
            Self::Contrast => "contrast",
            Self::Elastic => "elastic",
            Self::Pixelate => "pixelate",
            Self::Jpeg => "JPEG",
        }
    }
}

/// A corruption of pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Corruption {
    /// What is done to them.
    pub kind: CorruptionKind,
    /// How much, in [0, [`MAX_SEVERITY`]]; 0 is the identity, whole numbers are ImageNet-C's severities.
    pub severity: f32,
    /// Seed of everything random.
    pub seed: u64,
}

impl std::fmt::Display for Corruption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = (self.severity * 100.0).round() / 100.0;
        write!(f, "{}, severity {severity}", self.kind.name())
    }
}

impl Corruption {
    /// Whether it changes anything: not of severity 0.
    pub fn is_active(&self) -> bool {
        self.severity > 0.0
    }

    /// The corrupted picture, `[3, h, w]` in [0, 1] as `pixels`; `stream` numbers the picture, so that each has random
    /// numbers of its own. Of severity 0, every bit is as it was.
    pub fn apply(&self, pixels: &[f32], size: [usize; 2], stream: u64) -> Vec<f32> {
        let severity = self.severity.clamp(0.0, MAX_SEVERITY);
        // What is not a number is no severity.
        if severity.is_nan() || severity == 0.0 || pixels.is_empty() {
            return pixels.to_vec();
        }
        let mut rng = noise_rng(self.seed, stream);
        let mut corrupted = corrupted(self.kind, pixels, size, Severity(severity), &mut rng);
        for value in &mut corrupted {
            *value = value.clamp(0.0, 1.0);
        }
        corrupted
    }

    /// As [`Self::apply`], on values of 8 bits.
    pub fn apply_to_bytes(&self, planes: &[u8], size: [usize; 2], stream: u64) -> Vec<u8> {
        let pixels: Vec<f32> = planes
            .iter()
            .map(|&value| f32::from(value) / 255.0)
            .collect();
        let corrupted = self.apply(&pixels, size, stream);
        corrupted
            .into_iter()
            .map(|value| (value * 255.0).round() as u8)
            .collect()
    }
}

fn corrupted(
    kind: CorruptionKind,
    pixels: &[f32],
    size: [usize; 2],
    severity: Severity,
    rng: &mut impl Rng,
) -> Vec<f32> {
    match kind {
        CorruptionKind::GaussianNoise => noise::gaussian(pixels, severity, rng),
        CorruptionKind::ShotNoise => noise::shot(pixels, severity, rng),
        CorruptionKind::ImpulseNoise => noise::impulse(pixels, severity, rng),
        CorruptionKind::DefocusBlur => blur::defocus(pixels, size, severity),
        CorruptionKind::GlassBlur => blur::glass(pixels, size, severity, rng),
        CorruptionKind::MotionBlur => blur::motion(pixels, size, severity, rng),
        CorruptionKind::ZoomBlur => blur::zoom(pixels, size, severity),
        CorruptionKind::Snow => weather::snow(pixels, size, severity, rng),
        CorruptionKind::Frost => weather::frost(pixels, size, severity, rng),
        CorruptionKind::Fog => weather::fog(pixels, size, severity, rng),
        CorruptionKind::Brightness => digital::brightness(pixels, severity),
        CorruptionKind::Contrast => digital::contrast(pixels, severity),
        CorruptionKind::Elastic => digital::elastic(pixels, size, severity, rng),
        CorruptionKind::Pixelate => digital::pixelate(pixels, size, severity),
        CorruptionKind::Jpeg => digital::jpeg(pixels, size, severity),
    }
}

/// A severity above 0.
#[derive(Clone, Copy)]
struct Severity(f32);

impl Severity {
    /// A constant of the five severities, interpolated; `identity` is its value at 0.
    fn of(self, identity: f32, constants: [f32; 5]) -> f32 {
        let below = self.0.floor().min(4.0);
        let from = match below as usize {
            0 => identity,
            at => constants[at - 1],
        };
        from + (self.0 - below) * (constants[below as usize] - from)
    }

    /// A constant that has no value of its own at 0: below severity 1 it is that of severity 1.
    fn held(self, constants: [f32; 5]) -> f32 {
        self.of(constants[0], constants)
    }

    /// Share of a corruption of severity 1, in [0, 1].
    fn share(self) -> f32 {
        self.0.min(1.0)
    }
}

/// A length in pixels for pictures of this size, of one that is meant for the authors'.
fn scaled(length: f32, size: [usize; 2]) -> f32 {
    length * size[0].min(size[1]) as f32 / AUTHORS_SIDE
}
