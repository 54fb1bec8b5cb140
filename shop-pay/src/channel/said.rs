//! What a genuine notification says: about a payment or about a refund, to us or to somebody else.

use shop_common::{
    code::ShopCode,
    error::{Result, ShopError},
    id::{PayId, RefundId},
    money::Fen,
    time::Millis,
};

use crate::payment::refund::Answer;

/// Longest text of a channel that we keep.
const TEXT_MAX: usize = 64;

/// A notification that its signature vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genuine {
    /// What it says.
    pub said: Said,
    /// Why it is not for us: `SHOP_NOTIFY_INVALID` for another merchant's, `SHOP_AMOUNT_MISMATCH` for another currency,
    /// each at its field. It is recorded then, and nothing of it is applied.
    pub refused: Option<ShopError>,
}

/// What it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A payment.
    Payment(Notification),
    /// Money on its way back.
    Refund(RefundNotice),
}

/// What a notification says about a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The notification's own number: the same over resends.
    pub notify_id: String,
    /// Our payment.
    pub pay_id: PayId,
    /// The channel's own number of it.
    pub channel_trade_no: String,
    /// How much the buyer paid or is to pay.
    pub amount: Fen,
    /// Where the trade stands.
    pub status: TradeStatus,
    /// When the buyer paid, by the channel's clock.
    pub paid: Option<Millis>,
}

/// What a notification says about a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundNotice {
    /// The notification's own number: the same over resends.
    pub notify_id: String,
    /// Our refund.
    pub refund_id: RefundId,
    /// Of which payment of ours.
    pub pay_id: PayId,
    /// How much goes back by this refund alone.
    pub amount: Fen,
    /// How it ended; none while the channel works on it.
    pub answer: Option<Answer>,
}

/// Where a trade stands at a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TradeStatus {
    /// Paid.
    Success,
    /// Over without payment.
    Closed,
    /// Waiting for the buyer.
    Wait,
}

impl From<Said> for Genuine {
    fn from(said: Said) -> Self {
        Self { said, refused: None }
    }
}

impl From<Notification> for Genuine {
    fn from(said: Notification) -> Self {
        Said::Payment(said).into()
    }
}

impl From<RefundNotice> for Genuine {
    fn from(said: RefundNotice) -> Self {
        Said::Refund(said).into()
    }
}

impl Genuine {
    /// The same, unless its numbers cannot be kept.
    pub(crate) fn checked(self) -> Result<Self> {
        self.said.check()?;
        Ok(self)
    }
}

impl Said {
    /// The notification's own number.
    pub fn notify_id(&self) -> &str {
        match self {
            Self::Payment(said) => &said.notify_id,
            Self::Refund(said) => &said.notify_id,
        }
    }

    /// The payment it is about, or whose refund.
    pub const fn pay_id(&self) -> PayId {
        match self {
            Self::Payment(said) => said.pay_id,
            Self::Refund(said) => said.pay_id,
        }
    }

    /// Refuses numbers of the channel that we could not keep or compare.
    pub(crate) fn check(&self) -> Result<()> {
        keepable(self.notify_id(), "notify_id")?;
        match self {
            Self::Payment(said) => keepable(&said.channel_trade_no, "channel_trade_no"),
            Self::Refund(_) => Ok(()),
        }
    }
}

fn keepable(text: &str, field: &'static str) -> Result<()> {
    let visible = |byte: u8| byte.is_ascii_graphic();
    if !matches!(text.len(), 1..=TEXT_MAX) || !text.bytes().all(visible) {
        return Err(ShopError::at(ShopCode::NotifyInvalid, field));
    }
    Ok(())
}
