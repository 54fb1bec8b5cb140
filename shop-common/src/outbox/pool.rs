//! The tutorial's thread pool: `core` workers, a bounded queue, up to `max` workers while the queue is full.
//!
//! Where there is no place there is no job, and never is one run by the caller (trap 45: the callback blocked on the broker).

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::{
    Mutex, OwnedSemaphorePermit, Semaphore,
    mpsc::{self, error::TrySendError},
};

type Job = BoxFuture<'static, ()>;

type Jobs = Arc<Mutex<mpsc::Receiver<Job>>>;

/// A pool of workers.
#[derive(Clone)]
pub(super) struct Pool {
    queue: mpsc::Sender<Job>,
    jobs: Jobs,
    extra: Arc<Semaphore>,
}

/// Where one job goes.
pub(super) enum Place<'a> {
    /// Into the queue.
    Queue(mpsc::Permit<'a, Job>),
    /// To a worker above core.
    Extra(OwnedSemaphorePermit, Jobs),
}

impl Pool {
    pub(super) fn new(core: usize, max: usize, queue: usize) -> Self {
        let (sender, receiver) = mpsc::channel(queue.max(1));
        let jobs = Arc::new(Mutex::new(receiver));
        for _ in 0..core.max(1) {
            let jobs = Arc::clone(&jobs);
            tokio::spawn(async move {
                loop {
                    let job = jobs.lock().await.recv().await;
                    let Some(job) = job else { return };
                    run(job).await;
                }
            });
        }
        Self { queue: sender, jobs, extra: Arc::new(Semaphore::new(max.saturating_sub(core))) }
    }

    /// A place for one job, where there is one: whoever has none need not look for a job.
    pub(super) fn place(&self) -> Option<Place<'_>> {
        match self.queue.try_reserve() {
            Ok(place) => Some(Place::Queue(place)),
            Err(TrySendError::Closed(())) => None,
            Err(TrySendError::Full(())) => {
                let slot = Arc::clone(&self.extra).try_acquire_owned().ok()?;
                Some(Place::Extra(slot, Arc::clone(&self.jobs)))
            }
        }
    }
}

impl Place<'_> {
    /// Takes the job.
    pub(super) fn fill(self, job: Job) {
        match self {
            Self::Queue(place) => place.send(job),
            Self::Extra(slot, jobs) => {
                tokio::spawn(async move {
                    let mut next = Some(job);
                    while let Some(job) = next {
                        run(job).await;
                        next = jobs.lock().await.try_recv().ok();
                    }
                    drop(slot);
                });
            }
        }
    }
}

/// In a task of its own, so that a panic costs one job and not its worker.
async fn run(job: Job) {
    if let Err(panic) = tokio::spawn(job).await {
        tracing::error!(%panic, "sending from the outbox panicked; its rows stay until their lease ends");
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn a_full_pool_has_no_place() {
        let pool = Pool::new(1, 2, 1);
        let gate = Arc::new(Notify::new());
        let started = Arc::new(Semaphore::new(0));
        let job = || -> Job {
            let (gate, started) = (Arc::clone(&gate), Arc::clone(&started));
            Box::pin(async move {
                started.add_permits(1);
                gate.notified().await;
            })
        };
        let submit = |job| pool.place().map(|place| place.fill(job)).is_some();
        assert!(submit(job()), "the core worker");
        started.acquire().await.unwrap().forget();
        assert!(submit(job()), "the queue");
        assert!(submit(job()), "the worker above core");
        started.acquire().await.unwrap().forget();
        assert!(!submit(job()), "nobody is left, and the caller does not run it");
        gate.notify_waiters();
        started.acquire().await.unwrap().forget();
    }
}
