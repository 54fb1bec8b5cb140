//! WeChat Pay, API v3, for one merchant: native payments, refunds, the trade bill.
//!
//! What is simulated and what is not stands in `docs/channels.md`.

mod api;
mod bill;
mod wire;

pub use wire::api_v3_key;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use axum::Router;
use serde_json::{Value, json};
use shop_common::time::Millis;

use crate::{
    Outgoing, Provider, Sim,
    books::{Booked, Due, Refund, State, Trade},
    keys::{BadKey, Signer, Verifier},
    time,
};

/// The merchant and both sides' keys.
pub struct Keys {
    /// The merchant's application.
    pub appid: String,
    /// The merchant.
    pub mchid: String,
    /// What notifications are sealed under: 32 bytes.
    pub api_v3_key: String,
    /// Serial of the merchant's certificate.
    pub merchant_serial: String,
    /// The merchant's public key, PEM.
    pub merchant_key: String,
    /// The provider's private keys as PEM, by serial; the first signs until another is told to.
    pub platform: Vec<(String, String)>,
}

/// How a refund ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The money is with the buyer.
    Success,
    /// It never will be.
    Closed,
    /// The buyer's card cannot take it.
    Abnormal,
}

/// WeChat Pay.
pub struct Wechat {
    appid: String,
    mchid: String,
    sealing: LessSafeKey,
    merchant_serial: String,
    merchant: Verifier,
    platform: Vec<(String, Signer)>,
    signing: AtomicUsize,
    probes: AtomicUsize,
    refunds: Mutex<Refunds>,
}

/// How refunds ended, by the merchant's number, and how the next ones will.
#[derive(Default)]
struct Refunds {
    ended: BTreeMap<String, Ending>,
    next: Vec<Ending>,
}

impl Wechat {
    /// The provider of one merchant.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn new(keys: Keys) -> Result<Self, BadKey> {
        let Keys { appid, mchid, api_v3_key, merchant_serial, merchant_key, platform } = keys;
        let sealing = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, api_v3_key.as_bytes())?);
        let merchant = Verifier::read(&merchant_key)?;
        let signer = |(serial, pem): (String, String)| Ok((serial, Signer::read(&pem)?));
        let platform = platform.into_iter().map(signer).collect::<Result<Vec<_>, BadKey>>()?;
        let (signing, probes, refunds) = Default::default();
        Ok(Self { appid, mchid, sealing, merchant_serial, merchant, platform, signing, probes, refunds })
    }

    /// From now on notifications are signed by the key of `serial`, and answers to whoever names none.
    pub fn sign_with(&self, serial: &str) {
        if let Some(place) = self.platform.iter().position(|(known, _)| known == serial) {
            self.signing.store(place, Ordering::SeqCst);
        }
    }

    /// The next `count` answers and notifications carry a wrong signature, as WeChat Pay does to see whether anybody
    /// looks at it.
    pub fn probe(&self, count: usize) {
        self.probes.fetch_add(count, Ordering::SeqCst);
    }

    /// The next refund ends like this; more of them queue up.
    pub fn next_refund_ends(&self, ending: Ending) {
        self.refunds().next.push(ending);
    }

    /// Whether this signature shall be a probe.
    fn is_probe(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.probes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok()
    }

    /// A refund is worked on until its notification goes out for the first time: then it ends.
    fn end(&self, out_refund_no: &str) -> Ending {
        let mut refunds = self.refunds();
        if let Some(ending) = refunds.ended.get(out_refund_no) {
            return *ending;
        }
        let ending = if refunds.next.is_empty() { Ending::Success } else { refunds.next.remove(0) };
        refunds.ended.insert(out_refund_no.to_owned(), ending);
        ending
    }

    fn ended(&self, out_refund_no: &str) -> Option<Ending> {
        self.refunds().ended.get(out_refund_no).copied()
    }

    fn refunds(&self) -> MutexGuard<'_, Refunds> {
        self.refunds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A trade as it is told: in a notification and in the answer to a query.
    fn transaction(&self, trade: &Trade) -> Value {
        let state = match trade.state {
            State::Announced | State::Waiting => "NOTPAY",
            State::Paid if trade.refunded.get() > 0 => "REFUND",
            State::Paid => "SUCCESS",
            State::Closed => "CLOSED",
        };
        let fen = trade.amount.get();
        let mut told = json!({
            "appid": self.appid,
            "mchid": self.mchid,
            "out_trade_no": trade.out_trade_no,
            "trade_type": "NATIVE",
            "trade_state": state,
            "trade_state_desc": state,
            "bank_type": "OTHERS",
            "attach": "",
            "payer": { "openid": "" },
            "amount": { "total": fen, "payer_total": fen, "currency": "CNY", "payer_currency": "CNY" },
        });
        if let (Some(paid), Some(fields)) = (trade.paid, told.as_object_mut()) {
            fields.insert("transaction_id".to_owned(), trade.trade_no.clone().into());
            fields.insert("success_time".to_owned(), time::rfc3339(paid).into());
        }
        told
    }

    /// A refund as it is told; its state stands under `state_key`, which is another in answers and in notifications.
    fn refund(&self, trade: &Trade, refund: &Refund, state_key: &str) -> Value {
        let state = match self.ended(&refund.out_refund_no) {
            None => "PROCESSING",
            Some(ending) => ending.name(),
        };
        let (total, back) = (trade.amount.get(), refund.amount.get());
        let mut told = json!({
            "mchid": self.mchid,
            "refund_id": format!("50{}", refund.out_refund_no),
            "out_refund_no": refund.out_refund_no,
            "transaction_id": trade.trade_no,
            "out_trade_no": trade.out_trade_no,
            "channel": "ORIGINAL",
            "user_received_account": "",
            "create_time": time::rfc3339(refund.at),
            "success_time": time::rfc3339(refund.at),
            "amount": { "total": total, "refund": back, "payer_total": total, "payer_refund": back, "currency": "CNY" },
        });
        if let Some(fields) = told.as_object_mut() {
            fields.insert(state_key.to_owned(), state.into());
        }
        told
    }
}

