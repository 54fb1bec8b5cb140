//! SQLite without a thread of its own for each connection: a statement of a transaction that writes runs where it is
//! awaited, for it is short and its rows are in memory; reads and commits, which may wait for the disk, run beside the
//! runtime.
//!
//! The driver of sqlx hands every statement to the thread of its connection, and every row back: in a batch of orders
//! the threads were put to sleep and woken more often than they computed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{
    ErrorCode, Statement as Prepared, params_from_iter,
    types::{ToSqlOutput, ValueRef},
};
use sea_orm::{
    DatabaseBackend, DbErr, ExecResult, MockDatabase, MockDatabaseTrait, MockExecResult, QueryResult, RuntimeErr,
    Statement, Value, Values,
};
use sqlx::sqlite::SqliteConnectOptions;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
    time::{Instant, sleep, timeout},
};

use super::{ACQUIRE_TIMEOUT, row::Row};

/// How long another process that writes is waited for, and how often it is tried.
const BUSY_PATIENCE: Duration = Duration::from_secs(10);
const BUSY_PAUSE: Duration = Duration::from_millis(2);
/// How long a file that somebody has alone is waited for, and how often it is tried.
const OPEN_PATIENCE: Duration = Duration::from_secs(5);
const OPEN_PAUSE: Duration = Duration::from_millis(50);

type Result<T, E = DbErr> = std::result::Result<T, E>;

/// The URL of a file, whatever its name.
pub(super) fn url(file: &Path) -> String {
    // What a URL would take for the start of something else.
    format!("sqlite://{}", file.display().to_string().replace('%', "%25").replace('?', "%3F"))
}

/// The file that a URL names.
pub(super) fn file(url: &str) -> Result<PathBuf> {
    let options = SqliteConnectOptions::from_str(url).map_err(|error| away(error.to_string()))?;
    Ok(options.get_filename().to_owned())
}

/// One connection; none any more once it was closed.
#[derive(Debug)]
pub(super) struct Connection(Mutex<Option<rusqlite::Connection>>);

impl Connection {
    /// Opens a file, or makes it. Whoever closes one as the last, or opens it as the first, has it alone for a moment.
    /// `patience` is how long one of its statements waits for another process, and keeps its thread.
    pub(super) async fn open(file: PathBuf, patience: Duration) -> Result<Self> {
        let until = Instant::now() + OPEN_PATIENCE;
        loop {
            let this = file.clone();
            match aside(move || Ok(open(&this, patience))).await? {
                Err(error) if is_busy(&error) && Instant::now() < until => sleep(OPEN_PAUSE).await,
                opened => {
                    return opened
                        .map(|opened| Self(Mutex::new(Some(opened))))
                        .map_err(|error| away(format!("{}: {error}", file.display())));
                }
            }
        }
    }

    pub(super) fn rows(&self, statement: &Statement) -> Result<Vec<Row>> {
        self.with(|connection| {
            let mut prepared = connection.prepare_cached(&statement.sql).map_err(sorted)?;
            let (names, kinds): (Vec<String>, Vec<Kind>) = columns(&prepared).into_iter().unzip();
            let names: Arc<[String]> = names.into();
            each_row(&mut prepared, statement.values.as_ref(), |row| {
                let cells = kinds.iter().enumerate().map(|(index, kind)| cell(row, index, *kind));
                Ok(Row::of_sqlite(Arc::clone(&names), cells.collect::<Result<_>>()?))
            })
        })
    }

    /// As sea-orm reads them.
    pub(super) fn query(&self, statement: &Statement) -> Result<Vec<QueryResult>> {
        self.with(|connection| {
            let mut prepared = connection.prepare_cached(&statement.sql).map_err(sorted)?;
            let mut columns: Vec<_> = columns(&prepared).into_iter().enumerate().collect();
            // Once, and not again for each row.
            columns.sort_by(|(_, (one, _)), (_, (other, _))| one.cmp(other));
            let rows = each_row(&mut prepared, statement.values.as_ref(), |row| {
                let cells = columns.iter().map(|(index, (name, kind))| {
                    Ok((name.clone(), cell(row, *index, *kind)?.unwrap_or(Value::BigInt(None))))
                });
                cells.collect::<Result<BTreeMap<_, _>>>()
            })?;
            MockDatabase::new(DatabaseBackend::Sqlite).append_query_results([rows]).query(0, nothing())
        })
    }

    pub(super) fn execute(&self, statement: &Statement) -> Result<ExecResult> {
        self.with(|connection| {
            let mut prepared = connection.prepare_cached(&statement.sql).map_err(sorted)?;
            prepared.execute(params_from_iter(bound(statement.values.as_ref())?)).map_err(sorted)?;
            outcome(connection)
        })
    }

