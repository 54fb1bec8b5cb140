//! The file: JSON lines, the first of which names the version. `docs/replay.md` is its manual.

mod line;

use std::{fmt::Write, io::BufRead};

use serde::{Deserialize, Serialize};

use self::line::Line;
pub use self::line::Sent;
use crate::notification::Notification;

/// The only version there is.
const VERSION: u64 = 1;
/// Largest line that is read; a notification has at most 64 KiB.
const LINE_BYTES: usize = 256 << 10;
/// What some editors put in front of a file.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    shop_replay: u64,
}

/// A recording that cannot be read; nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum BadRecording {
    /// The file.
    #[error("it cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The first line.
    #[error("line 1: a recording begins with {{\"shop_replay\":{VERSION}}}: {0}")]
    NoHead(String),
    /// Of another version.
    #[error("line 1: version {0} is not known, only {VERSION} is")]
    Version(u64),
    /// A line.
    #[error("line {number}: {reason}")]
    Line {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads a recording whose every notification `check` lets pass; empty lines, and a byte order mark, are passed over.
///
/// # Errors
/// [`BadRecording`] for the first line that is wrong.
pub fn read(
    mut file: impl BufRead,
    check: impl Fn(&Notification) -> Result<(), String>,
) -> Result<Vec<Notification>, BadRecording> {
    let mut notifications = Vec::new();
    let mut has_head = false;
    for number in 1.. {
        let mut bytes = Vec::new();
        let read = std::io::Read::take(&mut file, u64::try_from(LINE_BYTES).unwrap_or(u64::MAX))
            .read_until(b'\n', &mut bytes)?;
        if read == 0 {
            break;
        }
        let bad = |reason: String| BadRecording::Line { number, reason };
        if read == LINE_BYTES {
            return Err(bad(format!("longer than {LINE_BYTES} bytes")));
        }
        if number == 1 && bytes.starts_with(MARK) {
            bytes.drain(..MARK.len());
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        if has_head {
            let line: Line = serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
            let notification = line.into_notification().map_err(bad)?;
            check(&notification).map_err(bad)?;
            notifications.push(notification);
            continue;
        }
        let head: Head = serde_json::from_slice(&bytes).map_err(|error| BadRecording::NoHead(error.to_string()))?;
        if head.shop_replay != VERSION {
            return Err(BadRecording::Version(head.shop_replay));
        }
        has_head = true;
    }
    if has_head { Ok(notifications) } else { Err(BadRecording::NoHead("the file is empty".to_owned())) }
}

/// The first line.
pub fn head() -> String {
    format!("{{\"shop_replay\":{VERSION}}}\n")
}

/// One line, with what became of it where it was sent.
pub fn line(notification: &Notification, sent: Option<Sent>) -> String {
    let mut text = String::new();
    // A line is text, numbers and lists: it always has a JSON form, and a string is always there to be written to.
    if let Ok(json) = serde_json::to_string(&Line::of(notification, sent)) {
        writeln!(text, "{json}").unwrap_or_default();
    }
    text
}

#[cfg(test)]
mod tests;
