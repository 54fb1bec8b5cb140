//! What commands print.

use std::{
    error::Error,
    fmt::Display,
    io::{self, ErrorKind, Write},
};

use serde::Serialize;

/// Prints `text` and a line's end.
///
/// # Errors
/// It could not be written; a reader who has heard enough is none.
pub(crate) fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        said => said,
    }
}

/// Prints `what`, as text or as JSON.
///
/// # Errors
/// It is no JSON, or could not be written.
pub(crate) fn print(what: &(impl Display + Serialize), json: bool) -> Result<(), Box<dyn Error + Send + Sync>> {
    let text = if json { serde_json::to_string(what)? } else { what.to_string() };
    Ok(say(&text)?)
}

/// Prints what nobody waits for: where it cannot be written, the log says so, and work goes on.
pub(crate) fn announce(text: &str) {
    if let Err(error) = say(text) {
        tracing::warn!(%error, text, "it could not be printed");
    }
}
