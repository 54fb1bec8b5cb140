//! Users that are not ordering at the moment: a visit has its user for itself, so that its points can be told apart.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use tokio::sync::{Semaphore, SemaphorePermit};

/// The users of the benchmark.
pub(super) struct Buyers {
    free: Mutex<VecDeque<i64>>,
    count: Semaphore,
}

/// A user for one visit; free again when this is dropped.
pub(super) struct Buyer<'a> {
    id: i64,
    buyers: &'a Buyers,
    _permit: SemaphorePermit<'a>,
}

impl Buyers {
    pub(super) fn new(users: impl Iterator<Item = i64>) -> Self {
        let free: VecDeque<i64> = users.collect();
        Self { count: Semaphore::new(free.len()), free: Mutex::new(free) }
    }

    /// The one who has waited longest; waits while all of them are ordering.
    pub(super) async fn next(&self) -> Option<Buyer<'_>> {
        let permit = self.count.acquire().await.ok()?;
        let id = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
        Some(Buyer { id, buyers: self, _permit: permit })
    }
}

impl Buyer<'_> {
    pub(super) const fn id(&self) -> i64 {
        self.id
    }
}

impl Drop for Buyer<'_> {
    fn drop(&mut self) {
        self.buyers.free.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.id);
    }
}
