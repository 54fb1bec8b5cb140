//! What WeChat Pay writes about trades and refunds: in the sealed part of a notification, and in its answers.
//!
//! Fields it may add one day are not looked at; a field that stands there twice, or an amount that is no integer of fen,
//! is refused. Rules: pay.weixin.qq.com, docs/merchant/apis/native-payment, *payment notice* and *query by order number*,
//! and docs/merchant/apis/refund/refunds.

use serde::Deserialize;
use serde_json::Value;
use shop_common::{
    code::ShopCode,
    error::{Result, ShopError},
    id::{PayId, RefundId},
    money::Fen,
    time::Millis,
};

use super::resource::{ALGORITHM, Apiv3Key};
use crate::{
    channel::{Genuine, Notification, RefundNotice, TradeStatus, our_number},
    payment::refund::Answer,
};

/// The only currency of a merchant within China.
pub(crate) const CURRENCY: &str = "CNY";

/// Whose trades we believe.
pub(super) struct Account {
    /// Our application.
    pub(super) appid: String,
    /// Our number as a merchant.
    pub(super) mchid: String,
}

/// A notification as it is sent.
#[derive(Deserialize)]
struct Envelope {
    id: String,
    event_type: String,
    resource: Resource,
}

/// The sealed part.
#[derive(Deserialize)]
struct Resource {
    algorithm: String,
    nonce: String,
    associated_data: Option<String>,
    ciphertext: String,
}

/// A trade.
#[derive(Deserialize)]
pub(super) struct Transaction {
    appid: String,
    mchid: String,
    out_trade_no: String,
    trade_state: TradeState,
    /// The provider's number of it.
    #[serde(rename = "transaction_id")]
    number: Option<String>,
    success_time: Option<String>,
    amount: Option<TradeAmount>,
}

#[derive(Deserialize)]
struct TradeAmount {
    /// Kept as it was written: only an integer of fen is an amount (B76).
    total: Option<Value>,
    currency: Option<String>,
}

/// Where a trade stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum TradeState {
    Success,
    /// Paid, and something of it went back.
    Refund,
    NotPay,
    Closed,
    Revoked,
    UserPaying,
    PayError,
}

/// A refund. A notification calls its state `refund_status`, an answer `status`.
#[derive(Deserialize)]
pub(super) struct Refund {
    mchid: Option<String>,
    out_trade_no: String,
    out_refund_no: String,
    #[serde(rename = "refund_status", alias = "status")]
    status: RefundStatus,
    amount: RefundAmount,
}

#[derive(Deserialize)]
struct RefundAmount {
    refund: Value,
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum RefundStatus {
    Success,
    Closed,
    Processing,
    /// The buyer's card cannot take the money: the merchant settles it by hand, and then it ends like any other.
    Abnormal,
}

/// Reads a notification whose signature was right; another merchant's or another currency's is marked as refused.
///
/// # Errors
/// `SHOP_NOTIFY_INVALID` at the field that cannot be read, `SHOP_AMOUNT_MISMATCH` for an amount that is no whole number of
/// fen.
pub(super) fn read(body: &[u8], key: &Apiv3Key, us: &Account) -> Result<Genuine> {
    let (Envelope { id, event_type, .. }, text) = opened(body, key)?;
    match event_type.as_str() {
        "TRANSACTION.SUCCESS" => transaction(id, &text, us),
        "REFUND.SUCCESS" => refund(id, &text, RefundStatus::Success, us),
        "REFUND.CLOSED" => refund(id, &text, RefundStatus::Closed, us),
        "REFUND.ABNORMAL" => refund(id, &text, RefundStatus::Abnormal, us),
        _ => Err(invalid("event_type")),
    }
}

/// What of a notification is the same each time it is sent, whatever nonce it is sealed under; none where it cannot be
/// read.
pub(super) fn lasting(body: &[u8], key: &Apiv3Key) -> Option<Vec<u8>> {
    let (Envelope { event_type, .. }, text) = opened(body, key).ok()?;
    Some([event_type.as_bytes(), b"\n", &text].concat())
}

fn opened(body: &[u8], key: &Apiv3Key) -> Result<(Envelope, Vec<u8>)> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(|_| invalid("body"))?;
    let Resource { algorithm, nonce, associated_data, ciphertext } = &envelope.resource;
    if algorithm != ALGORITHM {
        return Err(invalid("resource.algorithm"));
    }
    let associated_data = associated_data.as_deref().unwrap_or_default();
    let text = key.open(nonce, associated_data, ciphertext).ok_or(invalid("resource"))?;
    Ok((envelope, text))
}

