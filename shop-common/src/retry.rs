//! Asking again without making an outage worse: pauses with full jitter, and a budget.
//!
//! Only calls that are idempotent are asked again: all of them carry the id of what they are about.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tonic::Status;
use tower::retry::budget::{Budget, TpsBudget};

use crate::{code::ShopCode, error::ShopError};

/// How long a call counts in the budget.
const WINDOW: Duration = Duration::from_secs(10);
/// Repeats per second that are always allowed: where there is little traffic a tenth of it is nothing.
const FLOOR_PER_SECOND: u32 = 10;
/// Repeats as a share of first calls.
const SHARE: f32 = 0.1;

/// How often calls to one dependency are asked again: a tenth of the traffic, and a floor. Clones share it.
#[derive(Clone, Debug)]
pub struct Retries {
    to: &'static str,
    budget: Arc<TpsBudget>,
    failing: Arc<AtomicBool>,
}

impl Retries {
    /// The budget of calls to `to`.
    pub fn new(to: &'static str) -> Self {
        Self { to, budget: Arc::new(TpsBudget::new(WINDOW, FLOOR_PER_SECOND, SHARE)), failing: Arc::default() }
    }

    /// Notes a call that is no repeat.
    pub fn first(&self) {
        self.budget.deposit();
    }

    /// Whether a call may be repeated now.
    pub fn may_repeat(&self) -> bool {
        let granted = self.budget.withdraw();
        if granted {
            metrics::counter!("shop_retries_total", "to" => self.to).increment(1);
        } else {
            metrics::counter!("shop_retry_budget_exhausted_total", "to" => self.to).increment(1);
        }
        granted
    }

    /// Waits for the turn of the next repeat; false where the time is up at `until` before it comes.
    pub async fn turn(&self, pauses: Pauses, repeats: &mut u32, until: Instant) -> bool {
        loop {
            let pause = pauses.next(*repeats);
            *repeats = repeats.saturating_add(1);
            if Instant::now() + pause >= until {
                return false;
            }
            sleep(pause).await;
            if self.may_repeat() {
                return true;
            }
        }
    }

    /// Makes `call`, for whoever comes again by itself (sweepers): after a failure every call is a repeat until one is
    /// answered.
    ///
    /// # Errors
    /// The call's; `SHOP_BUSY` where the budget is exhausted, and the call was not made.
    pub async fn ask<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        if !self.failing.load(Ordering::Relaxed) {
            self.first();
        } else if !self.may_repeat() {
            return Err(ShopError::from(ShopCode::Busy).into());
        }
        let answer = call.await;
        self.failing.store(answer.is_err(), Ordering::Relaxed);
        answer
    }
}

/// Exponential back-off with full jitter: anything up to `base`, doubled with each of `repeats`, capped.
#[derive(Clone, Copy, Debug)]
pub struct Pauses {
    /// Longest first pause.
    pub base: Duration,
    /// Longest pause.
    pub cap: Duration,
}

impl Pauses {
    /// The pause after `repeats` repeats. Callers that failed together come back apart.
    pub fn next(self, repeats: u32) -> Duration {
        let longest = self.base.saturating_mul(2_u32.saturating_pow(repeats)).min(self.cap);
        Duration::from_micros(rand::random_range(0..=u64::try_from(longest.as_micros()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(retries: &Retries, wanted: usize) -> usize {
        (0..wanted).filter(|_| retries.may_repeat()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn little_traffic_has_its_floor_and_an_outage_no_more_than_a_tenth() {
        let retries = Retries::new("test");
        assert_eq!(granted(&retries, 1_000), 100, "ten a second, of ten seconds");
        (0..5_000).for_each(|_| retries.first());
        assert_eq!(granted(&retries, 10_000), 500, "a tenth of what was asked");
        tokio::time::advance(WINDOW + Duration::from_secs(2)).await;
        assert_eq!(granted(&retries, 1_000), 100, "and the floor again");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_away_is_asked_within_the_budget_until_he_answers() {
        let retries = Retries::new("test");
        let mut asked = 0;
        for _ in 0..1_000 {
            let failed = retries
                .ask(async {
                    asked += 1;
                    Err::<(), _>(Status::unavailable("away"))
                })
                .await;
            assert!(failed.is_err());
        }
        assert_eq!(asked, 101, "the first, and the floor");
        tokio::time::advance(WINDOW + Duration::from_secs(2)).await;
        retries.ask(async { Ok(()) }).await.unwrap();
        for _ in 0..1_000 {
            retries.ask(async { Ok(()) }).await.unwrap();
        }
    }

    #[test]
    fn pauses_grow_up_to_their_cap_and_differ() {
        let pauses = Pauses { base: Duration::from_millis(20), cap: Duration::from_secs(1) };
        for (repeats, longest) in [(0, 20), (1, 40), (5, 640), (6, 1_000), (u32::MAX, 1_000)] {
            let drawn: Vec<Duration> = (0..64).map(|_| pauses.next(repeats)).collect();
            assert!(drawn.iter().all(|pause| *pause <= Duration::from_millis(longest)), "{repeats}");
            assert!(drawn.iter().any(|pause| *pause != drawn[0]), "{repeats}: all alike");
        }
    }
}
