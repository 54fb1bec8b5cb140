//! Forms as browsers read and write them, and the text that is signed.

use std::collections::BTreeMap;

use reqwest::Url;

pub(super) type Form = BTreeMap<String, String>;

/// Any base will do: only what follows the question mark is read and written.
const BASE: &str = "http://form/";

pub(super) fn read(body: &str) -> Form {
    match Url::parse(&format!("{BASE}?{body}")) {
        Ok(url) => url.query_pairs().into_owned().collect(),
        Err(_) => Form::new(),
    }
}

pub(super) fn written(form: &Form) -> String {
    let Ok(mut url) = Url::parse(BASE) else { return String::new() };
    url.query_pairs_mut().extend_pairs(form);
    url.query().unwrap_or_default().to_owned()
}

/// What is signed: all but `without`, sorted, `k=v` joined by `&`.
pub(super) fn text(form: &Form, without: &[&str]) -> String {
    let mut text = String::new();
    for (name, value) in form.iter().filter(|(name, _)| !without.contains(&name.as_str())) {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}
