//! Money: whole fen in an `i64`, every operation checked, no float anywhere near it (traps 1, 6, 7).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount of money in fen (1/100 yuan).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fen(i64);

/// The text is not an amount of yuan with exactly two decimals, or does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an amount of money")]
pub struct NotMoney;

impl Fen {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount of `fen`.
    pub const fn new(fen: i64) -> Self {
        Self(fen)
    }

    /// The amount in fen.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Sum, or `None` on overflow.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(fen) => Some(Self(fen)),
            None => None,
        }
    }

    /// Difference, or `None` on overflow.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(fen) => Some(Self(fen)),
            None => None,
        }
    }

    /// This amount `quantity` times, or `None` on overflow.
    pub const fn checked_mul(self, quantity: i64) -> Option<Self> {
        match self.0.checked_mul(quantity) {
            Some(fen) => Some(Self(fen)),
            None => None,
        }
    }

    /// Whether it is less than nothing.
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whole yuan, cents dropped.
    pub const fn whole_yuan(self) -> i64 {
        self.0 / 100
    }

    /// Reads what `/api/v1` accepts, exactly `^(0|[1-9]\d{0,9})\.\d{2}$`.
    ///
    /// # Errors
    /// [`NotMoney`] for everything else: no sign, no exponent, no third decimal, nothing is rounded.
    pub fn parse_strict(text: &str) -> Result<Self, NotMoney> {
        let (yuan, cents) = text.split_once('.').ok_or(NotMoney)?;
        if cents.len() != 2 {
            return Err(NotMoney);
        }
        Self::from_digits(yuan, cents)
    }

    /// Reads what the tutorial's routes accept: a decimal literal of yuan with at most two decimals.
    ///
    /// # Errors
    /// [`NotMoney`] for an exponent, a sign, a third decimal, a missing digit or more than ten digits of yuan.
    pub fn parse_lenient(text: &str) -> Result<Self, NotMoney> {
        match text.split_once('.') {
            None => Self::from_digits(text, "00"),
            Some((yuan, cents)) if cents.len() == 1 => Self::from_digits(yuan, &format!("{cents}0")),
            Some((yuan, cents)) if cents.len() == 2 => Self::from_digits(yuan, cents),
            Some(_) => Err(NotMoney),
        }
    }

    fn from_digits(yuan: &str, cents: &str) -> Result<Self, NotMoney> {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let well_formed = matches!(yuan.len(), 1..=10) && (yuan == "0" || !yuan.starts_with('0'));
        if !well_formed || !digits(yuan) || !digits(cents) {
            return Err(NotMoney);
        }
        format!("{yuan}{cents}").parse().map(Self).map_err(|_| NotMoney)
    }
}

impl fmt::Display for Fen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let fen = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", fen / 100, fen % 100)
    }
}

/// As a decimal string of yuan.
impl Serialize for Fen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From a string only, by [`Fen::parse_strict`]; a JSON number is refused.
impl<'de> Deserialize<'de> for Fen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_strict(&text).map_err(|_| de::Error::custom("money is a string like \"880.00\""))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn strict_text_is_exactly_two_decimals() {
        assert_eq!(Fen::parse_strict("880.00"), Ok(Fen(88_000)));
        assert_eq!(Fen::parse_strict("0.01"), Ok(Fen(1)));
        assert_eq!(Fen::parse_strict("9999999999.99"), Ok(Fen(999_999_999_999)));
        let refused = [
            "",
            "1",
            "1.0",
            "1.005",
            "0.001",
            "1e3",
            "1E+2",
            "1.0e-2",
            "NaN",
            "Infinity",
            "-inf",
            "1,000.00",
            "1 000",
            "１２.00",
            "٣.00",
            "0x10",
            "+5.00",
            "-1.00",
            "-0.00",
            ".50",
            "5.",
            "00.10",
            "01.00",
            "10000000000.00",
            " 1.00",
            "1.00 ",
        ];
        for text in refused {
            assert_eq!(Fen::parse_strict(text), Err(NotMoney), "{text:?}");
        }
    }

    #[test]
    fn lenient_text_is_at_most_two_decimals() {
        assert_eq!(Fen::parse_lenient("5000"), Ok(Fen(500_000)));
        assert_eq!(Fen::parse_lenient("880.5"), Ok(Fen(88_050)));
        assert_eq!(Fen::parse_lenient("880.05"), Ok(Fen(88_005)));
        for text in ["", "1.", ".5", "1.005", "1e3", "-1", "+1", "007", "12345678901"] {
            assert_eq!(Fen::parse_lenient(text), Err(NotMoney), "{text:?}");
        }
    }

    #[test]
    fn arithmetic_is_checked() {
        assert_eq!(Fen(5).checked_add(Fen(3)), Some(Fen(8)));
        assert_eq!(Fen(5).checked_sub(Fen(8)), Some(Fen(-3)));
        assert_eq!(Fen(5).checked_mul(3), Some(Fen(15)));
        assert_eq!(Fen(i64::MAX).checked_add(Fen(1)), None);
        assert_eq!(Fen(i64::MIN).checked_sub(Fen(1)), None);
        assert_eq!(Fen(i64::MAX / 2).checked_mul(3), None);
        assert_eq!(Fen(i64::MIN).to_string(), "-92233720368547758.08");
    }

    #[test]
    fn yuan_are_whole_and_less_than_nothing_is_negative() {
        assert_eq!([0, 99, 100, 88_099].map(|fen| Fen(fen).whole_yuan()), [0, 0, 1, 880]);
        assert_eq!([-1, 0, 1].map(|fen| Fen(fen).is_negative()), [true, false, false]);
        assert_eq!(Fen::new(7).get(), 7);
    }

    #[test]
    fn in_json_money_is_a_string() {
        assert_eq!(serde_json::to_string(&Fen(88_005)).unwrap(), "\"880.05\"");
        assert_eq!(serde_json::from_str::<Fen>("\"880.05\"").unwrap(), Fen(88_005));
        for text in ["880.05", "880", "\"880\"", "null"] {
            assert!(serde_json::from_str::<Fen>(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(fen in 0_i64..=999_999_999_999) {
            prop_assert_eq!(Fen::parse_strict(&Fen(fen).to_string()), Ok(Fen(fen)));
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            if let Ok(fen) = Fen::parse_strict(&text) {
                prop_assert_eq!(fen.to_string(), text.as_str());
            }
            if let Ok(fen) = Fen::parse_lenient(&text) {
                prop_assert!(!fen.is_negative());
            }
        }
    }
}
