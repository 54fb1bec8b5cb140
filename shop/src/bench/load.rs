//! How orders come: an open loop that does not wait for answers, or a closed loop of clients that do.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use hdrhistogram::CreationError;
use rand_distr::ExpError;
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until},
};

use super::{args::End, arrivals::Arrivals, histogram::Latencies};

/// Wrong answers that are kept word by word; the others are only counted.
const KEPT: usize = 20;

/// What one visit of a client came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its answers by kind: `confirmed`, or the code it was refused with.
    pub(super) answers: Vec<&'static str>,
    /// Orders it placed.
    pub(super) confirmed: u64,
    /// Whether all of it was done. Where the shop was busy or did not know, its time is no latency.
    pub(super) is_served: bool,
    /// Answers of another class than they must be.
    pub(super) wrong: Vec<String>,
}

/// What all visits came to.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) latencies: Latencies,
    pub(super) answers: BTreeMap<&'static str, u64>,
    pub(super) confirmed: u64,
    pub(super) wrong: u64,
    pub(super) wrong_answers: Vec<String>,
}

/// The tally as visits share it.
pub(super) type Shared = Arc<Mutex<Tally>>;

/// Why a load could not be run.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// The rate is no rate.
    #[error(transparent)]
    Rate(#[from] ExpError),
    /// A visit panicked.
    #[error(transparent)]
    Panicked(#[from] JoinError),
}

impl Tally {
    pub(super) fn new() -> Result<Self, CreationError> {
        Ok(Self {
            latencies: Latencies::new()?,
            answers: BTreeMap::new(),
            confirmed: 0,
            wrong: 0,
            wrong_answers: Vec::new(),
        })
    }

    /// Adds a visit that was meant to start at `intended` and has just ended.
    pub(super) fn add(&mut self, seen: Seen, intended: Instant) {
        if seen.is_served {
            self.latencies.record(intended.elapsed());
        }
        for answer in seen.answers {
            let count = self.answers.entry(answer).or_default();
            *count = count.saturating_add(1);
        }
        self.confirmed = self.confirmed.saturating_add(seen.confirmed);
        for wrong in seen.wrong {
            self.wrong = self.wrong.saturating_add(1);
            if self.wrong_answers.len() < KEPT {
                self.wrong_answers.push(wrong);
            }
        }
    }
}

fn add(tally: &Shared, seen: Seen, intended: Instant) {
    tally.lock().unwrap_or_else(PoisonError::into_inner).add(seen, intended);
}

/// Visits arrive at random, `rate` per second, whether or not those before were answered. Each counts from the moment it
/// was meant to start: a shop that stalls makes all of them late that came meanwhile.
pub(super) async fn open<F, Fut>(rate: u32, end: End, seed: u64, tally: Shared, visit: F) -> Result<(), LoadError>
where
    F: Fn(u64) -> Fut,
    Fut: Future<Output = Seen> + Send + 'static,
{
    let start = Instant::now();
    let mut running = JoinSet::new();
    for (number, arrival) in (0..end.orders).zip(Arrivals::new(rate, seed)?) {
        if arrival >= end.duration {
            break;
        }
        let intended = start + arrival;
        sleep_until(intended).await;
        let (visit, tally) = (visit(number), Arc::clone(&tally));
        running.spawn(async move { add(&tally, visit.await, intended) });
        while let Some(ended) = running.try_join_next() {
            ended?;
        }
    }
    while let Some(ended) = running.join_next().await {
        ended?;
    }
    Ok(())
}

/// So many clients, each with its next visit as soon as the last one has ended.
pub(super) async fn closed<F, Fut>(clients: u16, end: End, tally: Shared, visit: F) -> Result<(), LoadError>
where
    F: Fn(u64) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Seen> + Send + 'static,
{
    let (until, next) = (Instant::now() + end.duration, Arc::new(AtomicU64::new(0)));
    let mut running = JoinSet::new();
    for _ in 0..clients {
        let (visit, tally, next) = (visit.clone(), Arc::clone(&tally), Arc::clone(&next));
        running.spawn(async move {
            loop {
                let (number, started) = (next.fetch_add(1, Ordering::Relaxed), Instant::now());
                if number >= end.orders || started >= until {
                    return;
                }
                add(&tally, visit(number).await, started);
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, time::Duration};

    use tokio::sync::Semaphore;

    use super::*;

    const A_DAY: Duration = Duration::from_secs(86_400);

    fn tally() -> Shared {
        Arc::new(Mutex::new(Tally::new().unwrap()))
    }

    fn confirmed() -> Seen {
        Seen { answers: vec!["confirmed"], confirmed: 1, is_served: true, wrong: Vec::new() }
    }

    #[tokio::test]
    async fn an_open_loop_does_not_wait_for_answers() {
        let (tally, end) = (tally(), End { duration: A_DAY, orders: 100 });
        let gate = Arc::new(Semaphore::new(0));
        // Nobody is answered before the last one has come.
        let visit = |number| {
            if number == 99 {
                gate.add_permits(100);
            }
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                confirmed()
            }
        };
        open(1_000_000, end, 1, Arc::clone(&tally), visit).await.unwrap();
        assert_eq!(tally.lock().unwrap().answers["confirmed"], 100);
    }

    #[tokio::test]
    async fn a_closed_loop_has_exactly_its_clients_on_their_way() {
        let (tally, end) = (tally(), End { duration: A_DAY, orders: 100 });
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (running, peak) = (Arc::clone(&now), Arc::clone(&most));
        let visit = move |_| {
            let (running, peak) = (Arc::clone(&running), Arc::clone(&peak));
            async move {
                peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                confirmed()
            }
        };
        closed(10, end, Arc::clone(&tally), visit).await.unwrap();
        assert_eq!((most.load(Ordering::SeqCst), tally.lock().unwrap().confirmed), (10, 100));
    }

    #[tokio::test]
    async fn nobody_starts_after_the_end() {
        let (tally, end) = (tally(), End { duration: Duration::ZERO, orders: u64::MAX });
        closed(2, end, Arc::clone(&tally), |_| async { confirmed() }).await.unwrap();
        open(10, end, 1, Arc::clone(&tally), |_| async { confirmed() }).await.unwrap();
        assert_eq!(tally.lock().unwrap().confirmed, 0);
    }

    #[test]
    fn what_was_not_served_has_no_latency_and_what_is_wrong_is_kept() {
        let mut tally = Tally::new().unwrap();
        let busy = Seen { answers: vec!["SHOP_BUSY"], wrong: vec!["w".into()], ..Seen::default() };
        (0..30).for_each(|_| tally.add(busy.clone(), Instant::now()));
        assert_eq!((tally.latencies.quantiles().max_us, tally.answers["SHOP_BUSY"]), (0, 30));
        assert_eq!((tally.wrong, tally.wrong_answers.len()), (30, KEPT));
    }
}
