//! What a payment owes to others: the bits of `trade_pay.owed`.

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
}
