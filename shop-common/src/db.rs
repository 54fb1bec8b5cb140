//! The database of a service. [`Db::write_tx`] and [`Db::read_tx`] alone begin transactions in the whole shop.
//!
//! SQLite (one file per service) and MySQL (one schema per service) run the same SQL text. Writers of one SQLite file
//! queue up for a pool of one connection: fair, and no two of them ever meet in SQLite's busy handler, which polls
//! without a queue; those that queued up share a commit. Reads have connections of their own.

mod points;
mod shared;

#[cfg(debug_assertions)]
pub use points::{Step, Watch};

use std::{sync::Arc, time::Duration};

use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, DatabaseTransaction,
    DbErr, IsolationLevel, RuntimeErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use self::{
    points::{At, Points},
    shared::SharedTx,
};
use crate::config::{Secret, at_least_one};

/// Longest wait for a connection: a database that is away, or whose connections are all taken, is said to be so before
/// the caller has given up.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a SQLite file that somebody has alone is waited for, and how often it is tried.
const OPEN_PATIENCE: Duration = Duration::from_secs(5);
const OPEN_PAUSE: Duration = Duration::from_millis(50);

/// An open transaction; whoever asks for one cannot be called outside of it.
pub type Tx = DatabaseTransaction;

/// Why a transaction did not commit.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The database said no (constraint, deadlock, a guard that no longer held): load again and decide again.
    #[error("rolled back: {0}")]
    Rollback(Arc<str>),
    /// The answer to COMMIT, or to a call, was lost: whether it was done is not known.
    #[error("database away: {0}")]
    Down(Arc<str>),
    /// Certainly not done: there was no connection to begin on, it broke before COMMIT, or the call was turned away.
    #[error("not done: {0}")]
    NotRun(Arc<str>),
}

/// Result of whatever touches the database.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Where a service keeps its rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite://<file>` or `mysql://<user>:<password>@<host>/<schema>`.
    pub url: Secret,
    /// Connections for reading on SQLite (writing has one more), for everything on MySQL.
    #[serde(deserialize_with = "at_least_one")]
    pub max_connections: u32,
}

/// A turn to write: nobody else writes to the same SQLite file until it was used or dropped. MySQL gives none.
#[derive(Debug)]
pub struct Turn(Option<shared::Turn>);

impl Turn {
    /// Where nobody has to wait for one.
    pub const FREE: Self = Self(None);
}

/// The database of one service.
#[derive(Clone, Debug)]
pub struct Db {
    write: DatabaseConnection,
    read: DatabaseConnection,
    /// Of a SQLite file.
    shared: Option<SharedTx>,
    points: Points,
}

impl Failure {
    /// What was decided under the lock no longer held when it was written: `what` names the rows.
    pub fn guard(what: &str) -> Self {
        Self::Rollback(format!("guard on {what} did not hold").into())
    }

    /// The same, where COMMIT was never sent.
    fn before_commit(self) -> Self {
        match self {
            Self::Down(why) => Self::NotRun(why),
            other => other,
        }
    }
}

impl Db {
    /// Connects; creates a SQLite file that is not there.
    ///
    /// # Errors
    /// The database is away or may have no connections, or a MySQL schema is not `utf8mb4_bin` or not READ COMMITTED.
    pub async fn connect(config: &DatabaseConfig) -> Result<Self> {
        let url = config.url.reveal();
        if config.max_connections == 0 {
            return Err(Failure::NotRun("max_connections must be at least 1".into()));
        }
        if url.starts_with("sqlite:") {
            let read = open(sqlite(url, config.max_connections), url).await?;
            let write = open(sqlite(url, 1), url).await?;
            return Ok(Self { write, read, shared: Some(SharedTx::default()), points: Points::NONE });
        }
        let both = open(mysql(url, config.max_connections), url).await?;
        check_mysql(&both).await?;
        Ok(Self { write: both.clone(), read: both, shared: None, points: Points::NONE })
    }

    /// This database with `watch` told of its steps; `gone` is one that was closed. For tests: not in release builds.
    #[cfg(debug_assertions)]
    #[must_use]
    pub fn watched(self, watch: Arc<dyn Watch>, gone: &Self) -> Self {
        Self { points: Points::new(watch, gone.read.clone()), ..self }
    }

    /// For reading outside of transactions.
    pub fn read(&self) -> &DatabaseConnection {
        self.points.reader(&self.read)
    }

    /// For migrations, which bring their own transactions.
    pub(crate) const fn writer(&self) -> &DatabaseConnection {
        &self.write
    }

    /// Waits for a turn to write, for whoever wants to decide what to write when it has come.
    ///
    /// # Errors
    /// [`Failure::NotRun`] when others take too long.
    pub async fn turn(&self) -> Result<Turn> {
        self.points.pass(At::Begin).await.map_err(Failure::before_commit)?;
        match &self.shared {
            Some(shared) => Ok(Turn(Some(shared.turn().await?))),
            None => Ok(Turn::FREE),
        }
    }

    /// Runs `body` in one transaction, once. An error of the body rolls back.
    ///
    /// # Errors
    /// The body's; [`Failure::Down`] only when the answer to COMMIT was lost.
    pub async fn write_tx<T>(&self, body: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
        self.write_tx_in(self.turn().await?, body).await
    }

    /// The same in a turn of [`Db::turn`].
    ///
    /// # Errors
    /// As [`Db::write_tx`].
    pub async fn write_tx_in<T>(&self, turn: Turn, body: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
        let value = match (&self.shared, turn.0) {
            (Some(shared), Some(turn)) => shared.write(turn, &self.write, &self.points, body).await?,
            _ => in_tx(&self.write, &self.points, TransactionOptions::default(), body).await?,
        };
        self.points.pass(At::Committed).await?;
        Ok(value)
    }

