//! What a genuine notification does to a payment or a refund. Traps 40, 41, 42, 46; faults F45 to F47, F50, F53, F55, F56.
//!
//! Money that arrived is never ignored: a closed payment is settled like an open one, without a look at its order. What
//! then becomes of the money is for the order to judge.

use sha2::{Digest, Sha256};
use shop_common::{code::ShopCode, error::ShopError, id::PayId, time::Millis};

use super::{FIRST_LOOK, Payment, Payments, Status, owed::Owed, refund::State};
use crate::channel::{Genuine, Notification, RefundNotice, Said, TradeStatus};

/// A genuine notification and what it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Who sent it.
    pub channel: String,
    /// What it says.
    pub said: Said,
    /// Why it is not for us.
    pub refused: Option<ShopError>,
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
    /// It says nothing about money that moved.
    Ignored,
    /// A refund is answered by it.
    RefundAnswered,
    /// No such payment at this channel.
    UnknownPayment,
    /// No such refund of this payment.
    UnknownRefund,
    /// Not the amount of the payment or of the refund, or another currency.
    AmountMismatch,
    /// Another merchant's.
    NotOurs,
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
    pub fn new(channel: &str, genuine: impl Into<Genuine>, body: Vec<u8>, headers: String) -> Self {
        let body_hash = hex::encode(Sha256::digest(&body));
        let Genuine { said, refused } = genuine.into();
        Self { channel: channel.to_owned(), said, refused, body, body_hash, headers }
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
        (self.channel.clone(), self.said.notify_id().to_owned())
    }

    /// The payment whose refunds it is about.
    pub(crate) const fn refunded(&self) -> Option<PayId> {
        match &self.said {
            Said::Payment(_) => None,
            Said::Refund(said) => Some(said.pay_id),
        }
    }
}

impl Verdict {
    /// Of one that is not for us.
    fn of_refusal(refusal: &ShopError) -> Self {
        if refusal.code == ShopCode::AmountMismatch { Self::AmountMismatch } else { Self::NotOurs }
    }

    /// Whether the notification was acknowledged, which binds its id to its body.
    pub const fn is_accepted(self) -> bool {
        !matches!(self, Self::UnknownPayment | Self::UnknownRefund | Self::AmountMismatch | Self::NotOurs)
    }
}

impl Payments {
    /// Settles the payment, or answers its refund, once however often and in whatever order its notifications come.
    ///
    /// A notification that was refused is judged anew when it comes again: its payment may have become visible since
    /// (F53), and a wrong one must not stand in the way of the right one (F46). One that is not for us is recorded and
    /// does nothing (F47).
    ///
    /// # Errors
    /// `SHOP_NOTIFY_REPLAY` for an acknowledged id with another body, `SHOP_NOTIFY_INVALID` for another merchant or a
    /// payment or refund that is not of this channel, `SHOP_AMOUNT_MISMATCH`.
    pub fn settle(&mut self, notice: &Notice, now: Millis) -> Settled {
        let known = self.records.get(&notice.key());
        if known.is_some_and(|known| known.verdict.is_accepted() && known.body_hash != notice.body_hash) {
            return Err(ShopError::at(ShopCode::NotifyReplay, "notify_id"));
        }
        let verdict = match (&notice.refused, &notice.said) {
            (Some(refusal), _) => Verdict::of_refusal(refusal),
            (None, Said::Payment(said)) => self.judge(&notice.channel, said),
            // Its refund may have been asked for again since: an answer counts once.
            (None, Said::Refund(_)) if known.is_some_and(|known| known.verdict == Verdict::RefundAnswered) => {
                Verdict::AlreadyApplied
            }
            (None, Said::Refund(said)) => self.judge_refund(&notice.channel, said),
        };
        match (verdict, &notice.said) {
            (Verdict::Applied, Said::Payment(said)) => self.pay(said, now),
            (Verdict::RefundAnswered, Said::Refund(RefundNotice { refund_id, answer: Some(answer), .. })) => {
                self.answer_refund(*refund_id, answer, now);
            }
            _ => {}
        }
        self.record(notice, verdict);
        let field = match (verdict, self.rows.get(&notice.said.pay_id())) {
            (verdict, Some(payment)) if verdict.is_accepted() => return Ok((verdict, payment.clone())),
            (Verdict::AmountMismatch, _) => "amount_fen",
            (Verdict::UnknownRefund, _) => "refund_id",
            _ => "pay_id",
        };
        let code = if verdict == Verdict::AmountMismatch { ShopCode::AmountMismatch } else { ShopCode::NotifyInvalid };
        Err(notice.refused.clone().unwrap_or_else(|| ShopError::at(code, field)))
    }

    fn judge(&self, channel: &str, said: &Notification) -> Verdict {
        let payment = self.rows.get(&said.pay_id).filter(|payment| payment.channel == channel);
        match payment {
            None => Verdict::UnknownPayment,
            Some(payment) if payment.amount != said.amount => Verdict::AmountMismatch,
            Some(_) if said.status != TradeStatus::Success => Verdict::Ignored,
            Some(payment) if payment.status != Status::Paid => Verdict::Applied,
            Some(payment) if payment.refunded.get() > 0 => Verdict::RefundStarted,
            Some(_) => Verdict::AlreadyApplied,
        }
    }

    /// A refund that was answered keeps its answer (F56).
    fn judge_refund(&self, channel: &str, said: &RefundNotice) -> Verdict {
        let is_here = self.rows.get(&said.pay_id).is_some_and(|payment| payment.channel == channel);
        let refund = self.refunds.get(&said.refund_id).filter(|refund| is_here && refund.pay_id == said.pay_id);
        match refund {
            None => Verdict::UnknownRefund,
            Some(refund) if refund.amount != said.amount => Verdict::AmountMismatch,
            Some(_) if said.answer.is_none() => Verdict::Ignored,
            Some(refund) if refund.state == State::Open => Verdict::RefundAnswered,
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
                pay_id: notice.said.pay_id(),
                body_hash: notice.body_hash.clone(),
                body: notice.body.clone(),
                headers: notice.headers.clone(),
                verdict,
            },
        };
        self.records.insert(notice.key(), record);
    }
}
