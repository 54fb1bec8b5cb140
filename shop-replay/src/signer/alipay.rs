//! Alipay as its simulator writes it: a form whose signature is one of its parameters.
//!
//! The keys are both sides' of one merchant; only the provider's side can sign.

use std::time::Duration;

use shop_common::{id::canonical_integer, money::Fen, time::Millis};
use shop_sim::{
    Outgoing, Provider as _,
    alipay::{
        Alipay,
        form::{self, Form},
    },
    keys::{BadKey, Pair, Signer as RsaKey},
    time::written,
};

use super::{Change, Said, Signed, Signer, Trade, Unsignable};
use crate::notification::Key;

/// Its name.
const NAME: &str = "alipay";
/// How old a notification may be: the last one comes a day after the first, and its time need not move with it.
const OLDEST: Duration = Duration::from_hours(26);

/// Speaks like Alipay.
pub struct AlipaySigner {
    provider: Alipay,
    /// A key that the merchant does not believe. Alipay names no key, so a wrong one and a revoked one are the same.
    stranger: RsaKey,
}

impl AlipaySigner {
    /// Signs like `provider`.
    ///
    /// # Errors
    /// [`BadKey`]: no wrong key can be made.
    pub fn new(provider: Alipay) -> Result<Self, BadKey> {
        Ok(Self { provider, stranger: RsaKey::read(&Pair::generate()?.private)? })
    }
}

impl Signer for AlipaySigner {
    fn channel(&self) -> &'static str {
        NAME
    }

    fn gaps(&self) -> &'static [Duration] {
        Alipay::GAPS
    }

    fn ack(&self) -> &'static [u8] {
        b"success"
    }

    fn oldest(&self) -> Duration {
        OLDEST
    }

    fn notification(&self, trade: &Trade) -> Result<Vec<u8>, Unsignable> {
        super::written(&self.provider, trade, "2088")
    }

    /// What is no form has no place for a signature and stays as it is.
    fn sign(&self, body: &[u8], key: Key, at: Millis) -> Result<Signed, Unsignable> {
        let Some(mut form) = read(body) else { return Ok(Signed { headers: [].into(), body: body.to_vec() }) };
        form.insert("notify_time".to_owned(), written(at));
        let stranger = (key != Key::Ours).then_some(&self.stranger);
        let Outgoing { headers, body } = self.provider.signed(form, stranger).map_err(|_| Unsignable)?;
        Ok(Signed { headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(), body })
    }

    fn read(&self, body: &[u8]) -> Option<Said> {
        let form = read(body)?;
        let pay_id = canonical_integer(form.get("out_trade_no")?)?;
        let amount = Fen::parse_lenient(form.get("total_amount")?).ok()?;
        let is_paid = matches!(form.get("trade_status")?.as_str(), "TRADE_SUCCESS" | "TRADE_FINISHED");
        Some(Said { pay_id, amount, is_paid })
    }

    fn alter(&self, body: &[u8], change: Change) -> Option<Vec<u8>> {
        let mut form = read(body)?;
        let (name, value) = match change {
            Change::PayId(pay_id) => ("out_trade_no", pay_id.to_string()),
            Change::Amount(amount) => ("total_amount", amount.to_string()),
        };
        form.insert(name.to_owned(), value);
        Some(form::written(&form).into_bytes())
    }

    fn with_signature(&self, signed: Signed, change: &dyn Fn(&str) -> String) -> Option<Signed> {
        let mut form = read(&signed.body)?;
        let signature = form.get_mut("sign")?;
        *signature = change(signature);
        Some(Signed { body: form::written(&form).into_bytes(), ..signed })
    }

    /// What is signed is the decoded form: `%2b` is `%2B`.
    fn is_same(&self, one: &[u8], other: &[u8]) -> bool {
        one == other || read(one).is_some_and(|form| Some(form) == read(other))
    }
}

/// A body as a form; none for what no form of Alipay's can be.
fn read(body: &[u8]) -> Option<Form> {
    let form = form::read(str::from_utf8(body).ok()?);
    let is_name = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (!form.is_empty() && form.keys().all(is_name)).then_some(form)
}
