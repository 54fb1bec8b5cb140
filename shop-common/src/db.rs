//! The database of a service. [`Db::write_tx`] and [`Db::read_tx`] alone begin transactions in the whole shop.
//!
//! SQLite (one file per service) and MySQL (one schema per service) run the same SQL text. Writers of one SQLite file
//! queue up for its one connection that writes: fair, and no two of them ever meet in SQLite's busy handler, which polls
//! without a queue; those that queued up share a commit. Reads have connections of their own.

mod points;
mod row;
mod session;
mod shared;
mod sqlite;

#[cfg(debug_assertions)]
pub use points::{Step, Watch};
pub use row::{Cell, Row, Rows};
pub use session::{Reader, Tx};

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sea_orm::{
    AccessMode, ConnectOptions, ConnectionTrait, Database, DatabaseBackend, DatabaseConnection, DbErr, IsolationLevel,
    RuntimeErr, Statement, TransactionOptions, TransactionTrait,
};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use sqlx::MySqlPool;

use self::{
    points::{At, Points},
    session::Pool,
    shared::SharedTx,
    sqlite::Readers,
};
use crate::config::{Secret, at_least_one};

/// Longest wait for a connection: a database that is away, or whose connections are all taken, is said to be so before
/// the caller has given up.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

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
    #[serde(deserialize_with = "address")]
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
    read: Reader,
    /// Of a SQLite file; on MySQL who reads may write.
    shared: Option<SharedTx>,
    points: Points,
}

impl DatabaseConfig {
    /// The SQLite file `file`.
    pub fn sqlite(file: &Path, max_connections: u32) -> Self {
        Self { url: Secret::new(sqlite::url(file)), max_connections }
    }

    /// The file, on SQLite.
    ///
    /// # Errors
    /// The URL cannot be read.
    pub fn file(&self) -> Result<Option<PathBuf>> {
        let url = self.url.reveal();
        Ok(if url.starts_with("sqlite:") { Some(sqlite::file(url)?) } else { None })
    }
}

/// None is for whoever reads the configuration to choose.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    let url = Secret::deserialize(deserializer)?;
    let (text, engines) = (url.reveal(), ["sqlite:", "mysql:"]);
    if text.is_empty() || engines.iter().any(|engine| text.starts_with(engine)) {
        Ok(url)
    } else {
        Err(D::Error::custom("must be sqlite://FILE or mysql://USER:PASSWORD@HOST/SCHEMA"))
    }
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
        if let Some(file) = config.file()? {
            let read = Reader(Pool::Sqlite(Readers::open(file.clone(), config.max_connections).await?));
            let shared = Some(SharedTx::open(file).await?);
            return Ok(Self { read, shared, points: Points::NONE });
        }
        let both = open(url, config.max_connections).await?;
        check_mysql(&both).await?;
        Ok(Self { read: Reader(Pool::MySql(both)), shared: None, points: Points::NONE })
    }

    /// This database with `watch` told of its steps; `gone` is one that was closed. For tests: not in release builds.
    #[cfg(debug_assertions)]
    #[must_use]
    pub fn watched(self, watch: Arc<dyn Watch>, gone: &Self) -> Self {
        Self { points: Points::new(watch, gone.read.clone()), ..self }
    }

    /// For reading outside of transactions.
    pub fn read(&self) -> &Reader {
        self.points.reader(&self.read)
    }

    /// The file, on SQLite.
    pub fn file(&self) -> Option<&Path> {
        match &self.read.0 {
            Pool::Sqlite(readers) => Some(readers.file()),
            Pool::MySql(_) => None,
        }
    }

    /// The connections, on MySQL.
    pub fn mysql(&self) -> Option<&MySqlPool> {
        match &self.read.0 {
            Pool::Sqlite(_) => None,
            Pool::MySql(connection) => Some(connection.get_mysql_connection_pool()),
        }
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
        let value = match (&self.shared, turn.0, &self.read.0) {
            (Some(shared), Some(turn), _) => shared.write(turn, &self.points, body).await?,
            (_, _, Pool::MySql(connection)) => {
                in_tx(begin(connection, TransactionOptions::default()).await, &self.points, body).await?
            }
            _ => return Err(Failure::guard("turn")),
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
        let tx = match &self.read().0 {
            Pool::Sqlite(readers) => Tx::reading(readers).await,
            Pool::MySql(connection) => {
                let options = TransactionOptions {
                    isolation_level: Some(IsolationLevel::RepeatableRead),
                    access_mode: Some(AccessMode::ReadOnly),
                    ..Default::default()
                };
                begin(connection, options).await
            }
        };
        in_tx(tx, &Points::NONE, body).await
    }

    /// Gives all connections back.
    pub async fn close(self) {
        if let Some(shared) = &self.shared {
            shared.close().await;
        }
        self.read.close().await;
    }
}

async fn open(url: &str, max_connections: u32) -> Result<DatabaseConnection> {
    // The driver quotes a URL that it cannot read, password and all.
    let hidden = |error: DbErr| Failure::Down(error.to_string().replace(url, "***").into());
    Database::connect(mysql(url, max_connections)).await.map_err(hidden)
}

#[expect(clippy::disallowed_methods, reason = "the one place that begins a transaction on MySQL")]
async fn begin(connection: &DatabaseConnection, options: TransactionOptions) -> Result<Tx, DbErr> {
    connection.begin_with_options(options).await.map(Tx::of_mysql)
}

async fn in_tx<T>(tx: Result<Tx, DbErr>, points: &Points, body: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<T> {
    let tx = tx.map_err(|error| Failure::from(error).before_commit())?;
    match body(&tx).await {
        Ok(value) => {
            points.pass(At::Commit).await?;
            tx.commit().await.map(|()| value).map_err(Failure::from)
        }
        Err(failure) => {
            tx.roll_back().await;
            Err(failure.before_commit())
        }
    }
}

impl From<DbErr> for Failure {
    /// Sorts driver errors once: what the database itself answered is a rollback, everything else means it is away.
    fn from(error: DbErr) -> Self {
        let text: Arc<str> = error.to_string().into();
        match &error {
            DbErr::Conn(_) | DbErr::ConnectionAcquire(_) => Self::Down(text),
            DbErr::Exec(RuntimeErr::SqlxError(driver)) | DbErr::Query(RuntimeErr::SqlxError(driver)) => {
                match driver.as_database_error() {
                    Some(answer) if !is_away(answer) => Self::Rollback(text),
                    _ => Self::Down(text),
                }
            }
            _ => Self::Rollback(text),
        }
    }
}

/// MySQL 1040 too many connections, 1053 shutting down.
fn is_away(answer: &dyn sqlx::error::DatabaseError) -> bool {
    let answer = answer.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>();
    answer.is_some_and(|answer| matches!(answer.number(), 1040 | 1053))
}

fn mysql(url: &str, max_connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(max_connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .sqlx_logging(false);
    options.map_sqlx_mysql_opts(|mysql| mysql.collation("utf8mb4_bin").statement_cache_capacity(500));
    options.map_sqlx_mysql_pool_opts(|pool| {
        pool.after_connect(|connection, _| {
            Box::pin(async move {
                sqlx::Executor::execute(connection, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
                Ok(())
            })
        })
        // The pool itself waits without limit for one that was left in the middle of a question, and keeps its place.
        .after_release(|connection, _| {
            Box::pin(async move {
                let answer = tokio::time::timeout(ACQUIRE_TIMEOUT, sqlx::Connection::ping(connection)).await;
                answer.map_err(|_| sqlx::Error::PoolTimedOut)?.map(|()| true)
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
