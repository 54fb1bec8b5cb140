//! Alipay's gateway: requests that we sign, answers that Alipay signed.
//!
//! What is signed of an answer is the value of `<method>_response`, byte for byte as it came. An answer that is not
//! signed, by the key we hold, is not known, whatever it says.

use std::fmt;

use reqwest::header::CONTENT_TYPE;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};
use shop_common::{
    code::ShopCode,
    error::Result,
    time::{Clock, Millis},
};

use super::form::Form;
use crate::channel::{
    beijing,
    http::Caller,
    keys::{SigningKey, VerifyingKey},
};

/// The interface did what it was asked.
const DONE: &str = "10000";
/// It refused for a reason of the business, which stands in `sub_code`.
const REFUSED: &str = "40004";

/// Asks Alipay.
pub(super) struct Gateway {
    pub(super) caller: Caller,
    pub(super) clock: Clock,
    pub(super) app_id: String,
    pub(super) ours: SigningKey,
    pub(super) theirs: Vec<VerifyingKey>,
}

/// A genuine answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Done.
    Done(Fields),
    /// Not done, and why.
    Refused(Refusal),
}

/// A definite no, in Alipay's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) text: String,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// A field that is a text and not empty. A number is none: amounts are texts, and no amount is read from a float.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
impl From<Value> for Fields {
    fn from(value: Value) -> Self {
        Self(value.as_object().cloned().unwrap_or_default())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

impl Gateway {
    /// Calls `method` with `content`; notifications of what it makes go to `notify_url`.
    ///
    /// # Errors
    /// `SHOP_UNKNOWN`.
    pub(super) async fn call(&self, method: &str, content: &Value, notify_url: &str) -> Result<Reply> {
        let body = self.request(method, content, notify_url, self.clock.now())?.body();
        let request = self.caller.http().post(self.caller.base().clone());
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded;charset=utf-8").body(body);
        let answer = self.caller.ask(request).await?;
        if !answer.status.is_success() {
            tracing::warn!(method, status = answer.status.as_u16(), "alipay did not answer; not known");
            return Err(ShopCode::Unknown.into());
        }
        read(method, &answer.body, &self.theirs).map_err(|why| {
            tracing::warn!(method, why, "an answer of alipay cannot be used; not known");
            ShopCode::Unknown.into()
        })
    }

    /// The parameters of a request with our signature: of all of them but itself, sorted and joined.
    fn request(&self, method: &str, content: &Value, notify_url: &str, now: Millis) -> Result<Form> {
        let mut form = Form::default();
        for (name, value) in [
            ("app_id", self.app_id.as_str()),
            ("method", method),
            ("format", "JSON"),
            ("charset", "utf-8"),
            ("sign_type", "RSA2"),
            ("timestamp", &beijing::written(now)),
            ("version", "1.0"),
            ("notify_url", notify_url),
            ("biz_content", &content.to_string()),
        ] {
            form.set(name, value);
        }
        let sign = self.ours.sign(form.text(&[]).as_bytes())?;
        form.set("sign", sign);
        Ok(form)
    }
}

/// Reads an answer to `method`, or says why it cannot be used.
fn read(method: &str, body: &[u8], keys: &[VerifyingKey]) -> Result<Reply, String> {
    let answer: Members<'_> = serde_json::from_slice(body).map_err(|error| format!("no JSON object: {error}"))?;
    let content = answer.only(&format!("{}_response", method.replace('.', "_")))?.get();
    let signature = answer.only("sign")?.get();
    let signature: String = serde_json::from_str(signature).map_err(|_| "its signature is no text".to_owned())?;
    if !is_signed(content, &signature, keys) {
        return Err("its signature is wrong".to_owned());
    }
    let fields: Map<String, Value> = serde_json::from_str(content).map_err(|_| "no JSON object inside".to_owned())?;
    let fields = Fields(fields);
    match fields.get("code") {
        Some(DONE) => Ok(Reply::Done(fields)),
        Some(REFUSED) => {
            let code = fields.get("sub_code").ok_or("a refusal without a reason")?.to_owned();
            Ok(Reply::Refused(Refusal { code, text: fields.get("sub_msg").unwrap_or_default().to_owned() }))
        }
        code => Err(format!("code {}, {}", code.unwrap_or("none"), fields.get("sub_code").unwrap_or_default())),
    }
}

/// Alipay's own client tries again with `\/` read as `/`, which says the same in JSON; so do we.
fn is_signed(content: &str, signature: &str, keys: &[VerifyingKey]) -> bool {
    let plain = content.replace("\\/", "/");
    let signs = |text: &str| keys.iter().any(|key| key.is_signed(text.as_bytes(), signature));
    signs(content) || (plain != content && signs(&plain))
}

/// The members of a JSON object as they stand there, doubled ones too.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    fn only(&self, name: &str) -> Result<&'a RawValue, String> {
        let mut named = self.0.iter().filter(|(known, _)| known == name);
        match (named.next(), named.next()) {
            (Some((_, value)), None) => Ok(value),
            (Some(_), Some(_)) => Err(format!("{name} stands there twice")),
            (None, _) => Err(format!("there is no {name}")),
        }
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests;
