//! Dead letters as text for people, as JSON for programs.

use std::fmt;

use serde::Serialize;
use shop_common::{dead::Letter, time::Millis};

use super::is_open;

/// What is listed.
#[derive(Default, Serialize)]
pub(super) struct Listed {
    /// How many are open.
    pub(super) open: usize,
    letters: Vec<Entry>,
}

/// A letter in a list.
#[derive(Serialize)]
struct Entry {
    id: String,
    service: &'static str,
    state: String,
    topic: String,
    tag: String,
    key: String,
    times: i64,
    last: String,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operator: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    operated: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// One letter with its bytes: as text where they are, as hexadecimal digits where not.
#[derive(Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    entry: Entry,
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(rename = "bodyHex", skip_serializing_if = "Option::is_none")]
    body_hex: Option<String>,
}

/// What was done.
#[derive(Serialize)]
pub(super) struct Done<'a> {
    pub(super) id: &'a str,
    pub(super) action: &'a str,
    pub(super) result: String,
}

impl Listed {
    pub(super) fn add(&mut self, service: &'static str, letters: Vec<Letter>) {
        self.open = self.open.saturating_add(letters.iter().filter(|letter| is_open(letter)).count());
        self.letters.extend(letters.into_iter().map(|letter| Entry::new(service, letter)));
    }
}

impl Entry {
    fn new(service: &'static str, letter: Letter) -> Self {
        Self {
            id: format!("{service}/{}", letter.place),
            service,
            state: letter.state.to_string(),
            topic: letter.topic,
            tag: letter.tag,
            key: letter.key,
            times: letter.times,
            last: letter.last.rfc3339(),
            reason: letter.reason,
            retry: letter.retry.map(Millis::rfc3339),
            operator: letter.operator,
            operated: letter.operated.map(Millis::rfc3339),
            note: letter.note,
        }
    }
}

impl Shown {
    pub(super) fn new(service: &'static str, letter: Letter, body: Vec<u8>) -> Self {
        let (entry, bytes) = (Entry::new(service, letter), body.len());
        match String::from_utf8(body) {
            Ok(text) => Self { entry, bytes, body: Some(text), body_hex: None },
            Err(error) => Self { entry, bytes, body: None, body_hex: Some(hex::encode(error.as_bytes())) },
        }
    }
}

/// One line for each letter, then how many are open.
impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.letters {
            writeln!(f, "{entry}")?;
        }
        write!(f, "{} open", self.open)
    }
}

/// `order/in/group/tag/42  open  3 times, last 2026-01-31T08:00:00Z  why it failed`
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, state, times, last, reason, .. } = self;
        write!(f, "{id}  {state}  {times} times, last {last}  {}", reason.escape_debug())?;
        if let Some(retry) = &self.retry {
            write!(f, "  (the broker tries again at {retry})")?;
        }
        if let (Some(operator), Some(at), Some(note)) = (&self.operator, &self.operated, &self.note) {
            write!(f, "  ({}, {at}: {})", operator.escape_debug(), note.escape_debug())?;
        }
        Ok(())
    }
}

/// As it is, but for what a terminal would obey.
fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => shown.push(character),
            other => shown.extend(other.escape_debug()),
        }
    }
    shown
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry, bytes, body, body_hex } = self;
        writeln!(f, "{entry}")?;
        let (topic, tag, key) = (entry.topic.escape_debug(), entry.tag.escape_debug(), entry.key.escape_debug());
        writeln!(f, "topic {topic}  tag {tag}  key {key}")?;
        match (body, body_hex) {
            (Some(text), _) => write!(f, "{bytes} bytes of text:\n{}", harmless(text)),
            (None, Some(digits)) => write!(f, "{bytes} bytes that are no UTF-8 text, hexadecimal:\n{digits}"),
            (None, None) => write!(f, "{bytes} bytes"),
        }
    }
}

impl fmt::Display for Done<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.action, self.id, self.result)
    }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_body_is_shown_as_it_is_but_for_what_a_terminal_obeys() {
        assert_eq!(harmless(r#"{"a":"\u00e9 课程 it's"}"#), r#"{"a":"\u00e9 课程 it's"}"#);
        assert_eq!(harmless("\u{1b}[2J\n\u{202e}"), "\\u{1b}[2J\\n\\u{202e}");
    }
}
