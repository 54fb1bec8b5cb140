//! Forms as browsers read and write them, and the text that is signed.

use std::collections::BTreeMap;

use form_urlencoded::{Serializer, parse};

/// Parameters by name.
pub type Form = BTreeMap<String, String>;

/// Reads a body, whatever stands in it.
pub fn read(body: &str) -> Form {
    parse(body.as_bytes()).into_owned().collect()
}

/// The body of a form.
pub fn written(form: &Form) -> String {
    Serializer::new(String::new()).extend_pairs(form).finish()
}

/// What is signed: all but `without`, sorted, `k=v` joined by `&`.
pub fn text(form: &Form, without: &[&str]) -> String {
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
