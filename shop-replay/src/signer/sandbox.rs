//! The sandbox channel by its contract: `x-shop-signature: t=<unix seconds>,kid=<key id>,v1=<hex HMAC-SHA256 of "t.body">`.
//!
//! Written from the contract and not from the shop's code, so that the two check each other.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use shop_common::{config::Secret, id::PayId, money::Fen, time::Millis};

use super::{Change, Said, Signed, Signer, Trade, Unsignable};
use crate::notification::Key;

/// Its name.
const NAME: &str = "sandbox";
/// Where the signature lies.
const HEADER: &str = "x-shop-signature";
/// A key that no shop has.
const WRONG_KEY: &str = "a key of thirty-two bytes and more that nobody has given to a shop";
/// The name of a key that is not in force any more.
const REVOKED_KID: &str = "revoked";
/// How old a signature may be.
const OLDEST: Duration = Duration::from_mins(5);
/// Alipay's schedule.
const GAPS: [Duration; 7] = [
    Duration::from_mins(4),
    Duration::from_mins(10),
    Duration::from_mins(10),
    Duration::from_hours(1),
    Duration::from_hours(2),
    Duration::from_hours(6),
    Duration::from_hours(15),
];

/// Speaks like the provider of the sandbox channel.
#[derive(Clone, Debug)]
pub struct SandboxSigner {
    merchant_id: String,
    kid: String,
    key: Secret,
}

/// The body, its fields in the contract's order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    notify_id: String,
    pay_id: PayId,
    channel_trade_no: String,
    merchant_id: String,
    amount_fen: i64,
    currency: String,
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paid_at_ms: Option<i64>,
}

impl SandboxSigner {
    /// Signs by `key`, which the shop knows as `kid`, for the merchant `merchant_id`.
    pub fn new(merchant_id: &str, kid: &str, key: Secret) -> Self {
        Self { merchant_id: merchant_id.to_owned(), kid: kid.to_owned(), key }
    }
}

impl Signer for SandboxSigner {
    fn channel(&self) -> &'static str {
        NAME
    }

    fn gaps(&self) -> &'static [Duration] {
        &GAPS
    }

    fn ack(&self) -> &'static [u8] {
        b"success"
    }

    fn oldest(&self) -> Duration {
        OLDEST
    }

    fn notification(&self, trade: &Trade) -> Result<Vec<u8>, Unsignable> {
        let body = Body {
            notify_id: format!("replay-{}", trade.pay_id),
            pay_id: PayId::new(trade.pay_id),
            channel_trade_no: format!("SB{}", trade.pay_id),
            merchant_id: self.merchant_id.clone(),
            amount_fen: trade.amount.get(),
            currency: "CNY".to_owned(),
            status: "SUCCESS".to_owned(),
            paid_at_ms: Some(trade.paid.get()),
        };
        serde_json::to_vec(&body).map_err(|_| Unsignable)
    }

    fn sign(&self, body: &[u8], key: Key, at: Millis) -> Result<Signed, Unsignable> {
        let (kid, key) = match key {
            Key::Ours => (self.kid.as_str(), self.key.reveal()),
            Key::Wrong => (self.kid.as_str(), WRONG_KEY),
            Key::Revoked => (REVOKED_KID, WRONG_KEY),
        };
        let seconds = at.get() / 1000;
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).map_err(|_| Unsignable)?;
        mac.update(format!("{seconds}.").as_bytes());
        mac.update(body);
        let v1 = hex::encode(mac.finalize().into_bytes());
        let headers = [(HEADER.to_owned(), format!("t={seconds},kid={kid},v1={v1}"))].into();
        Ok(Signed { headers, body: body.to_vec() })
    }

    fn read(&self, body: &[u8]) -> Option<Said> {
        let body: Body = serde_json::from_slice(body).ok()?;
        let amount = Fen::new(body.amount_fen);
        Some(Said { pay_id: body.pay_id.get(), amount, is_paid: body.status == "SUCCESS" })
    }

    fn alter(&self, body: &[u8], change: Change) -> Option<Vec<u8>> {
        let mut body: Body = serde_json::from_slice(body).ok()?;
        match change {
            Change::PayId(pay_id) => body.pay_id = PayId::new(pay_id),
            Change::Amount(amount) => body.amount_fen = amount.get(),
        }
        serde_json::to_vec(&body).ok()
    }

    fn with_signature(&self, mut signed: Signed, change: &dyn Fn(&str) -> String) -> Option<Signed> {
        let signature = signed.headers.get_mut(HEADER)?;
        *signature = change(signature);
        Some(signed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRADE: Trade = Trade { pay_id: 7, amount: Fen::new(88_000), paid: Millis::new(5) };

    fn signer() -> SandboxSigner {
        SandboxSigner::new("m", "k1", Secret::new("0123456789abcdef0123456789abcdef"))
    }

    #[test]
    fn the_known_answer_is_made() {
        // printf '1700000000.{"notify_id":"n1"}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        let known = "t=1700000000,kid=k1,v1=e86d807783a45fd5413921bbbd4c51556614032377df9941f53001630a6b1926";
        let signed = signer().sign(br#"{"notify_id":"n1"}"#, Key::Ours, Millis::new(1_700_000_000_999)).unwrap();
        assert_eq!(signed.headers.get(HEADER).map(String::as_str), Some(known));
    }

    #[test]
    fn what_is_written_is_read_and_altered() {
        let signer = signer();
        let body = signer.notification(&TRADE).unwrap();
        let said = |body: &[u8]| signer.read(body).unwrap();
        assert_eq!(said(&body), Said { pay_id: 7, amount: Fen::new(88_000), is_paid: true });
        let cheaper = signer.alter(&body, Change::Amount(Fen::new(1))).unwrap();
        assert_eq!(said(&cheaper), Said { amount: Fen::new(1), ..said(&body) });
        assert_eq!(signer.alter(&cheaper, Change::Amount(TRADE.amount)).unwrap(), body, "nothing else is changed");
        assert_eq!(said(&signer.alter(&body, Change::PayId(8)).unwrap()), Said { pay_id: 8, ..said(&body) });
        assert_eq!(signer.read(b"payId=1&isPaid=2"), None);
    }

    #[test]
    fn no_other_key_signs_alike() {
        let signed =
            [Key::Ours, Key::Wrong, Key::Revoked].map(|key| signer().sign(b"{}", key, Millis::new(0)).unwrap());
        assert_ne!(signed[0], signed[1]);
        assert!(signed[1].headers[HEADER].starts_with("t=0,kid=k1,"));
        assert!(signed[2].headers[HEADER].starts_with("t=0,kid=revoked,"));
    }
}
