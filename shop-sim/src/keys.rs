//! RSA keys of both sides, made anew: nothing secret is ever stored with the code.

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    error::Unspecified,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize, PublicKey},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey},
};
use base64::{Engine, prelude::BASE64_STANDARD};

/// A key cannot be made or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RSA key")]
pub struct BadKey;

impl From<Unspecified> for BadKey {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

/// A pair as PEM.
#[derive(Clone)]
pub struct Pair {
    /// PKCS#8.
    pub private: String,
    /// `SubjectPublicKeyInfo`.
    pub public: String,
}

/// A private key.
pub struct Signer(KeyPair);

/// A public key.
pub struct Verifier(UnparsedPublicKey<PublicKey>);

impl Pair {
    /// A new pair of 2048 bits.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn generate() -> Result<Self, BadKey> {
        let pair = KeyPair::generate(KeySize::Rsa2048)?;
        let private: Pkcs8V1Der<'_> = pair.as_der()?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
        Ok(Self { private: pem("PRIVATE KEY", private.as_ref()), public: pem("PUBLIC KEY", public.as_ref()) })
    }
}

impl Signer {
    /// Reads PKCS#8 PEM.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn read(pem: &str) -> Result<Self, BadKey> {
        KeyPair::from_pkcs8(&der(pem)?).map(Self).map_err(|_| BadKey)
    }

    /// `SHA256withRSA` of `message`, in base64.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn sign(&self, message: &[u8]) -> Result<String, BadKey> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
        Ok(BASE64_STANDARD.encode(signature))
    }
}

impl Verifier {
    /// Reads a `SubjectPublicKeyInfo` PEM.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn read(pem: &str) -> Result<Self, BadKey> {
        let key = PublicKey::from_der(&der(pem)?).map_err(|_| BadKey)?;
        Ok(Self(UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)))
    }

    /// Whether `signature`, in base64, is of `message`.
    pub fn is_signed(&self, message: &[u8], signature: &str) -> bool {
        BASE64_STANDARD.decode(signature).is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: Vec<String> =
        text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn der(pem: &str) -> Result<Vec<u8>, BadKey> {
    let inner: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    BASE64_STANDARD.decode(inner).map_err(|_| BadKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_signs_and_verifies_over_pem() {
        let (pair, other) = (Pair::generate().unwrap(), Pair::generate().unwrap());
        let signature = Signer::read(&pair.private).unwrap().sign(b"a=1&b=2").unwrap();
        assert!(Verifier::read(&pair.public).unwrap().is_signed(b"a=1&b=2", &signature));
        assert!(!Verifier::read(&pair.public).unwrap().is_signed(b"a=1&b=3", &signature));
        assert!(!Verifier::read(&other.public).unwrap().is_signed(b"a=1&b=2", &signature));
    }
}