    /// Runs `body`, which only reads, in one transaction: all of its statements see the same rows, whatever others
    /// commit meanwhile.
    ///
    /// # Errors
    /// The body's.
    pub async fn read_tx<T>(&self, body: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
        let options = match self.read.get_database_backend() {
            DatabaseBackend::MySql => TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                ..Default::default()
            },
            _ => TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Deferred),
                ..Default::default()
            },
        };
        in_tx(self.read(), &Points::NONE, options, body).await
    }

    /// Gives all connections back.
    pub async fn close(self) {
        if let Some(shared) = &self.shared {
            shared.give_up().await;
        }
        for connection in [self.write, self.read] {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "closing a database connection failed");
            }
        }
    }
}

async fn open(options: ConnectOptions, url: &str) -> Result<DatabaseConnection> {
    // The driver quotes a URL that it cannot read, password and all.
    let hidden = |error: DbErr| Failure::Down(error.to_string().replace(url, "***").into());
    let until = Instant::now() + OPEN_PATIENCE;
    loop {
        match Database::connect(options.clone()).await {
            Err(error) if is_locked(&error) && Instant::now() < until => tokio::time::sleep(OPEN_PAUSE).await,
            opened => return opened.map_err(hidden),
        }
    }
}

/// Whoever closes a SQLite file as the last one, or opens it as the first, has it alone for a moment; whoever opens it then
/// is told so at once, whatever its busy timeout.
fn is_locked(error: &DbErr) -> bool {
    let DbErr::Conn(RuntimeErr::SqlxError(driver)) = error else { return false };
    let code =
        driver.as_database_error().and_then(sqlx::error::DatabaseError::code).and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

#[expect(clippy::disallowed_methods, reason = "the one place that begins a transaction")]
async fn in_tx<T>(
    connection: &DatabaseConnection,
    points: &Points,
    options: TransactionOptions,
    body: impl AsyncFnOnce(&Tx) -> Result<T>,
) -> Result<T> {
    let tx = connection.begin_with_options(options).await.map_err(|error| Failure::from(error).before_commit())?;
    match body(&tx).await {
        Ok(value) => {
            points.pass(At::Commit).await?;
            tx.commit().await.map(|()| value).map_err(Failure::from)
        }
        Err(failure) => {
            roll_back(tx).await;
            Err(failure.before_commit())
        }
    }
}

/// Whether it could be rolled back; else its connection is dropped.
async fn roll_back(tx: Tx) -> bool {
    let rolled_back = tx.rollback().await;
    rolled_back.inspect_err(|error| tracing::warn!(%error, "rollback failed; the connection is dropped")).is_ok()
}

impl From<DbErr> for Failure {
    /// Sorts driver errors once: what the database itself answered is a rollback, everything else means it is away.
    fn from(error: DbErr) -> Self {
        let text: Arc<str> = error.to_string().into();
        let runtime = match &error {
            DbErr::Exec(runtime) | DbErr::Query(runtime) => runtime,
            DbErr::Conn(_) | DbErr::ConnectionAcquire(_) => return Self::Down(text),
            _ => return Self::Rollback(text),
        };
        let RuntimeErr::SqlxError(driver) = runtime else { return Self::Down(text) };
        match driver.as_database_error() {
            Some(answer) if !is_away(answer.code().as_deref(), error_number(answer)) => Self::Rollback(text),
            _ => Self::Down(text),
        }
    }
}

/// SQLite 8 read-only, 10 I/O, 13 full, 14 cannot open; MySQL 1040 too many connections, 1053 shutting down.
fn is_away(code: Option<&str>, mysql: Option<u16>) -> bool {
    if mysql.is_some() {
        return matches!(mysql, Some(1040 | 1053));
    }
    let primary = code.and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xff);
    matches!(primary, Some(8 | 10 | 13 | 14))
}

fn error_number(answer: &dyn sqlx::error::DatabaseError) -> Option<u16> {
    answer.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>().map(sqlx::mysql::MySqlDatabaseError::number)
}

fn options(url: &str, max_connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(max_connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .sqlx_logging(false);
    options
}

fn sqlite(url: &str, max_connections: u32) -> ConnectOptions {
    use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
    let mut options = options(url, max_connections);
    options.idle_timeout(None).max_lifetime(None).map_sqlx_sqlite_opts(|sqlite| {
        sqlite
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .statement_cache_capacity(500)
    });
    options
}

fn mysql(url: &str, max_connections: u32) -> ConnectOptions {
    let mut options = options(url, max_connections);
    options.map_sqlx_mysql_opts(|mysql| mysql.collation("utf8mb4_bin").statement_cache_capacity(500));
    options.map_sqlx_mysql_pool_opts(|pool| {
        pool.after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::Executor::execute(connection, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                Ok(())
            })
        })
    });
    options
}

async fn check_mysql(db: &DatabaseConnection) -> Result<()> {
    let ask = |sql: &str, column: &'static str| {
        let statement = Statement::from_string(DatabaseBackend::MySql, sql);
        async move {
            let row = db.query_one_raw(statement).await?;
            row.map(|row| row.try_get::<String>("", column)).transpose().map(Option::unwrap_or_default)
        }
    };
    let isolation =
        ask("SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')", "Value").await?;
    let collation = ask("SHOW VARIABLES LIKE 'collation_database'", "Value").await?;
    if isolation != "READ-COMMITTED" || collation != "utf8mb4_bin" {
        let found = format!("the schema must be utf8mb4_bin and READ COMMITTED, not {collation} and {isolation}");
        return Err(Failure::Down(found.into()));
    }
    Ok(())
}
