//! JSON as the gateway reads it: objects only where an object belongs, no key twice, no float anywhere.

use std::{borrow::Cow, fmt, marker::PhantomData};

use axum::extract::{FromRequest, Request};
use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;
use shop_common::{error::ShopError, id::canonical_integer, money::Fen};

use crate::{app::App, body::JsonText, problem::Problem};

/// A JSON request of `/api/v1`; its type says `deny_unknown_fields`.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let JsonText(text) = JsonText::from_request(request, app).await?;
        read(&text).map(Self)
    }
}

/// Reads one object.
///
/// # Errors
/// 400, with the path of the field at fault.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let object: Object<T> = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        // What breaks off before its next name or value is at no field that could be told.
        let path = error.path().to_string();
        let known = if path == "?" { "." } else { path.trim_end_matches(".?") };
        unreadable(known, error.inner())
    })?;
    deserializer.end().map_err(|error| unreadable(".", &error))?;
    Ok(object.0)
}

fn unreadable(path: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    let field = match (path, missing) {
        (".", None) => None,
        (".", Some(missing)) => Some(missing.to_owned()),
        (path, None) => Some(path.to_owned()),
        (path, Some(missing)) => Some(format!("{path}.{missing}")),
    };
    let error = ShopError { field: field.map(Cow::Owned), ..ShopError::invalid("", text) };
    error.into()
}

/// A JSON object read as `T`; serde alone would take an array for a struct.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// A number or string as it stood in the request: the course's clients send ids and money as either.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Literal(Box<RawValue>);

impl Literal {
    /// An integer without plus sign, zeros in front, fraction or exponent.
    ///
    /// # Errors
    /// 400 at `field`.
    pub(crate) fn integer(&self, field: &'static str) -> Result<i64, Problem> {
        let text = self.text();
        let integer = text.as_deref().and_then(canonical_integer);
        integer.ok_or_else(|| Problem::invalid(field, "an integer, as a number or a string"))
    }

    /// An amount of yuan with at most two decimals and no exponent. Less than zero is read too: the rules refuse it.
    ///
    /// # Errors
    /// 400 at `field`.
    pub(crate) fn money(&self, field: &'static str) -> Result<Fen, Problem> {
        let text = self.text();
        let amount = text.as_deref().and_then(|text| match text.strip_prefix('-') {
            Some(positive) => Fen::ZERO.checked_sub(Fen::parse_lenient(positive).ok()?),
            None => Fen::parse_lenient(text).ok(),
        });
        amount.ok_or_else(|| Problem::invalid(field, "an amount of yuan with at most two decimals"))
    }

    fn text(&self) -> Option<Cow<'_, str>> {
        let source = self.0.get();
        match source.bytes().next() {
            Some(b'"') => serde_json::from_str(source).ok().map(Cow::Owned),
            Some(b'-' | b'0'..=b'9') => Some(Cow::Borrowed(source)),
            _ => None,
        }
    }
}

/// A moment as RFC 3339 in UTC with milliseconds: `2026-11-21T07:00:00.000Z`.
pub(crate) struct Moment(pub(crate) i64);

impl Serialize for Moment {
    /// A moment that RFC 3339 cannot say is told as the last it can.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let moment = Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::MAX);
        serializer.collect_str(&format_args!("{moment:.3}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_breaks_off_is_at_the_last_field_it_names() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "it is never read to its end")]
        struct Outer {
            inner: Inner,
        }
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "it is never read to its end")]
        struct Inner {
            count: i64,
        }
        let field = |text: &str| read::<Outer>(text).unwrap_err().error.field;
        for text in ["", "{", r#"{""#, r#"{"inn"#] {
            assert_eq!(field(text), None, "{text}");
        }
        assert_eq!(field(r#"{"inner":{"co"#).as_deref(), Some("inner"));
        assert_eq!(field(r#"{"inner":{"count":"#).as_deref(), Some("inner.count"));
        assert_eq!(field(r#"{"inner":{"count":true}}"#).as_deref(), Some("inner.count"));
    }

    fn literal(text: &str) -> Literal {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn integers_are_read_from_their_source_text() {
        for (text, integer) in [
            ("9007199254740993", 9_007_199_254_740_993),
            ("\"345963634385633280\"", 345_963_634_385_633_280),
            ("-1", -1),
        ] {
            assert_eq!(literal(text).integer("x"), Ok(integer), "{text}");
        }
        for text in ["1.0", "1e3", "\"+1\"", "\"007\"", "\" 1\"", "\"\"", "9223372036854775808", "true", "[1]", "{}"] {
            assert!(literal(text).integer("x").is_err(), "{text}");
        }
    }

    #[test]
    fn money_is_read_from_its_source_text() {
        for (text, fen) in [
            ("5000", 500_000),
            ("\"5000\"", 500_000),
            ("880.5", 88_050),
            ("0.1", 10),
            ("\"0.01\"", 1),
            ("-1", -100),
            ("-0", 0),
            ("\"-0.00\"", 0),
            ("9999999999.99", 999_999_999_999),
        ] {
            assert_eq!(literal(text).money("x"), Ok(Fen::new(fen)), "{text}");
        }
        let refused = [
            "1.005",
            "1e3",
            "1E+2",
            "1.0e-2",
            "1e400",
            "\"NaN\"",
            "\"Infinity\"",
            "\"-inf\"",
            "\"1,000.00\"",
            "\"1 000\"",
            "\"１２\"",
            "\"٣\"",
            "\"0x10\"",
            "\"+5\"",
            "\".5\"",
            "\"5.\"",
            "\"00.10\"",
            "\"--1\"",
            "10000000000",
            "true",
            "[]",
            "{}",
            "\"\\ud800\"",
        ];
        for text in refused {
            assert!(literal(text).money("x").is_err(), "{text}");
        }
    }

    #[test]
    fn moments_have_milliseconds_and_no_zone_but_utc() {
        let say = |millis| serde_json::to_string(&Moment(millis)).unwrap();
        assert_eq!(say(0), "\"1970-01-01T00:00:00.000Z\"");
        assert_eq!(say(1_795_244_400_007), "\"2026-11-21T07:00:00.007Z\"");
        assert_eq!(say(i64::MAX), "\"9999-12-30T22:00:00.999Z\"");
    }
}
