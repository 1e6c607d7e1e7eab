//! ε as people write it: one way to read it and one way to print it for each norm.

use super::Norm;
use crate::error::Error;
use crate::model::Manifest;

/// A finite number, or one over another, such as `8/255`.
pub fn parse_number(text: &str) -> Option<f32> {
    let number = |text: &str| text.trim().parse::<f32>().ok();
    let value = match text.split_once('/') {
        Some((above, below)) => number(above)? / number(below)?,
        None => number(text)?,
    };
    value.is_finite().then_some(value)
}

/// ε in units of pixels in [0, 1], as a number or a fraction such as `8/255`.
///
/// # Errors
/// Says that the text is no number, or a negative one.
pub fn parse_epsilon(text: &str) -> Result<f32, String> {
    let value = parse_number(text).ok_or_else(|| format!("`{text}` is no number"))?;
    if value >= 0.0 {
        Ok(value)
    } else {
        Err("it must be a number of at least 0".into())
    }
}

/// Up to three decimals, no more than are needed.
pub fn short_number(value: f32) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
}

impl Norm {
    /// How many of the units in which ε is written make 1: 255 grey levels for L∞, 1 for the others.
    pub fn units(self) -> f32 {
        match self {
            Self::Linf => 255.0,
            Self::L2 | Self::L1p5 => 1.0,
        }
    }

    /// How many times longer than in one channel a change is that three channels have alike, for models that read
    /// one: ε and lengths are said for one channel.
    pub fn channel_scale(self, manifest: &Manifest) -> f32 {
        match self {
            Self::L2 if manifest.grey => 3.0_f32.sqrt(),
            Self::L1p5 if manifest.grey => 3.0_f32.powf(2.0 / 3.0),
            Self::Linf | Self::L2 | Self::L1p5 => 1.0,
        }
    }

    /// ε in the unit that is usual for the norm: 255ths of the pixel range for L∞ (`8/255`), pixels in
    /// [0, 1] for the others (`0.5`); up to three decimals, and a power of ten where these would be zeros.
    /// [`parse_epsilon`] reads both.
    pub fn format(self, epsilon: f32) -> String {
        let value = epsilon * self.units();
        let number = match short_number(value) {
            zeros if zeros == "0" && value > 0.0 => format!("{value:.1e}"),
            number => number,
        };
        match self {
            Self::Linf => format!("{number}/255"),
            Self::L2 | Self::L1p5 => number,
        }
    }

    /// As [`Norm::format`] where that loses nothing, else all digits: for text that is edited and read
    /// again.
    pub fn format_exactly(self, epsilon: f32) -> String {
        let text = self.format(epsilon);
        if parse_epsilon(&text) == Ok(epsilon) {
            text
        } else {
            epsilon.to_string()
        }
    }
}

/// Whether a value is a finite number of at least 0.
pub(super) fn is_length(value: f32) -> bool {
    value.is_finite() && value >= 0.0
}

/// Checks that ε is the radius of a ball.
///
/// # Errors
/// [`Error::Config`] for a negative or infinite one, and for none at all.
pub(super) fn require_radius(epsilon: f32) -> Result<(), Error> {
    if is_length(epsilon) {
        Ok(())
    } else {
        Err(Error::Config("ε must be a number of at least 0".into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn epsilon_is_written_as_usual_for_its_norm() {
        let written = |norm: Norm, epsilon: f32| norm.format(epsilon);
        assert_eq!(written(Norm::Linf, 8.0 / 255.0), "8/255");
        assert_eq!(written(Norm::Linf, 8.5 / 255.0), "8.5/255");
        assert_eq!(written(Norm::L2, 0.5), "0.5");
        assert_eq!(written(Norm::L2, 2.0), "2");
        assert_eq!(written(Norm::L2, 0.0), "0");
        assert_eq!(written(Norm::L2, 0.0004), "4.0e-4");
        assert_eq!(written(Norm::Linf, 0.0001 / 255.0), "1.0e-4/255");
    }

    #[test]
    fn what_is_no_epsilon_is_refused() {
        for text in [
            "", "/", "1/0", "0/0", "8/", "nan", "inf", "-0.1", "eight", "1/2/3",
        ] {
            assert!(parse_epsilon(text).is_err(), "{text}");
        }
        assert_eq!(parse_epsilon(" 8 / 255 "), Ok(8.0 / 255.0));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(epsilon in 0.0_f32..50.0) {
            for (norm, digit) in [
                (Norm::Linf, 0.001 / 255.0),
                (Norm::L2, 0.001),
                (Norm::L1p5, 0.001),
            ] {
                let read = parse_epsilon(&norm.format(epsilon)).expect("its own writing");
                prop_assert!((read - epsilon).abs() <= 0.51 * digit + epsilon * 1e-6);
                prop_assert_eq!(parse_epsilon(&norm.format_exactly(epsilon)), Ok(epsilon));
            }
        }
    }
}
