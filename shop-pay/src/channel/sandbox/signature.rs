//! The sandbox's signature: `x-shop-signature: t=<unix seconds>,kid=<key id>,v1=<hex HMAC-SHA256 of "t.body">`.
//!
//! One algorithm, one spelling of the header, bytes as they were sent. Two keys may be valid at once, told apart by
//! key id, so that keys can be changed without a gap.

use std::{collections::BTreeMap, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use shop_common::{
    code::ShopCode,
    config::Secret,
    error::{Result, ShopError},
    time::Millis,
};

use crate::config::{BadConfig, SandboxConfig};

/// The header.
pub const HEADER: &str = "x-shop-signature";
/// How far the signature's time may be from ours, either way.
const WINDOW: Duration = Duration::from_secs(300);
/// Shortest key.
const KEY_BYTES: usize = 32;

/// The keys a notification may be signed with, and which of them signs.
#[derive(Clone, Debug)]
pub(super) struct Keyring {
    kid: String,
    keys: BTreeMap<String, Secret>,
}

impl Keyring {
    pub(super) fn new(config: &SandboxConfig) -> Result<Self, BadConfig> {
        if !matches!(config.keys.len(), 1..=2) {
            return Err(BadConfig::KeyCount(config.keys.len()));
        }
        for (kid, key) in &config.keys {
            let plain = kid.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            if !matches!(kid.len(), 1..=32) || !plain || key.reveal().len() < KEY_BYTES {
                return Err(BadConfig::Key(kid.clone()));
            }
        }
        if !config.keys.contains_key(&config.kid) {
            return Err(BadConfig::Kid(config.kid.clone()));
        }
        Ok(Self { kid: config.kid.clone(), keys: config.keys.clone() })
    }

    /// The header for `body`, signed at `now`.
    pub(super) fn sign(&self, body: &[u8], now: Millis) -> Result<String> {
        let seconds = (now.get() / 1000).to_string();
        let mac = self.mac(&self.kid, &seconds, body).ok_or(ShopCode::Internal)?;
        Ok(format!("t={seconds},kid={},v1={}", self.kid, hex::encode(mac.finalize().into_bytes())))
    }

    /// Whether `header` signs `body`, by one of our keys and about now.
    ///
    /// # Errors
    /// `SHOP_SIGN_INVALID`; `SHOP_NOTIFY_REPLAY` only for a signature that is right but too old or from the future.
    pub(super) fn verify(&self, header: Option<&str>, body: &[u8], now: Millis) -> Result<()> {
        let invalid = || ShopError::at(ShopCode::SignatureInvalid, HEADER);
        let Parts { seconds, kid, v1 } = header.and_then(parse).ok_or_else(invalid)?;
        let mac = self.mac(kid, seconds, body).ok_or_else(invalid)?;
        // Compares in constant time.
        mac.verify_slice(&v1).map_err(|_| invalid())?;
        let signed = seconds.parse::<i64>().map_err(|_| invalid())?.saturating_mul(1000);
        if u128::from(signed.abs_diff(now.get())) > WINDOW.as_millis() {
            return Err(ShopError::at(ShopCode::NotifyReplay, HEADER));
        }
        Ok(())
    }

    fn mac(&self, kid: &str, seconds: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.keys.get(kid)?.reveal().as_bytes()).ok()?;
        mac.update(seconds.as_bytes());
        mac.update(b".");
        mac.update(body);
        Some(mac)
    }
}

/// What stands in the header.
struct Parts<'a> {
    seconds: &'a str,
    kid: &'a str,
    v1: Vec<u8>,
}

