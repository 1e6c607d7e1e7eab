//! Parts of a scan: equal shares of a source, for several machines.

use std::ops::Range;
use std::str::FromStr;

/// One of several equal parts of a source, by place in its listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which one, from 1 on.
    number: usize,
    /// How many there are.
    of: usize,
}

impl Part {
    /// All of the source.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// Places of its pictures among `total`. The parts are disjoint and together all of them; their lengths
    /// differ by at most one.
    pub fn range(self, total: usize) -> Range<usize> {
        let begin = |number: usize| (number as u128 * total as u128 / self.of as u128) as usize;
        begin(self.number - 1)..begin(self.number)
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no part; the third of eight is written 3/8");
        let (number, of) = text.split_once('/').ok_or_else(wrong)?;
        let [number, of] = [number, of].map(|text| text.trim().parse::<usize>().ok());
        let (number, of) = number.zip(of).ok_or_else(wrong)?;
        if number == 0 || number > of {
            return Err(format!("of {of} parts there is no part {number}"));
        }
        Ok(Self { number, of })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_are_disjoint_complete_and_equal(total in 0usize..10_000, of in 1usize..200) {
            let ranges = (1..=of).map(|number| Part { number, of }.range(total));
            let ranges: Vec<Range<usize>> = ranges.collect();
            prop_assert_eq!(ranges[0].start, 0);
            prop_assert_eq!(ranges[of - 1].end, total);
            for pair in ranges.windows(2) {
                prop_assert_eq!(pair[0].end, pair[1].start);
            }
            for range in ranges {
                prop_assert!(range.len() == total / of || range.len() == total / of + 1);
            }
        }
    }

    #[test]
    fn parts_are_read_and_refused() {
        assert_eq!("3/8".parse::<Part>().map(|part| part.range(80)), Ok(20..30));
        assert_eq!("1/1".parse(), Ok(Part::WHOLE));
        for wrong in ["", "3", "0/8", "9/8", "a/b", "-1/2", "1/0", "1/2/3"] {
            assert!(wrong.parse::<Part>().is_err(), "{wrong}");
        }
    }
}
