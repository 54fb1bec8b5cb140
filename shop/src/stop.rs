//! The signals that end a process.

use std::{io, process};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// ^C and SIGTERM, heard from when this is made.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

/// A signal has come; what the process ends with if nothing is waited for: 128 and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped(pub(crate) u8);

impl Stop {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for a signal.
    pub(crate) async fn asked(&mut self) -> Stopped {
        tokio::select! {
            _ = self.interrupt.recv() => Stopped(130),
            _ = self.terminate.recv() => Stopped(143),
        }
    }

    /// Starts; a signal ends the process at once, for nothing has been promised yet.
    pub(crate) async fn unless_asked<T>(&mut self, start: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            _ = self.asked() => process::exit(0),
            started = start => started,
        }
    }

    /// Drains; a second signal ends the process at once. Nothing is lost: what is owed stands in rows.
    pub(crate) async fn or_at_once<T>(&mut self, drain: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            Stopped(code) = self.asked() => process::exit(code.into()),
            drained = drain => drained,
        }
    }
}
