//! What we ask WeChat Pay, and how its answers are read.
//!
//! Only what the provider says definitely is an answer. Everything else is an error, which means *not known*: it is asked
//! again under the same numbers. Rules: pay.weixin.qq.com, docs/merchant/apis/native-payment and
//! docs/merchant/apis/refund/refunds.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use shop_common::{
    code::ShopCode,
    error::{Result, ShopError},
    id::{PayId, RefundId},
    money::Fen,
};

use super::body::{Account, CURRENCY, Refund, RefundStatus, Transaction};
use crate::{
    channel::{Found, FoundRefund, Paid, Registered, Return, Trade},
    payment::refund::Answer,
};

/// Longest reason of a refusal that we keep; its column is wider.
const WHY_MAX: usize = 128;

/// A request: method, path with query, and body, as they are signed and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) body: String,
}

/// An answer whose signature was right.
pub(super) struct Reply<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
}

/// What became of a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// Nobody can pay it any more.
    Yes,
    /// No: it may be paid, or being paid. Where it stands must be asked.
    No,
}

/// An error as the provider writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    code: String,
    message: String,
}

#[derive(Deserialize)]
struct CodeUrl {
    code_url: String,
}

impl Ask {
    fn get(target: String) -> Self {
        Self { method: Method::GET, target, body: String::new() }
    }

    fn post(target: String, body: &Value) -> Self {
        Self { method: Method::POST, target, body: body.to_string() }
    }
}

impl Account {
    /// A trade that the buyer pays by scanning a code.
    pub(super) fn native(&self, trade: Trade, description: &str, notify_url: &str) -> Ask {
        let Self { appid, mchid } = self;
        let body = json!({
            "appid": appid,
            "mchid": mchid,
            "description": description,
            "out_trade_no": trade.pay_id.to_string(),
            "notify_url": notify_url,
            "amount": { "total": trade.amount.get(), "currency": CURRENCY },
        });
        Ask::post("/v3/pay/transactions/native".to_owned(), &body)
    }

    /// Where a trade stands.
    pub(super) fn query(&self, pay_id: PayId) -> Ask {
        Ask::get(format!("/v3/pay/transactions/out-trade-no/{pay_id}?mchid={}", self.mchid))
    }

    /// That nobody may pay a trade any more.
    pub(super) fn close(&self, pay_id: PayId) -> Ask {
        let target = format!("/v3/pay/transactions/out-trade-no/{pay_id}/close");
        Ask::post(target, &json!({ "mchid": self.mchid }))
    }
}

/// Money back of a trade over `total`.
pub(super) fn refund(wanted: Return, total: Fen, notify_url: &str) -> Ask {
    let body = json!({
        "out_trade_no": wanted.pay_id.to_string(),
        "out_refund_no": wanted.refund_id.to_string(),
        "notify_url": notify_url,
        "amount": { "refund": wanted.amount.get(), "total": total.get(), "currency": CURRENCY },
    });
    Ask::post("/v3/refund/domestic/refunds".to_owned(), &body)
}

/// Where a refund stands.
pub(super) fn query_refund(refund_id: RefundId) -> Ask {
    Ask::get(format!("/v3/refund/domestic/refunds/{refund_id}"))
}

