//! A share between nothing and all, in millionths: counted exactly, so that a run with the same seed is the same run.

use std::{fmt, str::FromStr};

/// All, in millionths.
const ALL: u32 = 1_000_000;
/// Decimals that a millionth has.
const DECIMALS: usize = 6;

/// A share of notifications.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u32);

/// The text is no share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a share is a decimal number from 0 to 1 with at most six decimals, for example 0.05")]
pub struct NotARate;

impl Rate {
    /// None.
    pub const NONE: Self = Self(0);
    /// Every one.
    pub const ALL: Self = Self(ALL);

    /// How many of `total` that are, rounded to the nearest.
    pub fn of(self, total: usize) -> usize {
        let total = u128::try_from(total).unwrap_or(u128::MAX);
        let share = total.saturating_mul(u128::from(self.0)).saturating_add(u128::from(ALL / 2)) / u128::from(ALL);
        usize::try_from(share).unwrap_or(usize::MAX)
    }

    /// Whether it is none at all.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || decimals.len() > DECIMALS {
            return Err(NotARate);
        }
        let whole: u32 = whole.parse().map_err(|_| NotARate)?;
        let millionths: u32 = format!("{decimals:0<DECIMALS$}").parse().map_err(|_| NotARate)?;
        let rate = whole.checked_mul(ALL).and_then(|whole| whole.checked_add(millionths)).ok_or(NotARate)?;
        if rate > ALL { Err(NotARate) } else { Ok(Self(rate)) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0 / ALL, self.0 % ALL);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_from_nothing_to_all_are_read() {
        for (text, of_a_thousand) in
            [("0", 0), ("1", 1000), ("0.05", 50), ("1.000000", 1000), ("0.0004", 0), ("0.0005", 1)]
        {
            assert_eq!(text.parse::<Rate>().unwrap().of(1000), of_a_thousand, "{text}");
        }
        assert_eq!(["0.05", "1.0", "0.0"].map(|text| text.parse::<Rate>().unwrap().to_string()), ["0.05", "1", "0"]);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "-0.1", "1.1", "2", "1.000001", "0.0000001", "NaN", "1e-1", "5%", ".5", "0.", "+1", "99999999999"]
        {
            assert_eq!(text.parse::<Rate>(), Err(NotARate), "{text}");
        }
    }
}
