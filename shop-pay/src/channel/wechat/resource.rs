//! The encrypted part of a notification: `AEAD_AES_256_GCM` (RFC 5116) under the merchant's key for it.
//!
//! The key has 32 bytes, the nonce 12, the tag of 16 bytes stands behind the text, all of it in base64. Rules:
//! pay.weixin.qq.com, docs/merchant/development/interface-rules, *certificates and callbacks: decryption*.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::{Engine, prelude::BASE64_STANDARD};

/// The one algorithm; the message cannot choose another.
pub(super) const ALGORITHM: &str = "AEAD_AES_256_GCM";
/// Length of the key.
const KEY_BYTES: usize = 32;

/// The key that notifications are sealed under, which the provider calls the key of `APIv3`.
pub(super) struct Apiv3Key(LessSafeKey);

impl Apiv3Key {
    /// A key of exactly 32 bytes.
    ///
    /// # Errors
    /// Why not, without a word of the key.
    pub(super) fn read(key: &str) -> Result<Self, String> {
        let wrong = |_| format!("an APIv3 key has {KEY_BYTES} bytes, not {}", key.len());
        UnboundKey::new(&AES_256_GCM, key.as_bytes()).map(|key| Self(LessSafeKey::new(key))).map_err(wrong)
    }

    /// The text behind `ciphertext`, if all of it is as it was sealed.
    pub(super) fn open(&self, nonce: &str, associated_data: &str, ciphertext: &str) -> Option<Vec<u8>> {
        let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).ok()?;
        let mut sealed = BASE64_STANDARD.decode(ciphertext).ok()?;
        let length = self.0.open_in_place(nonce, Aad::from(associated_data.as_bytes()), &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }
}

/// `text` as the provider seals it.
#[cfg(test)]
pub(super) fn sealed(key: &Apiv3Key, nonce: &str, associated_data: &str, text: &str) -> String {
    let nonce = Nonce::try_assume_unique_for_key(nonce.as_bytes()).unwrap();
    let mut sealed = text.as_bytes().to_vec();
    key.0.seal_in_place_append_tag(nonce, Aad::from(associated_data.as_bytes()), &mut sealed).unwrap();
    BASE64_STANDARD.encode(sealed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The values of `AeadAesCipherTest` and `TestConfig` in wechatpay-apiv3/wechatpay-java, checked with Python's
    /// `cryptography` as well.
    const KEY: &str = "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb";
    const NONCE: &str = "uluk4a9R25RW";
    const AAD: &str = "associatedData";
    const SEALED: &str = "ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=";

    fn key() -> Apiv3Key {
        Apiv3Key::read(KEY).unwrap()
    }

    #[test]
    fn the_provider_s_own_example_opens() {
        assert_eq!(key().open(NONCE, AAD, SEALED).as_deref(), Some(b"message".as_slice()));
        assert_eq!(sealed(&key(), NONCE, AAD, "message"), SEALED);
    }

    #[test]
    fn one_bit_anywhere_and_nothing_opens() {
        let other = KEY.replacen('a', "b", 1);
        assert_eq!(Apiv3Key::read(&other).unwrap().open(NONCE, AAD, SEALED), None);
        let sealed = BASE64_STANDARD.decode(SEALED).unwrap();
        for (byte, bit) in (0..sealed.len()).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
            let mut flipped = sealed.clone();
            flipped[byte] ^= 1 << bit;
            assert_eq!(key().open(NONCE, AAD, &BASE64_STANDARD.encode(flipped)), None, "{byte}.{bit}");
        }
        for (nonce, aad, text) in [
            ("uluk4a9R25Rw", AAD, SEALED),
            ("uluk4a9R25R", AAD, SEALED),
            ("uluk4a9R25RW0", AAD, SEALED),
            ("", AAD, SEALED),
            (NONCE, "", SEALED),
            (NONCE, "associateddata", SEALED),
            (NONCE, AAD, ""),
            (NONCE, AAD, "ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI"),
            (NONCE, AAD, "ulwSiIajGClcvcOYvOQ7+l+0PAbzzwJ="),
            (NONCE, AAD, "ulwSiIajGClcvcOYvOQ7-l-0PAbzzwI="),
            (NONCE, AAD, "AAAA"),
        ] {
            assert_eq!(key().open(nonce, aad, text), None, "{nonce} {aad} {text}");
        }
    }

    #[test]
    fn a_key_has_32_bytes() {
        for wrong in ["", &KEY[1..], &format!("{KEY}0")] {
            let why = format!("an APIv3 key has 32 bytes, not {}", wrong.len());
            assert_eq!(Apiv3Key::read(wrong).err(), Some(why));
        }
    }

    proptest! {
        #[test]
        fn no_text_upsets_it(nonce in ".{0,16}", aad in ".{0,16}", text in ".{0,64}", raw in any::<Vec<u8>>()) {
            prop_assert_eq!(key().open(&nonce, &aad, &text), None);
            prop_assert_eq!(key().open(NONCE, AAD, &BASE64_STANDARD.encode(raw)), None);
        }
    }
}