impl Reply<'_> {
    /// What the buyer scans, unless the trade is paid or closed.
    pub(super) fn registered(&self) -> Result<Registered> {
        match (self.status, self.refusal().code.as_str()) {
            (200, _) => Ok(Registered::At(self.parse::<CodeUrl>("native")?.code_url)),
            (400 | 403, "ORDERPAID" | "ORDER_PAID" | "ORDER_CLOSED" | "OUT_TRADE_NO_USED") => Ok(Registered::Over),
            _ => Err(self.not_known("native")),
        }
    }

    /// Where the trade of `pay_id` stands.
    pub(super) fn found(&self, pay_id: PayId, us: &Account) -> Result<Found> {
        match (self.status, self.refusal().code.as_str()) {
            (200, _) => {}
            (404, "ORDER_NOT_EXIST") => return Ok(Found::NotPaid),
            _ => return Err(self.not_known("query")),
        }
        let said: Transaction = self.parse("query")?;
        if said.pay_id()? != pay_id {
            return Err(self.not_known("query"));
        }
        if !said.is_paid() {
            return Ok(Found::NotPaid);
        }
        if let Some(why) = said.refused(us) {
            return Err(why);
        }
        let at = said.paid_at()?.ok_or(ShopError::at(ShopCode::NotifyInvalid, "success_time"))?;
        Ok(Found::Paid(Paid { channel_trade_no: said.transaction_id()?, amount: said.amount()?, at }))
    }

    /// What became of a close. A trade the provider has never heard of cannot be paid either.
    pub(super) fn closed(&self) -> Result<Closed> {
        match (self.status, self.refusal().code.as_str()) {
            (200 | 204, _) | (400, "ORDER_CLOSED") | (404, "ORDER_NOT_EXIST") => Ok(Closed::Yes),
            (202 | 400 | 403, _) => Ok(Closed::No),
            _ => Err(self.not_known("close")),
        }
    }

    /// What became of a refund that was asked for.
    ///
    /// That it breaks a rule of business, or that the buyer's account is gone, is definite. A lack of money is not: it
    /// can be paid in. Nor is a trade that cannot be found: we ask only for trades that were paid.
    pub(super) fn refunded(&self, wanted: Return) -> Result<FoundRefund> {
        if self.status == 200 {
            return self.refund_of(wanted);
        }
        let Refusal { code, message } = self.refusal();
        match (self.status, code.as_str()) {
            (400, "INVALID_REQUEST") | (403, "USER_ACCOUNT_ABNORMAL") => {
                let why: String = format!("{code}: {message}").chars().take(WHY_MAX).collect();
                Ok(FoundRefund::Answered(Answer::Refused(why)))
            }
            _ => Err(self.not_known("refund")),
        }
    }

    /// Where a refund stands.
    pub(super) fn found_refund(&self, wanted: Return) -> Result<FoundRefund> {
        match (self.status, self.refusal().code.as_str()) {
            (200, _) => self.refund_of(wanted),
            (404, "RESOURCE_NOT_EXISTS") => Ok(FoundRefund::Unheard),
            _ => Err(self.not_known("query refund")),
        }
    }

    /// The refund in the body. Its number was used for something else only if the numbers of two shops got mixed up: for
    /// an operator.
    fn refund_of(&self, wanted: Return) -> Result<FoundRefund> {
        let said: Refund = self.parse("refund")?;
        if said.refund_id()? != wanted.refund_id {
            return Err(self.not_known("refund"));
        }
        if said.pay_id()? != wanted.pay_id || said.amount()? != wanted.amount {
            return Ok(FoundRefund::Answered(Answer::Refused("the refund is about something else".to_owned())));
        }
        if said.status() == RefundStatus::Abnormal {
            let Return { refund_id, pay_id, .. } = wanted;
            tracing::error!(refund.id = %refund_id, pay.id = %pay_id, "refund {refund_id} stands still: settle it at the provider");
        }
        Ok(said.status().answer().map_or(FoundRefund::Working, FoundRefund::Answered))
    }

    fn parse<'de, T: Deserialize<'de>>(&'de self, what: &'static str) -> Result<T> {
        serde_json::from_slice(self.body).map_err(|_| self.not_known(what))
    }

    fn refusal(&self) -> Refusal {
        serde_json::from_slice(self.body).unwrap_or_default()
    }

    /// An answer that settles nothing.
    fn not_known(&self, what: &'static str) -> ShopError {
        let (status, Refusal { code, message }) = (self.status, self.refusal());
        tracing::warn!(what, status, code, message, "wechat pay gave no definite answer");
        match status {
            429 => ShopCode::Busy.into(),
            400..=499 => ShopCode::Internal.into(),
            _ => ShopCode::Unknown.into(),
        }
    }
}

#[cfg(test)]
mod tests;
