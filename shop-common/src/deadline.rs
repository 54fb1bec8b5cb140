//! Until when the caller of the request being served waits: it goes with the task and shrinks along the chain of calls.
//!
//! Work that outlives its caller on purpose, from the moment an order is stored, runs under [`own_time`].

use std::{future::Future, time::Duration};

use tokio::{task::futures::TaskLocalFuture, time::Instant};

/// Deadline of a call that brings none.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Most that is kept of the caller's time for the answer to travel.
const MARGIN_MAX: Duration = Duration::from_millis(20);

tokio::task_local! {
    static CURRENT: Option<Instant>;
}

/// Until when the caller of this request waits; handlers find it in the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

impl Deadline {
    /// The deadline of a request that was served by [`crate::link::Serve`].
    pub fn of<T>(request: &tonic::Request<T>) -> Instant {
        request.extensions().get::<Self>().map_or_else(|| Instant::now() + DEFAULT_TIMEOUT, |deadline| deadline.0)
    }
}

/// The deadline of the task; none outside of any request and under [`own_time`].
pub fn current() -> Option<Instant> {
    CURRENT.try_with(|current| *current).unwrap_or_default()
}

/// How long a call of this task may take: its own `timeout`, or what the caller has left, less a tenth (20 ms at most)
/// for the answer to travel.
pub fn at_most(timeout: Duration) -> Duration {
    let Some(deadline) = current() else { return timeout };
    let left = deadline.saturating_duration_since(Instant::now());
    timeout.min(left.saturating_sub(MARGIN_MAX.min(left / 10)))
}

/// Runs `work` under this deadline.
pub fn scope<F: Future>(deadline: Option<Instant>, work: F) -> TaskLocalFuture<Option<Instant>, F> {
    CURRENT.scope(deadline, work)
}

/// Runs `work` whose calls take the time they need, whoever waits.
pub fn own_time<F: Future>(work: F) -> TaskLocalFuture<Option<Instant>, F> {
    scope(None, work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_gets_what_the_caller_has_left_minus_a_little() {
        let (second, now) = (Duration::from_secs(1), Instant::now());
        assert_eq!(at_most(second), second, "nobody waits");
        for (left, expected) in [(10_000, 1_000), (1_000, 980), (50, 45), (0, 0)] {
            let deadline = Some(now + Duration::from_millis(left));
            let granted = scope(deadline, async { at_most(second) }).await;
            assert_eq!(granted, Duration::from_millis(expected), "of {left} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_of_its_own_has_its_own_time() {
        let past = Some(Instant::now());
        let seen = scope(past, async { (current(), own_time(async { current() }).await) }).await;
        assert_eq!(seen, (past, None));
    }
}
