//! The tutorial's thread pool: `core` workers, a bounded queue, up to `max` workers while the queue is full.
//!
//! What does not fit is handed back, never run by the caller (trap 45: the callback blocked on the broker).

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::{Mutex, Semaphore, mpsc};

type Job = BoxFuture<'static, ()>;

/// A pool of workers.
#[derive(Clone)]
pub(super) struct Pool {
    queue: mpsc::Sender<Job>,
    jobs: Arc<Mutex<mpsc::Receiver<Job>>>,
    extra: Arc<Semaphore>,
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

    /// Whether the job was taken; a job that was not taken was not started.
    pub(super) fn submit(&self, job: Job) -> bool {
        let job = match self.queue.try_send(job) {
            Ok(()) => return true,
            Err(mpsc::error::TrySendError::Closed(_)) => return false,
            Err(mpsc::error::TrySendError::Full(job)) => job,
        };
        let Ok(slot) = Arc::clone(&self.extra).try_acquire_owned() else { return false };
        let jobs = Arc::clone(&self.jobs);
        tokio::spawn(async move {
            let mut next = Some(job);
            while let Some(job) = next {
                run(job).await;
                next = jobs.lock().await.try_recv().ok();
            }
            drop(slot);
        });
        true
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
    async fn a_full_pool_hands_back() {
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
        assert!(pool.submit(job()), "the core worker");
        started.acquire().await.unwrap().forget();
        assert!(pool.submit(job()), "the queue");
        assert!(pool.submit(job()), "the worker above core");
        started.acquire().await.unwrap().forget();
        assert!(!pool.submit(job()), "nobody is left, and the caller does not run it");
        gate.notify_waiters();
        started.acquire().await.unwrap().forget();
    }
}
