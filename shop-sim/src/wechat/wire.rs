//! WeChat Pay's own side of the wire: the merchant's signature verified, its own made, a resource sealed.

use std::collections::BTreeMap;

use aws_lc_rs::{
    aead::{Aad, NONCE_LEN, Nonce},
    rand,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use shop_common::time::Millis;

use super::Wechat;
use crate::keys::BadKey;

/// How far the time of a request may be off, in seconds.
const WINDOW_S: u64 = 300;
/// What a request is signed with, as the merchant says.
const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";
/// What letters a nonce has.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

impl Wechat {
    /// Whether the merchant signed this request, about now; else why not.
    pub(super) fn authentic(
        &self,
        authorization: Option<&str>,
        method: &str,
        target: &str,
        body: &[u8],
        now: Millis,
    ) -> Result<(), &'static str> {
        let fields = authorization.and_then(fields).ok_or("no Authorization of this scheme")?;
        let field = |name: &str| fields.get(name).copied().unwrap_or_default();
        if field("mchid") != self.mchid || field("serial_no") != self.merchant_serial {
            return Err("another merchant or certificate");
        }
        let (timestamp, nonce) = (field("timestamp"), field("nonce_str"));
        let signed: i64 = timestamp.parse().map_err(|_| "no time")?;
        if signed.abs_diff(now.get() / 1000) > WINDOW_S {
            return Err("the time is too far off");
        }
        if !matches!(nonce.len(), 16..=32) {
            return Err("no nonce");
        }
        let mut message = format!("{method}\n{target}\n{timestamp}\n{nonce}\n").into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        if self.merchant.is_signed(&message, field("signature")) { Ok(()) } else { Err("the signature is wrong") }
    }

    /// The headers that sign `body` with the key at `place`; none where there is no such key.
    pub fn signed(&self, place: usize, body: &[u8], now: Millis) -> Option<Vec<(&'static str, String)>> {
        let (serial, signer) = self.platform.get(place)?;
        let (timestamp, nonce) = ((now.get() / 1000).to_string(), letters::<32>()?);
        let mut message = format!("{timestamp}\n{nonce}\n").into_bytes();
        message.extend_from_slice(body);
        message.push(b'\n');
        let signature = signer.sign(&message).ok()?;
        let signature = if self.is_probe() { format!("WECHATPAY/SIGNTEST/{signature}") } else { signature };
        Some(vec![
            ("wechatpay-timestamp", timestamp),
            ("wechatpay-nonce", nonce),
            ("wechatpay-signature", signature),
            ("wechatpay-serial", serial.clone()),
            ("wechatpay-signature-type", SCHEME.to_owned()),
        ])
    }

    /// Which key answers a request that names `serial`.
    pub(super) fn place_of(&self, serial: Option<&str>) -> Option<usize> {
        self.platform.iter().position(|(known, _)| Some(known.as_str()) == serial)
    }

    /// A resource of a notification: `text` sealed under a nonce of its own.
    pub fn sealed(&self, kind: &str, mut text: Vec<u8>) -> Option<Value> {
        let nonce = letters::<NONCE_LEN>()?;
        let unique = Nonce::try_assume_unique_for_key(nonce.as_bytes()).ok()?;
        self.sealing.seal_in_place_append_tag(unique, Aad::from(kind.as_bytes()), &mut text).ok()?;
        Some(json!({
            "original_type": kind,
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": BASE64_STANDARD.encode(text),
            "associated_data": kind,
            "nonce": nonce,
        }))
    }

    /// The text of a resource, if it was sealed under our key.
    pub fn opened(&self, resource: &Value) -> Option<Vec<u8>> {
        let field = |name: &str| resource.get(name).and_then(Value::as_str);
        let nonce = Nonce::try_assume_unique_for_key(field("nonce")?.as_bytes()).ok()?;
        let kind = Aad::from(field("associated_data").unwrap_or_default().as_bytes());
        let mut text = BASE64_STANDARD.decode(field("ciphertext")?).ok()?;
        let length = self.sealing.open_in_place(nonce, kind, &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// The fields of an `Authorization`, each in quotes; in any order.
fn fields(authorization: &str) -> Option<BTreeMap<&str, &str>> {
    let list = authorization.strip_prefix(SCHEME)?.trim_start();
    let mut fields = BTreeMap::new();
    for part in list.split(',') {
        let (name, value) = part.split_once('=')?;
        fields.insert(name.trim(), value.trim().strip_prefix('"')?.strip_suffix('"')?);
    }
    Some(fields)
}

/// A new key to seal notifications under.
///
/// # Errors
/// There is no chance to be had.
pub fn api_v3_key() -> Result<String, BadKey> {
    letters::<32>().ok_or(BadKey)
}

/// Letters by chance.
fn letters<const N: usize>() -> Option<String> {
    let mut bytes = [0_u8; N];
    rand::fill(&mut bytes).ok()?;
    let letter = |byte: &u8| LETTERS.get(usize::from(byte % 32)).copied().map(char::from);
    bytes.iter().map(letter).collect()
}