    pub(super) fn run(&self, sql: &str) -> Result<ExecResult> {
        self.with(|connection| connection.execute_batch(sql).map_err(sorted).and_then(|()| outcome(connection)))
    }

    /// Rolls back what is open; whether that went well.
    fn roll_back(&self) -> bool {
        let rolled_back = self.with(|connection| {
            if connection.is_autocommit() { Ok(()) } else { connection.execute_batch("ROLLBACK").map_err(sorted) }
        });
        rolled_back.inspect_err(|error| tracing::warn!(%error, "rollback failed")).is_ok()
    }

    pub(super) fn close(&self) {
        drop(self.lock().take());
    }

    fn with<T>(&self, work: impl FnOnce(&rusqlite::Connection) -> Result<T>) -> Result<T> {
        let connection = self.lock();
        work(connection.as_ref().ok_or_else(closed)?)
    }

    fn lock(&self) -> MutexGuard<'_, Option<rusqlite::Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transaction of the one connection that writes to a file; dropped, it is rolled back.
#[derive(Debug)]
pub(super) struct Writing(Arc<Connection>);

impl Writing {
    /// The connection for it, of which no statement waits.
    pub(super) async fn connect(file: PathBuf) -> Result<Arc<Connection>> {
        Connection::open(file, Duration::ZERO).await.map(Arc::new)
    }

    /// Begins at once to write: a deferred transaction that reads and then writes dies of `SQLITE_BUSY` however long it
    /// waits.
    pub(super) async fn begin(connection: &Arc<Connection>) -> Result<Self> {
        let until = Instant::now() + BUSY_PATIENCE;
        loop {
            let begun = connection.with(|connection| Ok(connection.execute_batch("BEGIN IMMEDIATE")))?;
            match begun {
                Err(error) if is_busy(&error) && Instant::now() < until => sleep(BUSY_PAUSE).await,
                begun => return begun.map(|()| Self(Arc::clone(connection))).map_err(sorted),
            }
        }
    }

    pub(super) async fn commit(self) -> Result<()> {
        aside(move || self.0.run("COMMIT").map(drop)).await
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.0
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.roll_back();
    }
}

/// The connections that read a file, made when they are needed.
#[derive(Debug)]
pub(super) struct Readers {
    file: PathBuf,
    free: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    most: u32,
}

impl Readers {
    pub(super) async fn open(file: PathBuf, most: u32) -> Result<Arc<Self>> {
        let free = Mutex::new(vec![Connection::open(file.clone(), BUSY_PATIENCE).await?]);
        let permits = Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS)));
        Ok(Arc::new(Self { file, free, permits, most }))
    }

    pub(super) const fn file(&self) -> &PathBuf {
        &self.file
    }

    /// A connection for one reader.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Arc<Lease>> {
        let permit = timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| away("other readers took too long".to_owned()))?;
        let permit = permit.map_err(|_| closed())?;
        let free = self.free().pop();
        let connection = match free {
            Some(connection) => connection,
            None => Connection::open(self.file.clone(), BUSY_PATIENCE).await?,
        };
        Ok(Arc::new(Lease { connection: Some(connection), readers: Arc::clone(self), _permit: permit }))
    }

    /// Waits until all are given back.
    pub(super) async fn close(&self) {
        drop(self.permits.acquire_many(self.most).await);
        self.permits.close();
        self.free().clear();
    }

    fn free(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection of [`Readers`], given back when whoever asked and its statement are done.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Option<Connection>,
    readers: Arc<Readers>,
    _permit: OwnedSemaphorePermit,
}

impl Lease {
    /// Runs `work` beside the runtime.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let lease = Arc::clone(self);
        aside(move || match &lease.connection {
            Some(connection) => work(connection),
            None => Err(closed()),
        })
        .await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && connection.roll_back()
        {
            self.readers.free().push(connection);
        }
    }
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.map_err(|error| away(error.to_string()))?
}

