//! What can go wrong with a notification on its way, and how often it does.

use crate::rate::Rate;

/// Shares of notifications, each drawn by itself, so that faults meet on one notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Sent [`Self::copies`] times, at once or one after the other.
    pub duplicate: Rate,
    /// How often a duplicated one is sent in all.
    pub copies: u32,
    /// Sent at the time of another one.
    pub reorder: Rate,
    /// Lost on the way once or twice; the channel sends it again.
    pub drop: Rate,
    /// Its order is cancelled before it is sent.
    pub late: Rate,
    /// A changed one comes beside it: another amount, payment, body or signature.
    pub tamper: Rate,
    /// One signed by another or a revoked key comes beside it.
    pub wrong_key: Rate,
    /// One signed too long ago, or in the future, comes beside it.
    pub stale: Rate,
    /// Its answer is read byte by byte.
    pub slow: Rate,
    /// It comes before the shop can see its payment, and again later.
    pub early: Rate,
    /// One in another channel's format, or under another channel's name, comes beside it.
    pub foreign: Rate,
}

/// A notification that is not genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    /// Another amount: this many fen more. Signed anew by the right key, or with the signature of the right amount.
    Amount {
        /// How many fen more.
        more: i64,
        /// Whether it is signed anew.
        signed: bool,
    },
    /// A payment that there is not. Signed anew by the right key, or with the signature of the right payment.
    PayId {
        /// Which.
        pay_id: i64,
        /// Whether it is signed anew.
        signed: bool,
    },
    /// One bit of the body is flipped; which, modulo their number.
    Body(u64),
    /// One character of the signature is another; which, modulo their number.
    Signature(u64),
    /// Signed by another key under the name of the right one.
    WrongKey,
    /// Signed by a key that is not in force any more.
    RevokedKey,
    /// Rightly signed this many seconds ago, and as many more as the channel's window is wider than five minutes; less
    /// than zero = from the future.
    Stale(i64),
    /// The body of another channel.
    ForeignBody,
    /// Under the name of another channel.
    ForeignChannel,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        duplicate: Rate::NONE,
        copies: 3,
        reorder: Rate::NONE,
        drop: Rate::NONE,
        late: Rate::NONE,
        tamper: Rate::NONE,
        wrong_key: Rate::NONE,
        stale: Rate::NONE,
        slow: Rate::NONE,
        early: Rate::NONE,
        foreign: Rate::NONE,
    };

    /// Each with this share.
    pub const fn all(rate: Rate) -> Self {
        Self {
            duplicate: rate,
            copies: 3,
            reorder: rate,
            drop: rate,
            late: rate,
            tamper: rate,
            wrong_key: rate,
            stale: rate,
            slow: rate,
            early: rate,
            foreign: rate,
        }
    }
}

impl Forgery {
    /// Its name in reports and recordings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amount { signed: false, .. } => "tampered amount",
            Self::Amount { signed: true, .. } => "wrong amount, signed",
            Self::PayId { signed: false, .. } => "tampered payment",
            Self::PayId { signed: true, .. } => "unknown payment, signed",
            Self::Body(_) => "tampered body",
            Self::Signature(_) => "tampered signature",
            Self::WrongKey => "wrong key",
            Self::RevokedKey => "revoked key",
            Self::Stale(_) => "stale",
            Self::ForeignBody => "foreign body",
            Self::ForeignChannel => "foreign channel",
        }
    }
}
