//! RSA keys of the channels: read once at start, from the configuration or from a file it names.
//!
//! One algorithm, fixed here and never taken from a message: `RSASSA-PKCS1-v1_5` with SHA-256 over at least 2048 bits.
//! Alipay calls it RSA2, WeChat Pay SHA256-RSA2048.

use std::{fmt, fs};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair, PublicKey},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaParameters, UnparsedPublicKey},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use shop_common::{code::ShopCode, error::Result};

/// Shortest key.
const MODULUS_BITS: u32 = 2048;
const MODULUS_BYTES: usize = 256;
const TOO_SHORT: &str = "an RSA key has at least 2048 bits";

/// Our private key.
pub(crate) struct SigningKey(KeyPair);

/// A provider's public key.
#[derive(Clone)]
pub(crate) struct VerifyingKey(UnparsedPublicKey<PublicKey>);

/// The text of a key: `text` itself, or what stands in `file`; none where neither is said.
///
/// # Errors
/// Why not, without a word of the key.
pub(crate) fn text(text: &str, file: &str) -> Result<Option<String>, String> {
    match (text.is_empty(), file.is_empty()) {
        (true, true) => Ok(None),
        (false, true) => Ok(Some(text.to_owned())),
        (true, false) => fs::read_to_string(file).map(Some).map_err(|error| format!("{file}: {error}")),
        (false, false) => Err("a key or a file, not both".to_owned()),
    }
}

impl SigningKey {
    /// Reads PKCS#8 or PKCS#1, as PEM or, as Alipay's own tools write it, as bare base64.
    ///
    /// # Errors
    /// Why not, without a word of the key.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let der = der(text, &["PRIVATE KEY", "RSA PRIVATE KEY"])?;
        let key = KeyPair::from_pkcs8(&der).or_else(|_| KeyPair::from_der(&der));
        let key = key.map_err(|_| "not an RSA private key of at least 2048 bits".to_owned())?;
        if key.public_modulus_len() < MODULUS_BYTES {
            return Err(TOO_SHORT.to_owned());
        }
        Ok(Self(key))
    }

    /// The signature of `message` in base64.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<String> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let signed = self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
        signed.map_err(|_| ShopCode::Internal)?;
        Ok(BASE64_STANDARD.encode(signature))
    }

    /// The public half: whoever holds it as the provider's has mixed up the keys.
    fn public(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }
}

impl VerifyingKey {
    /// Reads a `SubjectPublicKeyInfo` or PKCS#1, as PEM or as bare base64.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let der = der(text, &["PUBLIC KEY", "RSA PUBLIC KEY"])?;
        let key = PublicKey::from_der(&der).map_err(|_| "not an RSA public key".to_owned())?;
        // The verifier takes no shorter one; better to hear of it at start than at the first notification.
        if RsaParameters::public_modulus_len(key.as_ref()).is_ok_and(|bits| bits < MODULUS_BITS) {
            return Err(TOO_SHORT.to_owned());
        }
        Ok(Self(UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)))
    }

    /// Whether `signature`, in base64, is this key's of `message`.
    pub(crate) fn is_signed(&self, message: &[u8], signature: &str) -> bool {
        BASE64_STANDARD.decode(signature).is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }

    /// Whether it is the public half of `ours`: the classic mistake of a first configuration.
    pub(crate) fn is_half_of(&self, ours: &SigningKey) -> bool {
        AsRef::<[u8]>::as_ref(&self.0) == ours.public()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(***)")
    }
}

/// What stands between the lines of a PEM text with one of `labels`, or the whole text where it has no such lines.
fn der(text: &str, labels: &[&str]) -> Result<Vec<u8>, String> {
    let text = text.trim();
    let inner = match text.strip_prefix("-----BEGIN ") {
        None => text,
        Some(rest) => {
            let (label, rest) = rest.split_once("-----").ok_or("not PEM")?;
            if !labels.contains(&label) {
                return Err(format!("a PEM text of {label}, where {} is wanted", labels.join(" or ")));
            }
            rest.split_once("-----END ").filter(|(_, end)| *end == format!("{label}-----")).ok_or("not one PEM text")?.0
        }
    };
    let packed: String = inner.chars().filter(|symbol| !symbol.is_ascii_whitespace()).collect();
    BASE64_STANDARD.decode(packed).map_err(|_| "neither PEM nor base64".to_owned())
}