fn transaction(notify_id: String, text: &[u8], us: &Account) -> Result<Genuine> {
    let said: Transaction = serde_json::from_slice(text).map_err(|_| invalid("resource"))?;
    let notification = Notification {
        notify_id,
        pay_id: said.pay_id()?,
        channel_trade_no: said.transaction_id()?,
        amount: said.amount()?,
        status: said.trade_state.status(),
        paid: said.paid_at()?,
    };
    Ok(Genuine { refused: said.refused(us), ..notification.into() })
}

fn refund(notify_id: String, text: &[u8], status: RefundStatus, us: &Account) -> Result<Genuine> {
    let said: Refund = serde_json::from_slice(text).map_err(|_| invalid("resource"))?;
    if said.status != status {
        return Err(invalid("refund_status"));
    }
    let other = (said.mchid.as_deref() != Some(us.mchid.as_str())).then(|| invalid("mchid"));
    let notice = RefundNotice {
        notify_id,
        refund_id: said.refund_id()?,
        pay_id: said.pay_id()?,
        amount: said.amount()?,
        answer: status.answer(),
    };
    Ok(Genuine { refused: other, ..notice.into() })
}

impl Transaction {
    /// Our payment.
    pub(super) fn pay_id(&self) -> Result<PayId> {
        our_number(&self.out_trade_no).map(PayId::new).ok_or(invalid("out_trade_no"))
    }

    /// The provider's number of it; there is one as soon as it is paid.
    pub(super) fn transaction_id(&self) -> Result<String> {
        self.number.clone().ok_or(invalid("transaction_id"))
    }

    /// What the buyer owes, coupons of the provider included.
    pub(super) fn amount(&self) -> Result<Fen> {
        fen(self.amount.as_ref().and_then(|amount| amount.total.as_ref()), "amount.total")
    }

    /// When it was paid.
    pub(super) fn paid_at(&self) -> Result<Option<Millis>> {
        let time = self.success_time.as_deref().filter(|text| !text.is_empty());
        time.map(|text| moment(text).ok_or(invalid("success_time"))).transpose()
    }

    /// Whether money of the buyer came in.
    pub(super) const fn is_paid(&self) -> bool {
        matches!(self.trade_state.status(), TradeStatus::Success)
    }

    /// Why it is not for us.
    pub(super) fn refused(&self, us: &Account) -> Option<ShopError> {
        let currency = self.amount.as_ref().and_then(|amount| amount.currency.as_deref());
        if self.mchid != us.mchid {
            Some(invalid("mchid"))
        } else if self.appid != us.appid {
            Some(invalid("appid"))
        } else {
            (currency != Some(CURRENCY)).then(|| ShopError::at(ShopCode::AmountMismatch, "amount.currency"))
        }
    }
}

impl TradeState {
    const fn status(self) -> TradeStatus {
        match self {
            Self::Success | Self::Refund => TradeStatus::Success,
            Self::Closed | Self::Revoked => TradeStatus::Closed,
            Self::NotPay | Self::UserPaying | Self::PayError => TradeStatus::Wait,
        }
    }
}

impl Refund {
    /// Our refund.
    pub(super) fn refund_id(&self) -> Result<RefundId> {
        our_number(&self.out_refund_no).map(RefundId::new).ok_or(invalid("out_refund_no"))
    }

    /// Of which payment.
    pub(super) fn pay_id(&self) -> Result<PayId> {
        our_number(&self.out_trade_no).map(PayId::new).ok_or(invalid("out_trade_no"))
    }

    /// How much goes back by it.
    pub(super) fn amount(&self) -> Result<Fen> {
        fen(Some(&self.amount.refund), "amount.refund")
    }

    pub(super) const fn status(&self) -> RefundStatus {
        self.status
    }
}

impl RefundStatus {
    /// How it ended; none while it may still end either way.
    pub(super) fn answer(self) -> Option<Answer> {
        match self {
            Self::Success => Some(Answer::Done),
            Self::Closed => Some(Answer::Refused("closed by WeChat Pay before the money went back".to_owned())),
            Self::Processing | Self::Abnormal => None,
        }
    }
}

fn invalid(field: &'static str) -> ShopError {
    ShopError::at(ShopCode::NotifyInvalid, field)
}

fn fen(amount: Option<&Value>, field: &'static str) -> Result<Fen> {
    amount.and_then(Value::as_i64).map(Fen::new).ok_or(ShopError::at(ShopCode::AmountMismatch, field))
}

/// A time of RFC 3339 with its zone.
fn moment(text: &str) -> Option<Millis> {
    let timestamp: jiff::Timestamp = text.parse().ok()?;
    Some(Millis::new(timestamp.as_millisecond()))
}

#[cfg(test)]
mod tests;
