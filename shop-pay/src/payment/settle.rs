//! What a genuine notification does to a payment. Traps 40, 41, 42, 46; faults F45 to F47, F50, F53, F55.
//!
//! Money that arrived is never ignored: a closed payment is settled like an open one, without a look at its order. What
//! then becomes of the money is for the order to judge.

use sha2::{Digest, Sha256};
use shop_common::{code::ShopCode, error::ShopError, id::PayId, time::Millis};

use super::{FIRST_LOOK, Payment, Payments, Status, owed::Owed};
use crate::channel::{Notification, TradeStatus};

/// A genuine notification and what it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Who sent it.
    pub channel: String,
    /// What it says.
    pub said: Notification,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// SHA-256 of the body, or of what of it is the same each time it is sent; hex.
    pub body_hash: String,
    /// The headers that were verified, as a JSON object.
    pub headers: String,
}

/// What was made of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The payment is paid by it.
    Applied,
    /// The payment was paid before.
    AlreadyApplied,
    /// The payment was paid before and a refund of it exists.
    RefundStarted,
    /// It says nothing about money.
    Ignored,
    /// No such payment at this channel.
    UnknownPayment,
    /// Not the payment's amount.
    AmountMismatch,
}

/// A notification by its own name: channel and notification id.
pub(crate) type RecordKey = (String, String);

/// A row of `trade_pay_notify`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// How often it had come when it was loaded; none for a new one.
    pub(crate) seen: Option<i64>,
    pub(crate) times: i64,
    pub(crate) pay_id: PayId,
    pub(crate) body_hash: String,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: String,
    pub(crate) verdict: Verdict,
}

/// The verdict and the payment as it is now, or the refusal.
pub type Settled = Result<(Verdict, Payment), ShopError>;

impl Notice {
    /// What `channel` said in `body`.
    pub fn new(channel: &str, said: Notification, body: Vec<u8>, headers: String) -> Self {
        let body_hash = hex::encode(Sha256::digest(&body));
        Self { channel: channel.to_owned(), said, body, body_hash, headers }
    }

    /// Repeats are held against `lasting` where the body changes from one sending to the next.
    #[must_use]
    pub fn held_against(mut self, lasting: &[u8]) -> Self {
        if lasting != self.body {
            self.body_hash = hex::encode(Sha256::digest(lasting));
        }
        self
    }

    pub(crate) fn key(&self) -> RecordKey {
        (self.channel.clone(), self.said.notify_id.clone())
    }
}

impl Verdict {
    /// Whether the notification was acknowledged, which binds its id to its body.
    pub const fn is_accepted(self) -> bool {
        !matches!(self, Self::UnknownPayment | Self::AmountMismatch)
    }
}

impl Payments {
    /// Settles the payment, once however often and in whatever order its notifications come.
    ///
    /// A notification that was refused is judged anew when it comes again: its payment may have become visible since
    /// (F53), and a wrong one must not stand in the way of the right one (F46).
    ///
    /// # Errors
    /// `SHOP_NOTIFY_REPLAY` for an acknowledged id with another body, `SHOP_NOTIFY_INVALID` for a payment that is not
    /// of this channel, `SHOP_AMOUNT_MISMATCH`.
    pub fn settle(&mut self, notice: &Notice, now: Millis) -> Settled {
        let known = self.records.get(&notice.key());
        if known.is_some_and(|known| known.verdict.is_accepted() && known.body_hash != notice.body_hash) {
            return Err(ShopError::at(ShopCode::NotifyReplay, "notify_id"));
        }
        let verdict = self.judge(notice);
        if verdict == Verdict::Applied {
            self.pay(&notice.said, now);
        }
        self.record(notice, verdict);
        match (verdict, self.rows.get(&notice.said.pay_id)) {
            (Verdict::AmountMismatch, _) => Err(ShopError::at(ShopCode::AmountMismatch, "amount_fen")),
            (Verdict::UnknownPayment, _) | (_, None) => Err(ShopError::at(ShopCode::NotifyInvalid, "pay_id")),
            (verdict, Some(payment)) => Ok((verdict, payment.clone())),
        }
    }

    fn judge(&self, notice: &Notice) -> Verdict {
        let payment = self.rows.get(&notice.said.pay_id).filter(|payment| payment.channel == notice.channel);
        match payment {
            None => Verdict::UnknownPayment,
            Some(payment) if payment.amount != notice.said.amount => Verdict::AmountMismatch,
            Some(_) if notice.said.status != TradeStatus::Success => Verdict::Ignored,
            Some(payment) if payment.status != Status::Paid => Verdict::Applied,
            Some(payment) if payment.refunded.get() > 0 => Verdict::RefundStarted,
            Some(_) => Verdict::AlreadyApplied,
        }
    }

    fn pay(&mut self, said: &Notification, now: Millis) {
        let Some(payment) = self.rows.get_mut(&said.pay_id) else { return };
        payment.status = Status::Paid;
        // The channel's time is what its statements say, but no payment was paid before it was made or after now.
        payment.paid = Some(said.paid.unwrap_or(now).clamp(payment.created.min(now), now));
        payment.channel_trade_no = Some(said.channel_trade_no.clone());
        // A close that the channel still owes is pointless: its trade is over.
        payment.owed = Owed::default();
        payment.owe(Owed::ORDER.with(Owed::POINTS), now.after(FIRST_LOOK));
        self.changed.settled.push(payment.pay_id);
    }

    /// Counts a repeat; what an acknowledged notification was and did stays as it was first recorded.
    fn record(&mut self, notice: &Notice, verdict: Verdict) {
        let known = self.records.get(&notice.key());
        let seen = known.and_then(|known| known.seen);
        let times = known.map_or(0, |known| known.times).saturating_add(1);
        let record = match known.filter(|known| known.verdict.is_accepted()) {
            Some(known) => Record { times, ..known.clone() },
            None => Record {
                seen,
                times,
                pay_id: notice.said.pay_id,
                body_hash: notice.body_hash.clone(),
                body: notice.body.clone(),
                headers: notice.headers.clone(),
                verdict,
            },
        };
        self.records.insert(notice.key(), record);
    }
}
