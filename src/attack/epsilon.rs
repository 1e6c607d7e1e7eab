//! ε as people write it: one way to read it and one way to print it for each norm.

use super::Norm;

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
    /// ε in the unit that is usual for the norm: 255ths of the pixel range for L∞ (`8/255`), pixels in
    /// [0, 1] for L2 (`0.5`); up to three decimals. [`parse_epsilon`] reads both.
    pub fn format(self, epsilon: f32) -> String {
        match self {
            Self::Linf => format!("{}/255", short_number(epsilon * 255.0)),
            Self::L2 => short_number(epsilon),
        }
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
            for (norm, digit) in [(Norm::Linf, 0.001 / 255.0), (Norm::L2, 0.001)] {
                let read = parse_epsilon(&norm.format(epsilon)).expect("its own writing");
                prop_assert!((read - epsilon).abs() <= 0.51 * digit + epsilon * 1e-6);
            }
        }
    }
}
