//! WeChat Pay's signatures of API v3: RSA with SHA-256 (PKCS#1 v1.5) in base64, over lines that each end in `\n`.
//!
//! A notification and an answer are signed over time, nonce and body, by the key that `Wechatpay-Serial` names; we sign
//! method, path with query, time, nonce and body. Rules: pay.weixin.qq.com, docs/merchant/development/interface-rules,
//! *signature-generation* and *signature-verification*.
//!
//! Which keys are believed stands in the configuration, never in the message: the serial only chooses among them. Two may
//! be there at once, so that a certificate or a key can be changed without a gap. A signature probe
//! (`WECHATPAY/SIGNTEST/…`) is no base64 of a signature and fails like any other forgery, as WeChat Pay wants it to.

use std::{collections::BTreeMap, time::Duration};

use shop_common::{
    code::ShopCode,
    error::{Result, ShopError},
    time::Millis,
};

use crate::channel::{
    Headers,
    keys::{SigningKey, VerifyingKey},
};

/// When it was signed, in seconds.
const TIMESTAMP: &str = "wechatpay-timestamp";
/// What makes two equal bodies differ.
const NONCE: &str = "wechatpay-nonce";
/// The signature.
const SIGNATURE: &str = "wechatpay-signature";
/// Which key signed.
pub(super) const SERIAL: &str = "wechatpay-serial";
/// All that a signature lies in.
pub(super) const HEADERS: [&str; 4] = [TIMESTAMP, NONCE, SIGNATURE, SERIAL];
/// How far a signature's time may be from ours, either way; five minutes as in the provider's own libraries.
const WINDOW: Duration = Duration::from_secs(300);
/// Longest nonce; the provider's have 32 characters.
const TEXT_MAX: usize = 128;
/// What a serial begins with that names a public key, not a certificate.
const PUBLIC_KEY_ID: &str = "PUB_KEY_ID_";

/// The keys the provider may sign with, by serial: one, or two while they are changed.
pub(super) struct Platform(pub(super) BTreeMap<String, VerifyingKey>);

impl Platform {
    /// Whether `headers` sign `body`, by one of the keys and about now.
    ///
    /// # Errors
    /// `SHOP_SIGN_INVALID`; `SHOP_NOTIFY_REPLAY` only for a signature that is right but too old or from the future.
    pub(super) fn verify(&self, headers: &Headers, body: &[u8], now: Millis) -> Result<()> {
        let invalid = || ShopError::at(ShopCode::SignatureInvalid, SIGNATURE);
        let [timestamp, nonce, signature, serial] = HEADERS.map(|name| headers.get(name).map(String::as_str));
        let (timestamp, nonce) = (timestamp.ok_or_else(invalid)?, nonce.ok_or_else(invalid)?);
        let seconds = seconds(timestamp).filter(|_| is_line(nonce)).ok_or_else(invalid)?;
        let key = serial.and_then(|serial| self.0.get(serial)).ok_or_else(invalid)?;
        if !signature.is_some_and(|signature| key.is_signed(&said(timestamp, nonce, body), signature)) {
            return Err(invalid());
        }
        if u128::from(seconds.saturating_mul(1000).abs_diff(now.get())) >= WINDOW.as_millis() {
            return Err(ShopError::at(ShopCode::NotifyReplay, TIMESTAMP));
        }
        Ok(())
    }

    /// The key that answers shall be signed with: while a certificate is given up for a public key, the merchant says
    /// so by this serial in the request; without it the certificate signs.
    pub(super) fn wanted(&self) -> Option<&str> {
        self.0.keys().map(String::as_str).find(|serial| serial.starts_with(PUBLIC_KEY_ID))
    }
}

/// Who we are to the provider.
pub(super) struct Merchant {
    pub(super) mchid: String,
    /// Serial of our certificate.
    pub(super) serial_no: String,
    pub(super) key: SigningKey,
}

impl Merchant {
    /// The header `Authorization` of a request for `target`, the path with its query.
    ///
    /// # Errors
    /// `SHOP_INTERNAL` when the key cannot sign.
    pub(super) fn authorization(
        &self,
        method: &str,
        target: &str,
        body: &str,
        nonce: &str,
        now: Millis,
    ) -> Result<String> {
        let (seconds, Self { mchid, serial_no, key }) = (now.get() / 1000, self);
        let signature = key.sign(asked(method, target, seconds, nonce, body).as_bytes())?;
        Ok(format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"{mchid}\",nonce_str=\"{nonce}\",signature=\"{signature}\",\
             timestamp=\"{seconds}\",serial_no=\"{serial_no}\""
        ))
    }
}

/// A nonce: one line, without a gap.
fn is_line(text: &str) -> bool {
    matches!(text.len(), 1..=TEXT_MAX) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Seconds as they are written: digits and nothing else.
fn seconds(text: &str) -> Option<i64> {
    let digits = matches!(text.len(), 1..=12) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// What the provider signs.
fn said(timestamp: &str, nonce: &str, body: &[u8]) -> Vec<u8> {
    [timestamp.as_bytes(), b"\n", nonce.as_bytes(), b"\n", body, b"\n"].concat()
}

/// What we sign.
fn asked(method: &str, target: &str, seconds: i64, nonce: &str, body: &str) -> String {
    format!("{method}\n{target}\n{seconds}\n{nonce}\n{body}\n")
}

#[cfg(test)]
mod tests;
