//! Layered configuration: built-in defaults < file < `SHOP__SECTION__KEY` < flags. Unknown keys are errors.

use std::{fmt, fs, path::Path};

pub use config::ConfigError;
use config::{Config, Environment, File, FileFormat, Value, ValueKind};
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

/// Most of anything: beyond all use, and far from where a moment overflows.
const MOST: u64 = 1 << 40;

/// Reads a number that must be at least 1, where none of it would be a standstill, or a loop without a pause.
///
/// # Errors
/// It is smaller, or beyond all use, or no number.
pub fn at_least_one<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default + PartialOrd + TryFrom<u64>,
{
    let number = T::deserialize(deserializer)?;
    if T::try_from(MOST).is_ok_and(|most| number > most) {
        return Err(D::Error::custom(format!("must be at most {MOST}")));
    }
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
    layered(defaults, file, environment(), flags)
}

/// As text: a key or an account of digits alone is no number, and as one it would be another.
fn environment() -> Environment {
    Environment::with_prefix("SHOP").separator("__").ignore_empty(true)
}

fn layered<T: DeserializeOwned>(
    defaults: &str,
    file: Option<&Path>,
    environment: Environment,
    flags: &[(&str, String)],
) -> Result<T, ConfigError> {
    let defaults = Config::builder().add_source(File::from_str(defaults, FileFormat::Toml)).build()?;
    let mut builder = Config::builder().add_source(defaults.clone());
    if let Some(file) = file {
        is_file(file)?;
        builder = builder.add_source(File::from(file).format(FileFormat::Toml));
    }
    builder = builder.add_source(environment);
    for (key, value) in flags {
        builder = builder.set_override(*key, value.as_str())?;
    }
    let config = builder.build()?;
    fits("", Some(&defaults.cache), &config.cache)?;
    config.try_deserialize()
}

/// Whether each value is of its default's kind. The source would take *true* and *on* for 1, and round a fraction.
fn fits(key: &str, default: Option<&Value>, value: &Value) -> Result<(), ConfigError> {
    let refuse = |why: &str| Err(ConfigError::Message(format!("{why} for key `{key}`")));
    match (default.map(|default| &default.kind), &value.kind) {
        (_, ValueKind::Float(number)) => refuse(&format!("{number:?} is not a whole number")),
        (Some(ValueKind::I64(_)), ValueKind::Boolean(is)) => refuse(&format!("{is} is not a number")),
        (Some(ValueKind::I64(_)), ValueKind::String(text)) if text.parse::<i128>().is_err() => {
            refuse(&format!("{text:?} is not a whole number"))
        }
        (Some(ValueKind::Boolean(_)), ValueKind::I64(number)) => refuse(&format!("{number} is neither true nor false")),
        (_, ValueKind::Array(values)) => values.iter().try_for_each(|value| fits(key, None, value)),
        (default, ValueKind::Table(section)) => section.iter().try_for_each(|(name, value)| {
            let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
            let default = if let Some(ValueKind::Table(section)) = default { section.get(name) } else { None };
            fits(&key, default, value)
        }),
        _ => Ok(()),
    }
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
    fn what_stands_in_the_environment_is_taken_as_it_is() {
        let text = ["12345678901234567890123456789012", "007", "1e3", "true", "inf"];
        for key in text {
            let variables = [
                ("SHOP__SECTION__KEY".to_owned(), key.to_owned()),
                ("SHOP__SECTION__COUNT".to_owned(), "7".to_owned()),
            ];
            let environment = environment().source(Some(variables.into()));
            let sample: Sample = layered(DEFAULTS, None, environment, &[]).unwrap();
            assert_eq!((sample.section.key.reveal(), sample.section.count), (key, 7));
        }
    }

    #[test]
    fn a_fraction_is_never_rounded() {
        for number in ["10.0", "10.5", "1e3", "nan", "inf"] {
            let defaults = format!("[section]\ncount = {number}\nkey = \"k\"");
            let error = load::<Sample>(&defaults, None, &[]).unwrap_err().to_string();
            assert!(error.contains("section.count"), "{error}");
        }
        assert!(load::<Sample>(DEFAULTS, None, &[("section.count", "10.0".into())]).is_err());
    }

    #[test]
    fn a_number_is_a_number_and_a_switch_is_a_switch() {
        #[derive(Debug, Deserialize)]
        struct Kinds {
            count: i64,
            on: bool,
        }
        let kinds = |file: &str, flags: &[(&str, String)]| {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("f.toml");
            fs::write(&path, file).unwrap();
            load::<Kinds>("count = 1\non = true", Some(&path), flags).map(|kinds| (kinds.count, kinds.on))
        };
        assert_eq!(kinds("count = -7\non = false", &[]).unwrap(), (-7, false));
        assert_eq!(kinds("", &[("count", "7".into()), ("on", "false".into())]).unwrap(), (7, false));
        for (key, file) in [("count", "count = true"), ("on", "on = 1")] {
            assert!(kinds(file, &[]).unwrap_err().to_string().contains(key), "{file}");
        }
        for text in ["true", "on", "yes", "7s", ""] {
            let error = kinds("", &[("count", text.into())]).unwrap_err().to_string();
            assert!(error.contains("count"), "{error}");
        }
        assert!(kinds("", &[("on", "2".into())]).is_err());
    }

    #[derive(Debug, Deserialize)]
    struct Bounded {
        #[serde(deserialize_with = "at_least_one")]
        seconds: u64,
    }

    #[test]
    fn what_would_stop_or_overflow_is_refused() {
        let seconds = |seconds: &str| load::<Bounded>("seconds = 1", None, &[("seconds", seconds.into())]);
        assert_eq!(seconds("1099511627776").unwrap().seconds, MOST);
        for wrong in ["0", "-1", "1099511627777", "18446744073709551615"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
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
