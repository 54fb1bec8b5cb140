//! Alipay: the buyer scans a code that `alipay.trade.precreate` gives. Keys and rules: `docs/channels.md`.
//!
//! Every request may be repeated under its numbers, so whatever is not a signed answer is *not known* and asked again.

mod form;
mod gateway;
mod notice;

use std::borrow::Cow;

use async_trait::async_trait;
use serde_json::json;
use shop_common::{
    code::ShopCode,
    error::Result,
    id::PayId,
    money::Fen,
    time::{Clock, Millis},
};

use self::{
    gateway::{Fields, Gateway, Refusal, Reply},
    notice::Merchant,
};
use super::{
    Closing, Found, FoundRefund, Genuine, Headers, Paid, PaymentChannel, Registered, Return, Trade, beijing,
    http::{Caller, check_notify_url},
    keys::{self, SigningKey, VerifyingKey},
    our_number,
};
use crate::{
    config::{AlipayConfig, BadConfig},
    payment::refund::Answer,
};

/// The channel's name.
pub const NAME: &str = "alipay";
/// What Alipay wants to read, and nothing else.
const SUCCESS: &[u8] = b"success";
/// Longest number of an application or a seller.
const NUMBER_MAX: usize = 32;
/// Longest subject, in characters.
const SUBJECT_MAX: usize = 128;

/// No trade of this number, or no buyer has opened its code yet.
const TRADE_NOT_EXIST: &str = "ACQ.TRADE_NOT_EXIST";

/// Refusals that stay refusals: asked again under the same number they are given again. Whatever is not among them
/// (the seller's balance does not suffice, a system error) may yet end well.
const FINAL: [&str; 8] = [
    TRADE_NOT_EXIST,
    "ACQ.DISCORDANT_REPEAT_REQUEST",
    "ACQ.REASON_TRADE_REFUND_FEE_ERR",
    "ACQ.REASON_TRADE_STATUS_INVALID",
    "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL",
    "ACQ.TRADE_HAS_FINISHED",
    "ACQ.TRADE_NOT_ALLOW_REFUND",
    "ACQ.TRADE_STATUS_ERROR",
];

/// The channel.
pub struct Alipay {
    gateway: Gateway,
    merchant: Merchant,
    notify_url: String,
    subject: String,
}

impl Alipay {
    /// A channel that tells the time by `clock`.
    ///
    /// # Errors
    /// [`BadConfig`].
    pub fn new(config: &AlipayConfig, clock: Clock) -> Result<Self, BadConfig> {
        let caller = Caller::new(&config.gateway).map_err(bad("gateway"))?;
        let ours = read_key("private_key", config.private_key.reveal(), &config.private_key_file)?;
        let ours = SigningKey::read(&ours.ok_or_else(|| bad("private_key")("there is none"))?);
        let ours = ours.map_err(bad("private_key"))?;
        let theirs = [
            ("public_key", &config.public_key, &config.public_key_file),
            ("next_public_key", &config.next_public_key, &config.next_public_key_file),
        ];
        let mut keys = Vec::new();
        for (name, text, file) in theirs {
            let Some(text) = read_key(name, text, file)? else { continue };
            keys.push(VerifyingKey::of_other(&text, &ours, "Alipay's").map_err(bad(name))?);
        }
        if keys.is_empty() {
            return Err(bad("public_key")("there is none"));
        }
        let merchant = Merchant { app_id: config.app_id.clone(), seller_id: config.seller_id.clone() };
        check(config)?;
        let app_id = config.app_id.clone();
        let gateway = Gateway { caller, clock, app_id, ours, theirs: keys };
        Ok(Self { gateway, merchant, notify_url: config.notify_url.clone(), subject: config.subject.clone() })
    }

    async fn find(&self, pay_id: PayId) -> Result<Standing> {
        let content = json!({ "out_trade_no": pay_id.to_string() });
        match self.gateway.call("alipay.trade.query", &content, "").await? {
            Reply::Done(fields) => standing(&fields, pay_id),
            Reply::Refused(refusal) if refusal.code == TRADE_NOT_EXIST => Ok(Standing::NotThere),
            Reply::Refused(refusal) => Err(not_known("alipay.trade.query", &refusal)),
        }
    }
}

/// Where a trade stands.
enum Standing {
    NotThere,
    Waiting,
    Closed,
    Paid(Paid),
}

