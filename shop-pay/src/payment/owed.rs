//! What a payment owes to others: the bits of `trade_pay.owed`.

use std::borrow::Cow;

use shop_common::due::Debt;

/// A set of debts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owed(i64);

impl Owed {
    /// The order has to judge it.
    pub const ORDER: Self = Self(1);
    /// The buyer gets points.
    pub const POINTS: Self = Self(2);
    /// The channel has to close it.
    pub const CLOSE: Self = Self(4);
    /// The channel has to pay it back.
    pub const REFUND: Self = Self(8);
    /// The buyer loses the points again.
    pub const REVERSE_POINTS: Self = Self(16);
    /// The channel has to be asked whether it was paid: as long as it is open.
    pub const ASK: Self = Self(32);
    /// The order has to hear that all of it goes back.
    pub const TELL_ORDER: Self = Self(64);

    /// The set of these bits.
    pub const fn of(bits: i64) -> Self {
        Self(bits)
    }

    /// Its bits.
    pub const fn bits(self) -> i64 {
        self.0
    }

    /// Whether nothing is owed.
    pub const fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` is owed.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// This and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This less `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is owed of a payment of `channel`, and by whom. What waits for the order's judgement is not owed by anybody
    /// yet, and that a buyer takes his time is no debt.
    pub fn debts(self, channel: &str) -> Vec<Debt> {
        let of_channel = |owed| Debt { owed, by: Cow::Owned(channel.to_owned()) };
        let is_judged = !self.has(Self::ORDER);
        let debts = [
            (Self::ORDER, true, Debt::new("judgement", "order")),
            (Self::POINTS, is_judged, Debt::new("points", "user")),
            (Self::CLOSE, true, of_channel("close")),
            (Self::REFUND, true, of_channel("refund")),
            (Self::REVERSE_POINTS, true, Debt::new("reversal of points", "user")),
            (Self::TELL_ORDER, is_judged, Debt::new("end of the order", "order")),
        ];
        debts.into_iter().filter(|(bit, can_be, _)| *can_be && self.has(*bit)).map(|(_, _, debt)| debt).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(owed: Owed) -> Vec<String> {
        owed.debts("alipay").into_iter().map(|debt| debt.by.into_owned()).collect()
    }

    #[test]
    fn whoever_has_to_act_is_named() {
        assert_eq!(by(Owed::POINTS.with(Owed::REVERSE_POINTS)), ["user", "user"]);
        assert_eq!(by(Owed::CLOSE.with(Owed::REFUND)), ["alipay", "alipay"]);
        assert_eq!(by(Owed::TELL_ORDER), ["order"]);
        assert_eq!(by(Owed::ORDER.with(Owed::POINTS).with(Owed::TELL_ORDER)), ["order"], "the judgement comes first");
        assert!(by(Owed::ASK).is_empty(), "a buyer may take his time");
    }
}
