//! Graceful shutdown: one switch, watched by whoever runs in a loop. First the process says that it is going, so that
//! no new work is sent to it; then it stops.

use std::future::Future;

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Leaving,
    Stopped,
}

/// The side that stops.
#[derive(Debug)]
pub struct Switch(watch::Sender<Phase>);

/// The side that is stopped; clone it freely.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<Phase>);

/// A switch and what it stops. Dropping the switch stops too.
pub fn channel() -> (Switch, Shutdown) {
    let (sender, receiver) = watch::channel(Phase::Running);
    (Switch(sender), Shutdown(receiver))
}

impl Switch {
    /// Says that the stop is near: everything still works, but is not ready for more.
    pub fn leave(&self) {
        self.0.send_if_modified(|phase| {
            *phase == Phase::Running && {
                *phase = Phase::Leaving;
                true
            }
        });
    }

    /// Stops everything that watches.
    pub fn stop(&self) {
        self.0.send_replace(Phase::Stopped);
    }
}

impl Shutdown {
    /// Whether more may be sent here.
    pub fn is_ready(&self) -> bool {
        *self.0.borrow() == Phase::Running && self.0.has_changed().is_ok()
    }

    /// Whether it has been stopped.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() == Phase::Stopped || self.0.has_changed().is_err()
    }

    /// Waits until it is stopped.
    pub async fn stopped(mut self) {
        let gone = self.0.wait_for(|phase| *phase == Phase::Stopped).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_not_ready_before_it_is_stopped() {
        let (switch, shutdown) = channel();
        let states = |shutdown: &Shutdown| (shutdown.is_ready(), shutdown.is_stopped());
        assert_eq!(states(&shutdown), (true, false));
        switch.leave();
        assert_eq!(states(&shutdown), (false, false));
        assert_eq!(shutdown.race(async { 1 }).await, Some(1));
        switch.stop();
        switch.leave();
        assert_eq!(states(&shutdown), (false, true), "there is no way back");
        assert_eq!(shutdown.race(std::future::pending::<()>()).await, None);
    }

    #[test]
    fn a_switch_that_is_gone_stops() {
        let (switch, shutdown) = channel();
        drop(switch);
        assert_eq!((shutdown.is_ready(), shutdown.is_stopped()), (false, true));
    }
}