#[async_trait]
impl PaymentChannel for Alipay {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Its signature is a parameter of the form.
    fn signature_headers(&self) -> &'static [&'static str] {
        &[]
    }

    fn verify(&self, _headers: &Headers, body: &[u8], now: Millis) -> Result<Genuine> {
        notice::read(body, &self.gateway.theirs, &self.merchant, now)
    }

    fn lasting<'a>(&self, _headers: &Headers, body: &'a [u8]) -> Cow<'a, [u8]> {
        notice::lasting(body).map_or(Cow::Borrowed(body), |text| Cow::Owned(text.into_bytes()))
    }

    async fn register(&self, trade: Trade) -> Result<Registered> {
        let content = json!({
            "out_trade_no": trade.pay_id.to_string(),
            "total_amount": trade.amount,
            "subject": self.subject,
            "seller_id": self.merchant.seller_id,
        });
        match self.gateway.call("alipay.trade.precreate", &content, &self.notify_url).await? {
            Reply::Done(fields) => {
                is_about(&fields, trade.pay_id)?;
                let code = fields.get("qr_code").ok_or_else(|| unusable("alipay.trade.precreate", "qr_code"))?;
                Ok(Registered::At(code.to_owned()))
            }
            Reply::Refused(refusal) => match refusal.code.as_str() {
                "ACQ.TRADE_HAS_SUCCESS" | "ACQ.TRADE_HAS_CLOSE" => Ok(Registered::Over),
                _ => Err(not_known("alipay.trade.precreate", &refusal)),
            },
        }
    }

    async fn query(&self, pay_id: PayId) -> Result<Found> {
        match self.find(pay_id).await? {
            Standing::Paid(paid) => Ok(Found::Paid(paid)),
            Standing::NotThere | Standing::Waiting | Standing::Closed => Ok(Found::NotPaid),
        }
    }

    /// A trade whose code no buyer has opened is none that Alipay could close; who opens it later pays for an order that
    /// does not want it, and the money goes back.
    async fn close(&self, trade: Trade) -> Result<Closing> {
        let content = json!({ "out_trade_no": trade.pay_id.to_string() });
        let refusal = match self.gateway.call("alipay.trade.close", &content, "").await? {
            Reply::Done(fields) => {
                is_about(&fields, trade.pay_id)?;
                return Ok(Closing::Closed);
            }
            Reply::Refused(refusal) if refusal.code == TRADE_NOT_EXIST => return Ok(Closing::Closed),
            Reply::Refused(refusal) => refusal,
        };
        // Paid or closed before: the trade itself says which.
        match self.find(trade.pay_id).await? {
            Standing::Paid(paid) => Ok(Closing::Paid(paid)),
            Standing::Closed => Ok(Closing::Closed),
            Standing::NotThere | Standing::Waiting => Err(not_known("alipay.trade.close", &refusal)),
        }
    }

    /// Only `fund_change` Y says that money moved by this very request; N is a repeat, or not decided yet.
    async fn refund(&self, wanted: Return) -> Result<Answer> {
        let content = json!({
            "out_trade_no": wanted.pay_id.to_string(),
            "out_request_no": wanted.refund_id.to_string(),
            "refund_amount": wanted.amount,
        });
        match self.gateway.call("alipay.trade.refund", &content, "").await? {
            Reply::Done(fields) if fields.get("fund_change") == Some("Y") => {
                is_about(&fields, wanted.pay_id)?;
                Ok(Answer::Done)
            }
            Reply::Done(_) => match self.query_refund(wanted).await? {
                FoundRefund::Answered(answer) => Ok(answer),
                FoundRefund::Working | FoundRefund::Unheard => Err(ShopCode::Unknown.into()),
            },
            Reply::Refused(refusal) if FINAL.contains(&refusal.code.as_str()) => {
                Ok(Answer::Refused(refusal.to_string()))
            }
            Reply::Refused(refusal) => Err(not_known("alipay.trade.refund", &refusal)),
        }
    }

    async fn query_refund(&self, wanted: Return) -> Result<FoundRefund> {
        let (pay_id, refund_id) = (wanted.pay_id.to_string(), wanted.refund_id.to_string());
        let content = json!({ "out_trade_no": pay_id, "out_request_no": refund_id });
        let fields = match self.gateway.call("alipay.trade.fastpay.refund.query", &content, "").await? {
            Reply::Done(fields) => fields,
            Reply::Refused(refusal) if refusal.code == TRADE_NOT_EXIST => return Ok(FoundRefund::Unheard),
            Reply::Refused(refusal) => return Err(not_known("alipay.trade.fastpay.refund.query", &refusal)),
        };
        // Without this word the request was never received or failed: it may be asked for again.
        if fields.get("refund_status") != Some("REFUND_SUCCESS") {
            return Ok(FoundRefund::Unheard);
        }
        is_about(&fields, wanted.pay_id)?;
        if fields.get("out_request_no") != Some(refund_id.as_str()) {
            return Err(unusable("alipay.trade.fastpay.refund.query", "out_request_no"));
        }
        if amount(&fields, "refund_amount") != Some(wanted.amount) {
            return Ok(FoundRefund::Answered(Answer::Refused("the refund is about another amount".to_owned())));
        }
        Ok(FoundRefund::Answered(Answer::Done))
    }

    fn ack_success(&self) -> &'static [u8] {
        SUCCESS
    }
}

