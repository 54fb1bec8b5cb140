//! What commands print.

use std::io::{self, ErrorKind, Write};

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

/// Prints what nobody waits for: where it cannot be written, the log says so, and work goes on.
pub(crate) fn announce(text: &str) {
    if let Err(error) = say(text) {
        tracing::warn!(%error, text, "it could not be printed");
    }
}
