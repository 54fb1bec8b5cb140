//! Reads of single rows, taken together: keys that queue up while others are read share the next statement.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
};

use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::{
    batch::{Batcher, Command, Limits, NotDone},
    code::ShopCode,
    db::{Db, Reader, Result},
    deadline::{self, DEFAULT_TIMEOUT},
    error::ShopError,
};

/// Finds rows by key, outside of transactions, here or at another service; clones share one queue.
#[derive(Debug)]
pub struct Lookup<K, V>(Batcher<Key<K>, Option<V>>);

#[derive(Clone, Debug)]
struct Key<K>(K);

impl<K: Clone + Send + Sync + 'static> Command for Key<K> {}

impl<K, V> Clone for Lookup<K, V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, V> Lookup<K, V>
where
    K: Clone + Ord + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// A lookup in `db` by `read`, which is given keys and answers with the rows it found and their keys.
    pub fn new<F>(db: Db, read: F) -> Self
    where
        F: for<'a> Fn(&'a Reader, Vec<K>) -> BoxFuture<'a, Result<Vec<(K, V)>>> + Clone + Send + Sync + 'static,
    {
        Self::by(Limits::default(), move |keys| {
            let (db, read) = (db.clone(), read.clone());
            async move { read(db.read(), keys).await }
        })
    }

    /// A lookup by calls of `ask`, which does the same.
    pub fn by_calls<F, Fut>(ask: F) -> Self
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<(K, V)>>> + Send + 'static,
    {
        Self::by(Limits::OF_CALLS, ask)
    }

    fn by<F, Fut>(limits: Limits, read: F) -> Self
    where
        F: Fn(Vec<K>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<(K, V)>>> + Send + 'static,
    {
        Self(Batcher::new(limits, move |keys: Arc<[Key<K>]>| {
            let wanted: BTreeSet<K> = keys.iter().map(|key| key.0.clone()).collect();
            let found = read(wanted.into_iter().collect());
            async move {
                let found: BTreeMap<K, V> = found.await?.into_iter().collect();
                Ok(keys.iter().map(|key| found.get(&key.0).cloned()).collect())
            }
        }))
    }

    /// The row of `key`, if there is one.
    ///
    /// # Errors
    /// `SHOP_BUSY` when too many wait, `SHOP_UNAVAILABLE` when it cannot be read.
    pub async fn get(&self, key: K) -> Result<Option<V>, ShopError> {
        self.0.run(Key(key), Some(patience())).await.map_err(|error| unread(&error))
    }

    /// The rows of those of `keys` that have one.
    ///
    /// # Errors
    /// As [`Lookup::get`].
    pub async fn get_all(&self, keys: impl IntoIterator<Item = K>) -> Result<BTreeMap<K, V>, ShopError> {
        let keys: BTreeSet<K> = keys.into_iter().collect();
        let rows = self.0.run_all(keys.iter().map(|key| (Key(key.clone()), Some(patience())))).await;
        let found = keys.into_iter().zip(rows).filter_map(|(key, row)| Some((key, row.transpose()?)));
        found.map(|(key, row)| Ok((key, row.map_err(|error| unread(&error))?))).collect()
    }
}

/// Until when a row is waited for: what the caller has left, less what his answer takes.
fn patience() -> Instant {
    Instant::now() + deadline::at_most(DEFAULT_TIMEOUT)
}

/// A read changes nothing: whatever became of it, nothing is unknown.
fn unread(error: &NotDone) -> ShopError {
    match error {
        NotDone::Busy | NotDone::Expired => ShopCode::Busy.into(),
        NotDone::Away(_) | NotDone::Unknown(_) => ShopCode::Unavailable.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use super::*;
    use crate::db::Failure;

    type Asked = Arc<Mutex<Vec<Vec<i64>>>>;

    /// Knows ten times every odd number, and notes what it is asked.
    fn tens() -> (Lookup<i64, i64>, Asked) {
        let asked = Asked::default();
        let noted = Arc::clone(&asked);
        let lookup = Lookup::by_calls(move |keys: Vec<i64>| {
            noted.lock().unwrap().push(keys.clone());
            async move { Ok(keys.into_iter().filter(|key| key % 2 == 1).map(|key| (key, key * 10)).collect()) }
        });
        (lookup, asked)
    }

    #[tokio::test]
    async fn keys_that_are_wanted_together_are_asked_for_once() {
        let (lookup, asked) = tens();
        let (one, both) = tokio::join!(lookup.get(3), lookup.get_all([3, 4, 5]));
        assert_eq!((one, both), (Ok(Some(30)), Ok([(3, 30), (5, 50)].into())));
        assert_eq!(*asked.lock().unwrap(), [[3, 4, 5]]);
        assert_eq!(lookup.get(4).await, Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_his_caller_and_a_read_that_failed_changed_nothing() {
        let hanging: Lookup<i64, i64> = Lookup::by_calls(|_| std::future::pending());
        let end = Instant::now() + Duration::from_secs(1);
        let unread = deadline::scope(Some(end), hanging.get(1)).await;
        assert_eq!(unread, Err(ShopCode::Unavailable.into()));
        assert!(Instant::now() < end, "there is time left to say so");
        for failure in [Failure::Down("lost".into()), Failure::NotRun("away".into())] {
            let failing: Lookup<i64, i64> = Lookup::by_calls(move |_| std::future::ready(Err(failure.clone())));
            assert_eq!(failing.get(1).await, Err(ShopCode::Unavailable.into()));
        }
    }
}
