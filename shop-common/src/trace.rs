//! W3C trace context (`traceparent`) of the request being served: through gRPC, outbox rows and message properties.

use std::{fmt, future::Future, str::FromStr};

use tokio::task::{JoinHandle, futures::TaskLocalFuture};
use tracing::{Instrument, Span};

use crate::deadline;

/// A `traceparent` of version 00.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: u128,
    span: u64,
    sampled: bool,
}

tokio::task_local! {
    static CURRENT: TraceParent;
}

impl TraceParent {
    /// The start of a new trace.
    pub fn start() -> Self {
        Self { trace: rand::random::<u128>() | 1, span: rand::random::<u64>() | 1, sampled: true }
    }

    /// The context of the task; a new one outside of any request.
    pub fn current() -> Self {
        CURRENT.try_with(|current| *current).unwrap_or_else(|_| Self::start())
    }

    /// The next hop: the same trace, another span.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span: rand::random::<u64>() | 1, ..self }
    }

    /// The sender's context, or a new trace where it sent none that can be read.
    pub fn from_header(header: Option<&str>) -> Self {
        header.and_then(|text| text.parse().ok()).map_or_else(Self::start, Self::child)
    }

    /// The trace id, 32 hex digits, as it stands in every log line.
    pub fn trace_id(self) -> String {
        format!("{:032x}", self.trace)
    }

    /// Runs `work` under this context.
    pub fn scope<F: Future>(self, work: F) -> TaskLocalFuture<Self, F> {
        CURRENT.scope(self, work)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// The text is no `traceparent` of version 00.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotTraceParent;

impl FromStr for TraceParent {
    type Err = NotTraceParent;

    fn from_str(text: &str) -> Result<Self, NotTraceParent> {
        let hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let parts: Vec<&str> = text.split('-').collect();
        let [version, trace, span, flags] = parts.as_slice() else { return Err(NotTraceParent) };
        if *version != "00" || trace.len() != 32 || span.len() != 16 || flags.len() != 2 {
            return Err(NotTraceParent);
        }
        if !hex(trace) || !hex(span) || !hex(flags) {
            return Err(NotTraceParent);
        }
        let trace = u128::from_str_radix(trace, 16).map_err(|_| NotTraceParent)?;
        let span = u64::from_str_radix(span, 16).map_err(|_| NotTraceParent)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| NotTraceParent)?;
        if trace == 0 || span == 0 {
            return Err(NotTraceParent);
        }
        Ok(Self { trace, span, sampled: flags & 1 == 1 })
    }
}

/// Spawns `work` under the context, the deadline and the span of the caller: it lives on when the caller goes away.
pub fn spawn<F>(work: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // Boxed before it is wrapped: each layer would move all of it.
    let work = TraceParent::current().scope(Box::pin(work));
    tokio::spawn(deadline::scope(deadline::current(), work).instrument(Span::current()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_and_written_back() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(text.parse::<TraceParent>().unwrap().to_string(), text);
        assert_eq!(TraceParent::from_header(Some(text)).trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn garbage_starts_a_new_trace() {
        for text in [
            "",
            "00-0-0-0",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "zz",
            "00-é",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(text.parse::<TraceParent>().is_err(), "{text}");
        }
        assert_ne!(TraceParent::from_header(Some("zz")).trace, 0);
    }
}
