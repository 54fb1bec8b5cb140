//! Layered configuration: built-in defaults < file < `SHOP__SECTION__KEY` < flags. Unknown keys are errors.

use std::{fmt, fs, path::Path};

pub use config::ConfigError;
use config::{Config, Environment, File, FileFormat};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error},
};

/// Text that is never shown: not by `Debug`, not by `shop config`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"***\"")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

/// Reads a number that must be at least 1, where none of it would be a standstill, or a loop without a pause.
///
/// # Errors
/// It is smaller, or no number.
pub fn at_least_one<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default + PartialOrd,
{
    let number = T::deserialize(deserializer)?;
    if number > T::default() { Ok(number) } else { Err(D::Error::custom("must be at least 1")) }
}

/// Reads an amount that may be nothing, but not less.
///
/// # Errors
/// It is negative, or no number.
pub fn not_negative<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let amount = i64::deserialize(deserializer)?;
    if amount >= 0 { Ok(amount) } else { Err(D::Error::custom("must not be negative")) }
}

/// Reads the layers into `T`, whose types say `deny_unknown_fields`.
///
/// # Errors
/// A file that cannot be read, an unknown key, a value of the wrong type; the text names the key.
pub fn load<T: DeserializeOwned>(
    defaults: &str,
    file: Option<&Path>,
    flags: &[(&str, String)],
) -> Result<T, ConfigError> {
    let mut builder = Config::builder().add_source(File::from_str(defaults, FileFormat::Toml));
    if let Some(file) = file {
        is_file(file)?;
        builder = builder.add_source(File::from(file).format(FileFormat::Toml));
    }
    builder = builder.add_source(Environment::with_prefix("SHOP").separator("__").try_parsing(true).ignore_empty(true));
    for (key, value) in flags {
        builder = builder.set_override(*key, value.as_str())?;
    }
    builder.build()?.try_deserialize()
}

/// The source itself calls whatever it cannot open *not found*, and looks for a file of a similar name.
fn is_file(file: &Path) -> Result<(), ConfigError> {
    let why = match fs::metadata(file) {
        Ok(found) if found.is_dir() => "is a directory".to_owned(),
        Ok(_) => return Ok(()),
        Err(error) => error.to_string(),
    };
    Err(ConfigError::Message(format!("{}: {why}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        section: Section,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Section {
        count: u32,
        key: Secret,
    }

    const DEFAULTS: &str = "[section]\ncount = 1\nkey = \"hush\"";

    #[test]
    fn flags_win_over_defaults() {
        let sample: Sample = load(DEFAULTS, None, &[("section.count", "7".into())]).unwrap();
        assert_eq!(sample.section.count, 7);
        assert_eq!(sample.section.key.reveal(), "hush");
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        let error = load::<Sample>("[section]\ncount = 1\nkey = \"k\"\ncuont = 2", None, &[]).unwrap_err();
        assert!(error.to_string().contains("cuont"), "{error}");
    }

    #[test]
    fn a_secret_is_never_shown() {
        let sample: Sample = load(DEFAULTS, None, &[]).unwrap();
        assert!(!format!("{sample:?}").contains("hush"));
    }
}