fn open(file: &PathBuf, patience: Duration) -> rusqlite::Result<rusqlite::Connection> {
    let connection = rusqlite::Connection::open(file)?;
    connection.set_prepared_statement_cache_capacity(500);
    connection.busy_timeout(patience)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // What a savepoint may have to restore: a file would be made and removed for it, transaction by transaction.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

// Outcomes and rows of a driver that is not sea-orm's own come in by its mock alone: its `proxy`, made for this, does not
// build together with MySQL in 2.0.4. So a row is read by the names of its columns, not by their order, unless it has one.

fn outcome(connection: &rusqlite::Connection) -> Result<ExecResult> {
    let result = MockExecResult {
        last_insert_id: u64::try_from(connection.last_insert_rowid()).unwrap_or_default(),
        rows_affected: connection.changes(),
    };
    MockDatabase::new(DatabaseBackend::Sqlite).append_exec_results([result]).execute(0, nothing())
}

fn columns(prepared: &Prepared<'_>) -> Vec<(String, Kind)> {
    let columns = prepared.columns();
    columns.iter().map(|column| (column.name().to_owned(), Kind::of(column.decl_type()))).collect()
}

fn each_row<T>(
    prepared: &mut Prepared<'_>,
    values: Option<&Values>,
    read: impl Fn(&rusqlite::Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut rows = prepared.query(params_from_iter(bound(values)?)).map_err(sorted)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(sorted)? {
        found.push(read(row)?);
    }
    Ok(found)
}

/// What stands in a cell; none for a null.
fn cell(row: &rusqlite::Row<'_>, index: usize, kind: Kind) -> Result<Option<Value>> {
    kind.value(row.get_ref(index).map_err(sorted)?)
}

fn nothing() -> Statement {
    Statement { sql: String::new(), values: None, db_backend: DatabaseBackend::Sqlite }
}

/// What a cell of a column is read as: the type that MySQL has for the same declaration. Whoever reads it as another finds
/// nothing.
#[derive(Clone, Copy)]
enum Kind {
    Small,
    Int,
    /// Text too, which SQLite leaves as it was written.
    Bytes,
    /// `BIGINT` and text, and whatever is no column.
    Other,
}

impl Kind {
    fn of(declared: Option<&str>) -> Self {
        match declared {
            Some("SMALLINT") => Self::Small,
            Some("INT") => Self::Int,
            Some("BLOB" | "MEDIUMBLOB") => Self::Bytes,
            _ => Self::Other,
        }
    }

    fn value(self, cell: ValueRef<'_>) -> Result<Option<Value>> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|error| DbErr::Type(error.to_string()));
        let too_big = |error: std::num::TryFromIntError| DbErr::Type(error.to_string());
        Ok(Some(match (cell, self) {
            (ValueRef::Null, _) => return Ok(None),
            (ValueRef::Integer(number), Self::Small) => i16::try_from(number).map_err(too_big)?.into(),
            (ValueRef::Integer(number), Self::Int) => i32::try_from(number).map_err(too_big)?.into(),
            (ValueRef::Integer(number), _) => number.into(),
            (ValueRef::Real(number), _) => number.into(),
            (ValueRef::Blob(bytes), _) | (ValueRef::Text(bytes), Self::Bytes) => bytes.to_vec().into(),
            (ValueRef::Text(bytes), _) => text(bytes)?.into(),
        }))
    }
}

fn bound(values: Option<&Values>) -> Result<Vec<ToSqlOutput<'_>>> {
    values.map(|values| values.0.as_slice()).unwrap_or_default().iter().map(bind).collect()
}

fn bind(value: &Value) -> Result<ToSqlOutput<'_>> {
    let integer = |number: Option<i64>| number.map_or(ValueRef::Null, ValueRef::Integer);
    let cell = match value {
        Value::Bool(yes) => integer(yes.map(i64::from)),
        Value::SmallInt(number) => integer(number.map(i64::from)),
        Value::Int(number) => integer(number.map(i64::from)),
        Value::BigInt(number) => integer(*number),
        Value::Unsigned(number) => integer(number.map(i64::from)),
        Value::BigUnsigned(number) => {
            integer(number.map(i64::try_from).transpose().map_err(|error| DbErr::Type(error.to_string()))?)
        }
        Value::String(text) => text.as_ref().map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes())),
        Value::Bytes(bytes) => bytes.as_ref().map_or(ValueRef::Null, |bytes| ValueRef::Blob(bytes)),
        other => return Err(DbErr::Type(format!("{other:?} is not written to SQLite"))),
    };
    Ok(ToSqlOutput::Borrowed(cell))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// What the database answered, or that it is away.
#[expect(clippy::needless_pass_by_value, reason = "as `map_err` calls it")]
fn sorted(error: rusqlite::Error) -> DbErr {
    match error.sqlite_error_code() {
        Some(ErrorCode::ReadOnly | ErrorCode::SystemIoFailure | ErrorCode::DiskFull | ErrorCode::CannotOpen) => {
            away(error.to_string())
        }
        _ => DbErr::Query(RuntimeErr::Internal(error.to_string())),
    }
}

fn closed() -> DbErr {
    away("the database was closed".to_owned())
}

fn away(why: String) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(why))
}
