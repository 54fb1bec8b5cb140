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
#[derive(Clone, Debug)]
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

    /// Reads the key of the other side; `whose` says of it that it is not ours.
    ///
    /// # Errors
    /// As [`VerifyingKey::read`], and for the public half of `ours`: the classic mistake of a first configuration.
    pub(crate) fn of_other(text: &str, ours: &SigningKey, whose: &str) -> Result<Self, String> {
        let theirs = Self::read(text)?;
        if theirs.is_half_of(ours) {
            return Err(format!("this is our own public key, not {whose}"));
        }
        Ok(theirs)
    }

    /// Whether `signature`, in base64, is this key's of `message`.
    pub(crate) fn is_signed(&self, message: &[u8], signature: &str) -> bool {
        BASE64_STANDARD.decode(signature).is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }

    /// Whether it is the public half of `ours`.
    fn is_half_of(&self, ours: &SigningKey) -> bool {
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

#[cfg(test)]
mod tests {
    use std::{fs, process::Command};

    use shop_sim::keys::Pair;

    use super::*;

    #[test]
    fn keys_are_read_as_pem_and_as_bare_base64() {
        let pair = Pair::generate().unwrap();
        let bare = |pem: &str| pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
        for (private, public) in
            [(pair.private.clone(), pair.public.clone()), (bare(&pair.private), bare(&pair.public))]
        {
            let (ours, theirs) = (SigningKey::read(&private).unwrap(), VerifyingKey::read(&public).unwrap());
            let signature = ours.sign(b"text").unwrap();
            assert!(theirs.is_signed(b"text", &signature) && !theirs.is_signed(b"texT", &signature));
            assert!(!theirs.is_signed(b"text", "not base64") && !theirs.is_signed(b"text", ""));
            assert!(theirs.is_half_of(&ours));
        }
        assert!(!format!("{:?}", SigningKey::read(&pair.private).unwrap()).contains(&bare(&pair.private)[..40]));
    }

    #[test]
    fn what_is_no_key_of_the_wanted_kind_is_refused_and_not_shown() {
        let pair = Pair::generate().unwrap();
        assert!(SigningKey::read(&pair.public).unwrap_err().contains("a PEM text of PUBLIC KEY"));
        assert!(VerifyingKey::read(&pair.private).unwrap_err().contains("a PEM text of PRIVATE KEY"));
        let cut = pair.private.replace("-----END PRIVATE KEY-----", "");
        for text in ["", "x", "-----BEGIN PRIVATE KEY-----", cut.as_str(), "AAAA"] {
            let why = SigningKey::read(text).unwrap_err();
            assert!(!why.contains(&pair.private[40..80]), "{why}");
        }
        assert!(text("a", "b").is_err() && text("", "/nowhere").is_err());
        assert_eq!((text("", ""), text("a", "")), (Ok(None), Ok(Some("a".to_owned()))));
    }

    /// Keys and signatures of another maker; where there is no `openssl`, the simulator's tests of both sides remain.
    #[test]
    fn openssl_and_we_agree() {
        let dir = std::env::temp_dir().join(format!("shop-keys-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let run = |arguments: &[&str]| {
            let ran = Command::new("openssl").args(arguments).current_dir(&dir).output();
            ran.ok().map(|output| assert!(output.status.success(), "openssl {arguments:?}: {output:?}"))
        };
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        if run(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "private.pem"]).is_none() {
            eprintln!("openssl is not installed: not compared with it");
            return;
        }
        let message = "app_id=1&subject=手机 x&total_amount=88.88";
        fs::write(dir.join("message"), message).unwrap();
        run(&["pkey", "-in", "private.pem", "-pubout", "-out", "public.pem"]);
        run(&["pkey", "-in", "private.pem", "-traditional", "-out", "pkcs1.pem"]);
        run(&["dgst", "-sha256", "-sign", "private.pem", "-out", "signature", "message"]);
        run(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", "short.pem"]);
        run(&["pkey", "-in", "short.pem", "-pubout", "-out", "short_public.pem"]);
        let theirs = BASE64_STANDARD.encode(fs::read(dir.join("signature")).unwrap());
        for name in ["private.pem", "pkcs1.pem"] {
            // PKCS#1 v1.5 has no salt: the same key and message give the same signature.
            assert_eq!(SigningKey::read(&read(name)).unwrap().sign(message.as_bytes()).unwrap(), theirs, "{name}");
        }
        assert!(VerifyingKey::read(&read("public.pem")).unwrap().is_signed(message.as_bytes(), &theirs));
        assert!(SigningKey::read(&read("short.pem")).is_err(), "1024 bits");
        assert!(VerifyingKey::read(&read("short_public.pem")).is_err(), "1024 bits");
        fs::remove_dir_all(&dir).unwrap();
    }
}
