//! The claim of a worker number: whoever makes ids for the rows of a database has its number alone while it runs (F74).
//!
//! A claim is a lock that ends with its holder, however that ends: on a file beside a SQLite file, or of the server on
//! MySQL. A `kill -9` leaves nothing behind, and nobody waits for a lease to run out.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
    sync::Arc,
    time::Duration,
};

use sqlx::{Connection, MySqlConnection, MySqlPool};
use tokio::{
    task::AbortHandle,
    time::{sleep, timeout},
};

use crate::{
    db::{Db, Failure},
    id::Generator,
};

/// How often it is seen that the server still keeps the lock, and tried to get it back.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// A worker number of one database; free again when this is dropped.
#[derive(Debug)]
pub struct Claim(#[expect(dead_code, reason = "it is held")] Lock);

#[derive(Debug)]
enum Lock {
    File(#[expect(dead_code, reason = "it is held")] File),
    Server(#[expect(dead_code, reason = "it is held")] Keeper),
}

/// The task that keeps the connection whose lock it is.
#[derive(Debug)]
struct Keeper(AbortHandle);

/// Why a number was not claimed.
#[derive(Debug, thiserror::Error)]
pub enum NotClaimed {
    /// Somebody else has it.
    #[error("another process makes ids with id.worker = {0} for the same database: give each a number of its own")]
    Taken(i32),
    /// The file cannot be locked.
    #[error("{0}: {1}")]
    Io(String, io::Error),
    /// The database did not answer.
    #[error("database: {0}")]
    Database(#[from] Failure),
}

impl Claim {
    /// Claims the number of `ids` for `db`. Where the claim is lost because its connection broke, `ids` makes none until it
    /// is back.
    ///
    /// # Errors
    /// See [`NotClaimed`].
    pub async fn take(db: &Db, ids: &Arc<Generator>) -> Result<Self, NotClaimed> {
        let worker = ids.worker();
        if let Some(file) = db.file() {
            return lock_file(file, worker).map(Self);
        }
        let pool = db.mysql().ok_or_else(|| Failure::NotRun("neither a file nor a server".into()))?.clone();
        let connection =
            lock_on_server(&pool, worker).await.map_err(|error| Failure::Down(error.to_string().into()))?;
        let connection = connection.ok_or(NotClaimed::Taken(worker))?;
        let keeper = tokio::spawn(keep(pool, connection, Arc::clone(ids)));
        Ok(Self(Lock::Server(Keeper(keeper.abort_handle()))))
    }
}

fn lock_file(database: &Path, worker: i32) -> Result<Lock, NotClaimed> {
    let path = format!("{}.worker-{worker}", database.display());
    let file = File::create(&path).map_err(|error| NotClaimed::Io(path.clone(), error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock::File(file)),
        Err(TryLockError::WouldBlock) => Err(NotClaimed::Taken(worker)),
        Err(TryLockError::Error(error)) => Err(NotClaimed::Io(path, error)),
    }
}

/// The connection whose lock it is; none where somebody else has it.
async fn lock_on_server(pool: &MySqlPool, worker: i32) -> Result<Option<MySqlConnection>, sqlx::Error> {
    let mut connection = pool.acquire().await?.detach();
    let text = "SELECT GET_LOCK(CONCAT('shop.', MD5(DATABASE()), '.worker.', ?), 0)";
    let locked: Option<i64> = sqlx::query_scalar(text).bind(worker).fetch_one(&mut connection).await?;
    Ok((locked == Some(1)).then_some(connection))
}

/// Keeps the lock for as long as the connection lives. When it breaks the server gives the lock away.
async fn keep(pool: MySqlPool, mut connection: MySqlConnection, ids: Arc<Generator>) {
    let worker = ids.worker();
    loop {
        sleep(HEARTBEAT).await;
        let answer = timeout(HEARTBEAT, connection.ping()).await;
        if matches!(answer, Ok(Ok(()))) {
            continue;
        }
        ids.revoke();
        tracing::error!(worker, ?answer, "the claim of the worker number is lost; no ids are issued until it is back");
        // It may only be slow, and would keep the lock from us.
        drop(connection);
        connection = loop {
            if let Ok(Some(again)) = lock_on_server(&pool, worker).await {
                break again;
            }
            sleep(HEARTBEAT).await;
        };
        ids.allow();
        tracing::warn!(worker, "the claim of the worker number is back");
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}