/// Exactly the three parts in their order, hex in lower case: nothing that could be read in two ways.
fn parse(header: &str) -> Option<Parts<'_>> {
    let (seconds, rest) = header.strip_prefix("t=")?.split_once(",kid=")?;
    let (kid, hex_text) = rest.split_once(",v1=")?;
    let digits = matches!(seconds.len(), 1..=12) && seconds.bytes().all(|byte| byte.is_ascii_digit());
    let lower = hex_text.len() == 64 && hex_text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (digits && lower).then(|| hex::decode(hex_text).ok()).flatten().map(|v1| Parts { seconds, kid, v1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef0123456789abcdef";
    const NOW: Millis = Millis::new(1_700_000_000_000);
    const BODY: &[u8] = br#"{"notify_id":"n1"}"#;
    /// `printf '1700000000.{"notify_id":"n1"}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef`
    const KNOWN: &str = "t=1700000000,kid=k1,v1=e86d807783a45fd5413921bbbd4c51556614032377df9941f53001630a6b1926";

    fn config(keys: &[(&str, &str)], kid: &str) -> SandboxConfig {
        SandboxConfig {
            enabled: true,
            merchant_id: "m".into(),
            kid: kid.into(),
            keys: keys.iter().map(|(kid, key)| ((*kid).to_owned(), Secret::new(*key))).collect(),
            tutorial_mode: false,
            pay_url_prefix: "/sandbox/pay/".into(),
        }
    }

    fn ring() -> Keyring {
        Keyring::new(&config(&[("k1", KEY), ("k2", "another key of at least 32 bytes")], "k1")).unwrap()
    }

    fn code(ring: &Keyring, header: &str, body: &[u8], now: Millis) -> Option<ShopCode> {
        ring.verify(Some(header), body, now).err().map(|error| error.code)
    }

    #[test]
    fn the_known_answer_is_made_and_believed() {
        assert_eq!(ring().sign(BODY, NOW).unwrap(), KNOWN);
        assert_eq!(code(&ring(), KNOWN, BODY, NOW), None);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for position in 0..BODY.len() * 8 {
            let mut body = BODY.to_vec();
            body[position / 8] ^= 1 << (position % 8);
            assert_eq!(code(&ring(), KNOWN, &body, NOW), Some(ShopCode::SignatureInvalid), "body bit {position}");
        }
        for position in 0..KNOWN.len() * 8 {
            let mut header = KNOWN.as_bytes().to_vec();
            header[position / 8] ^= 1 << (position % 8);
            let Ok(header) = String::from_utf8(header) else { continue };
            assert_eq!(code(&ring(), &header, BODY, NOW), Some(ShopCode::SignatureInvalid), "{header}");
        }
    }

    #[test]
    fn the_window_is_five_minutes_either_way() {
        for (seconds, refusal) in [
            (300, None),
            (-300, None),
            (301, Some(ShopCode::NotifyReplay)),
            (-301, Some(ShopCode::NotifyReplay)),
            (90_000, Some(ShopCode::NotifyReplay)),
        ] {
            let now = Millis::new(NOW.get() + seconds * 1000);
            assert_eq!(code(&ring(), KNOWN, BODY, now), refusal, "{seconds}");
        }
    }

    #[test]
    fn both_keys_are_believed_while_they_are_changed() {
        let (new, old) = (("k2", "another key of at least 32 bytes"), ("k1", KEY));
        let next = Keyring::new(&config(&[old, new], "k2")).unwrap();
        assert_eq!(code(&ring(), &next.sign(BODY, NOW).unwrap(), BODY, NOW), None);
        let last = Keyring::new(&config(&[new], "k2")).unwrap();
        assert_eq!(code(&last, KNOWN, BODY, NOW), Some(ShopCode::SignatureInvalid));
    }

    #[test]
    fn a_header_of_another_spelling_is_refused() {
        let v1 = KNOWN.rsplit_once("v1=").unwrap().1;
        let wrong = [
            String::new(),
            format!("kid=k1,t=1700000000,v1={v1}"),
            format!("t=1700000000,kid=k1,v1={}", v1.to_uppercase()),
            format!("t=1700000000,kid=k1,v1={}", &v1[..62]),
            format!("t=1700000000,kid=k2,v1={v1}"),
            format!("t=1700000000,kid=k3,v1={v1}"),
            format!("t=1700000000,kid=,v1={v1}"),
            format!("t=+1700000000,kid=k1,v1={v1}"),
            format!("t=,kid=k1,v1={v1}"),
            format!("t=1700000000,kid=k1,v1={v1},v1={v1}"),
            format!("t=1700000000,kid=k1,alg=none,v1={v1}"),
            format!(" {KNOWN}"),
            format!("{KNOWN} "),
        ];
        for header in wrong {
            assert_eq!(code(&ring(), &header, BODY, NOW), Some(ShopCode::SignatureInvalid), "{header:?}");
        }
        assert_eq!(ring().verify(None, BODY, NOW).unwrap_err().code, ShopCode::SignatureInvalid);
    }

    #[test]
    fn keys_that_can_be_guessed_are_refused() {
        let wrong = |keys: &[(&str, &str)], kid| Keyring::new(&config(keys, kid)).unwrap_err();
        assert_eq!(wrong(&[], "k1"), BadConfig::KeyCount(0));
        assert_eq!(wrong(&[("a", KEY), ("b", KEY), ("c", KEY)], "a"), BadConfig::KeyCount(3));
        assert_eq!(wrong(&[("k1", "")], "k1"), BadConfig::Key("k1".into()));
        assert_eq!(wrong(&[("k1", &KEY[1..])], "k1"), BadConfig::Key("k1".into()));
        assert_eq!(wrong(&[("k,1", KEY)], "k,1"), BadConfig::Key("k,1".into()));
        assert_eq!(wrong(&[("k1", KEY)], "k2"), BadConfig::Kid("k2".into()));
    }
}
