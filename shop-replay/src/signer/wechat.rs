//! WeChat Pay as its simulator writes it: JSON with a sealed part, signed in headers by the key that one of them names.
//!
//! The keys are both sides' of one merchant; only the provider's side can sign.

use std::time::Duration;

use serde_json::Value;
use shop_common::{id::canonical_integer, money::Fen, time::Millis};
use shop_sim::{
    Provider as _,
    keys::{BadKey, Pair},
    wechat::{Keys, Wechat},
};

use super::{Change, Said, Signed, Signer, Trade, Unsignable};
use crate::notification::Key;

/// Its name.
const NAME: &str = "wechat";
/// How old a signature may be.
const OLDEST: Duration = Duration::from_mins(5);
/// Where the signature lies.
const SIGNATURE: &str = "wechatpay-signature";
/// The serial of a key that is not in force any more.
const REVOKED_SERIAL: &str = "0000000000000000000000000000000000000000";
/// What the sealed part of a payment's notification is called.
const KIND: &str = "transaction";

/// Speaks like WeChat Pay.
pub struct WechatSigner {
    /// With three keys: the one in force, another one under its serial, and one that is in force no more.
    provider: Wechat,
}

impl WechatSigner {
    /// Signs by the first of the platform's keys.
    ///
    /// # Errors
    /// [`BadKey`]: there is none, or no wrong one can be made.
    pub fn new(mut keys: Keys) -> Result<Self, BadKey> {
        keys.platform.truncate(1);
        let (serial, _) = keys.platform.first().cloned().ok_or(BadKey)?;
        keys.platform.push((serial, Pair::generate()?.private));
        keys.platform.push((REVOKED_SERIAL.to_owned(), Pair::generate()?.private));
        Ok(Self { provider: Wechat::new(keys)? })
    }

    /// The notification and its sealed part.
    fn opened(&self, body: &[u8]) -> Option<(Value, Value)> {
        let envelope: Value = serde_json::from_slice(body).ok()?;
        let text = self.provider.opened(envelope.get("resource")?)?;
        Some((envelope, serde_json::from_slice(&text).ok()?))
    }
}

impl Signer for WechatSigner {
    fn channel(&self) -> &'static str {
        NAME
    }

    fn gaps(&self) -> &'static [Duration] {
        Wechat::GAPS
    }

    fn ack(&self) -> &'static [u8] {
        br#"{"code":"SUCCESS","message":"OK"}"#
    }

    fn oldest(&self) -> Duration {
        OLDEST
    }

    fn notification(&self, trade: &Trade) -> Result<Vec<u8>, Unsignable> {
        super::written(&self.provider, trade, "4200")
    }

    fn sign(&self, body: &[u8], key: Key, at: Millis) -> Result<Signed, Unsignable> {
        let place = match key {
            Key::Ours => 0,
            Key::Wrong => 1,
            Key::Revoked => 2,
        };
        let signed = self.provider.signed(place, body, at).ok_or(Unsignable)?;
        let content_type = ("content-type", "application/json".to_owned());
        let headers = signed.into_iter().chain([content_type]).map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Signed { headers, body: body.to_vec() })
    }

    /// A notification of a refund says nothing about whether its payment is paid.
    fn read(&self, body: &[u8]) -> Option<Said> {
        let (_, text) = self.opened(body)?;
        let pay_id = canonical_integer(text.get("out_trade_no")?.as_str()?)?;
        let amount = Fen::new(text.pointer("/amount/total")?.as_i64()?);
        let is_paid = text.get("trade_state")?.as_str()? == "SUCCESS";
        Some(Said { pay_id, amount, is_paid })
    }

    fn alter(&self, body: &[u8], change: Change) -> Option<Vec<u8>> {
        let (mut envelope, mut text) = self.opened(body)?;
        match change {
            Change::PayId(pay_id) => *text.get_mut("out_trade_no")? = pay_id.to_string().into(),
            Change::Amount(amount) => *text.pointer_mut("/amount/total")? = amount.get().into(),
        }
        *envelope.get_mut("resource")? = self.provider.sealed(KIND, text.to_string().into_bytes())?;
        Some(envelope.to_string().into_bytes())
    }

    fn with_signature(&self, mut signed: Signed, change: &dyn Fn(&str) -> String) -> Option<Signed> {
        let signature = signed.headers.get_mut(SIGNATURE)?;
        *signature = change(signature);
        Some(signed)
    }

    fn can_open(&self, body: &[u8]) -> bool {
        let envelope: Option<Value> = serde_json::from_slice(body).ok();
        let sealed = envelope.as_ref().and_then(|envelope| envelope.get("resource"));
        sealed.is_none_or(|resource| resource.get("ciphertext").is_none() || self.provider.opened(resource).is_some())
    }
}
