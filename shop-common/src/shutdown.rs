//! Graceful shutdown: one switch, watched by whoever runs in a loop.

use std::future::Future;

use tokio::sync::watch;

/// The side that stops.
#[derive(Debug)]
pub struct Switch(watch::Sender<bool>);

/// The side that is stopped; clone it freely.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// A switch and what it stops. Dropping the switch stops too.
pub fn channel() -> (Switch, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Switch(sender), Shutdown(receiver))
}

impl Switch {
    /// Stops everything that watches.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Whether it has been stopped.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until it is stopped.
    pub async fn stopped(mut self) {
        let gone = self.0.wait_for(|stopped| *stopped).await;
        drop(gone);
    }

    /// Runs `work` unless and until it is stopped; `None` when it was.
    pub async fn race<F: Future>(&self, work: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            () = self.clone().stopped() => None,
            output = work => Some(output),
        }
    }
}