impl Ending {
    /// As the provider writes it.
    const fn name(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Closed => "CLOSED",
            Self::Abnormal => "ABNORMAL",
        }
    }
}

impl Provider for Wechat {
    const NAME: &'static str = "WeChat Pay";
    const BILL: &'static str = "text/csv; charset=utf-8";

    /// 15s/15s/30s/3m/10m/20m/30m/30m/30m/60m/3h/3h/3h/6h/6h, 24 h 4 m in all.
    const GAPS: &'static [Duration] = &[
        Duration::from_secs(15),
        Duration::from_secs(15),
        Duration::from_secs(30),
        Duration::from_mins(3),
        Duration::from_mins(10),
        Duration::from_mins(20),
        Duration::from_mins(30),
        Duration::from_mins(30),
        Duration::from_mins(30),
        Duration::from_mins(60),
        Duration::from_hours(3),
        Duration::from_hours(3),
        Duration::from_hours(3),
        Duration::from_hours(6),
        Duration::from_hours(6),
    ];

    fn routes(sim: Arc<Sim<Self>>) -> Router {
        api::routes(sim)
    }

    fn notification(&self, due: &Due, now: Millis) -> Option<Outgoing> {
        let (event_type, kind, text) = match &due.refund {
            None => ("TRANSACTION.SUCCESS".to_owned(), "transaction", self.transaction(&due.trade)),
            Some(refund) => {
                let event_type = format!("REFUND.{}", self.end(&refund.out_refund_no).name());
                (event_type, "refund", self.refund(&due.trade, refund, "refund_status"))
            }
        };
        let happened = due.refund.as_ref().map_or(due.trade.paid, |refund| Some(refund.at));
        let body = json!({
            "id": due.id,
            "create_time": time::rfc3339(happened.unwrap_or(now)),
            "event_type": event_type,
            "resource_type": "encrypt-resource",
            "resource": self.sealed(kind, text.to_string().into_bytes())?,
            "summary": kind,
        });
        let body = body.to_string().into_bytes();
        let mut headers = self.signed(self.signing.load(Ordering::SeqCst), &body, now)?;
        headers.push(("content-type", "application/json".to_owned()));
        Some(Outgoing { headers, body })
    }

    /// Any 2xx; what stands in it is not looked at.
    fn is_acknowledged(&self, status: u16, _body: &[u8]) -> bool {
        matches!(status, 200 | 204)
    }

    fn bill(&self, booked: &[Booked]) -> Vec<u8> {
        bill::write(self, booked)
    }
}

#[cfg(test)]
mod tests;