fn standing(fields: &Fields, pay_id: PayId) -> Result<Standing> {
    const METHOD: &str = "alipay.trade.query";
    is_about(fields, pay_id)?;
    match fields.get("trade_status") {
        Some("WAIT_BUYER_PAY") => return Ok(Standing::Waiting),
        Some("TRADE_CLOSED") => return Ok(Standing::Closed),
        Some("TRADE_SUCCESS" | "TRADE_FINISHED") => {}
        _ => return Err(unusable(METHOD, "trade_status")),
    }
    Ok(Standing::Paid(Paid {
        channel_trade_no: fields.get("trade_no").ok_or_else(|| unusable(METHOD, "trade_no"))?.to_owned(),
        amount: amount(fields, "total_amount").ok_or_else(|| unusable(METHOD, "total_amount"))?,
        at: fields.get("send_pay_date").and_then(beijing::read).ok_or_else(|| unusable(METHOD, "send_pay_date"))?,
    }))
}

/// A signed answer about another trade may be genuine and is none to this question.
fn is_about(fields: &Fields, pay_id: PayId) -> Result<()> {
    match fields.get("out_trade_no").and_then(our_number) {
        Some(named) if named == pay_id.get() => Ok(()),
        _ => Err(unusable("an answer", "out_trade_no")),
    }
}

fn amount(fields: &Fields, name: &str) -> Option<Fen> {
    Fen::parse_lenient(fields.get(name)?).ok()
}

fn unusable(method: &str, field: &'static str) -> shop_common::error::ShopError {
    tracing::error!(method, field, "a signed answer of alipay does not fit what was asked; not known");
    ShopCode::Unknown.into()
}

fn not_known(method: &str, refusal: &Refusal) -> shop_common::error::ShopError {
    tracing::warn!(method, %refusal, "alipay refused for now; asking again later");
    ShopCode::Unknown.into()
}

fn bad<T: Into<String>>(key: &'static str) -> impl Fn(T) -> BadConfig {
    move |why| BadConfig::Channel { channel: NAME, key, why: why.into() }
}

fn read_key(name: &'static str, text: &str, file: &str) -> Result<Option<String>, BadConfig> {
    keys::text(text, file).map_err(bad(name))
}

fn check(config: &AlipayConfig) -> Result<(), BadConfig> {
    for (key, number) in [("app_id", &config.app_id), ("seller_id", &config.seller_id)] {
        let plain = number.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !matches!(number.len(), 1..=NUMBER_MAX) || !plain {
            return Err(bad(key)(format!("1 to {NUMBER_MAX} letters or digits")));
        }
    }
    check_notify_url(&config.notify_url).map_err(bad("notify_url"))?;
    // Alipay repeats nothing whose subject differs, and `&` and `=` have a meaning in what it signs.
    let subject = &config.subject;
    if !matches!(subject.chars().count(), 1..=SUBJECT_MAX) || subject.contains(['&', '=', '/', '\n']) {
        return Err(bad("subject")(format!("1 to {SUBJECT_MAX} characters without '&', '=' and '/'")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_answer_about_another_trade_is_not_known() {
        let of = |number: &str| {
            let said = json!({
                "out_trade_no": number, "trade_no": "T1", "trade_status": "TRADE_SUCCESS", "total_amount": "880.00",
                "send_pay_date": "2026-11-24 12:00:00",
            });
            match standing(&said.into(), PayId::new(7)) {
                Ok(Standing::Paid(paid)) => Ok(paid.amount),
                Ok(_) => panic!("it is paid"),
                Err(error) => Err(error.code),
            }
        };
        assert_eq!(of("7"), Ok(Fen::new(88_000)));
        for other in ["8", "07", "", "x"] {
            assert_eq!(of(other), Err(ShopCode::Unknown), "{other}");
        }
    }
}
