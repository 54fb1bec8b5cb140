//! Reads of single rows, taken together: keys that queue up while others are read share the next statement.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Arc,
};

use crate::{
    batch::{Batcher, Command, Limits, NotDone},
    code::ShopCode,
    db::{Db, Reader, Result},
    error::ShopError,
};
use futures::future::BoxFuture;

/// Finds rows by key, outside of transactions; clones share one queue.
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
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// A lookup in `db` by `read`, which is given keys and answers with the rows it found and their keys.
    pub fn new<F>(db: Db, read: F) -> Self
    where
        F: for<'a> Fn(&'a Reader, Vec<K>) -> BoxFuture<'a, Result<Vec<(K, V)>>> + Clone + Send + Sync + 'static,
    {
        Self(Batcher::new(Limits::default(), move |keys: Arc<[Key<K>]>| {
            let (db, read) = (db.clone(), read.clone());
            async move {
                let wanted = keys.iter().map(|key| key.0.clone()).collect();
                let found: HashMap<K, V> = read(db.read(), wanted).await?.into_iter().collect();
                Ok(keys.iter().map(|key| found.get(&key.0).cloned()).collect())
            }
        }))
    }

    /// The row of `key`, if there is one.
    ///
    /// # Errors
    /// `SHOP_BUSY` when too many wait, `SHOP_UNAVAILABLE` when the database cannot be read.
    pub async fn get(&self, key: K) -> Result<Option<V>, ShopError> {
        self.0.run(Key(key), None).await.map_err(|error| unread(&error))
    }

    /// The rows of those of `keys` that have one, each once.
    ///
    /// # Errors
    /// As [`Lookup::get`].
    pub async fn get_all(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<V>, ShopError> {
        let keys: HashSet<K> = keys.into_iter().collect();
        let rows = self.0.run_all(keys.into_iter().map(|key| (Key(key), None))).await;
        let rows = rows.into_iter().filter_map(Result::transpose);
        rows.collect::<Result<_, _>>().map_err(|error| unread(&error))
    }
}

/// A read changes nothing: whatever became of it, nothing is unknown.
fn unread(error: &NotDone) -> ShopError {
    match error {
        NotDone::Busy | NotDone::Expired => ShopCode::Busy.into(),
        NotDone::Away(_) | NotDone::Unknown(_) => ShopCode::Unavailable.into(),
    }
}
