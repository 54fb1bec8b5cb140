//! What statements are run on: one interface for both engines.

use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr, ExecResult, MockDatabase,
    MockDatabaseTrait, MockExecResult, QueryResult, Statement,
};

use super::sqlite::{Connection, Done, Lease, Readers, Row, Writing};

type Result<T, E = DbErr> = std::result::Result<T, E>;

/// An open transaction; whoever asks for one cannot be called outside of it.
#[derive(Debug)]
pub struct Tx(Open);

#[derive(Debug)]
enum Open {
    Writing(Writing),
    Reading(Arc<Lease>),
    MySql(DatabaseTransaction),
}

/// For statements outside of transactions. On SQLite each waits for a connection and runs beside the runtime.
#[derive(Clone, Debug)]
pub struct Reader(pub(super) Pool);

#[derive(Clone, Debug)]
pub(super) enum Pool {
    Sqlite(Arc<Readers>),
    MySql(DatabaseConnection),
}

impl Tx {
    pub(super) async fn writing(connection: &Arc<Connection>) -> Result<Self> {
        Writing::begin(connection).await.map(|writing| Self(Open::Writing(writing)))
    }

    pub(super) async fn reading(readers: &Arc<Readers>) -> Result<Self> {
        let lease = readers.lease().await?;
        lease.run(|connection| connection.run("BEGIN DEFERRED")).await?;
        Ok(Self(Open::Reading(lease)))
    }

    pub(super) const fn of_mysql(tx: DatabaseTransaction) -> Self {
        Self(Open::MySql(tx))
    }

    pub(super) async fn commit(self) -> Result<()> {
        match self.0 {
            Open::Writing(writing) => writing.commit().await,
            // It has changed nothing.
            Open::Reading(_) => Ok(()),
            Open::MySql(tx) => tx.commit().await,
        }
    }

    pub(super) async fn roll_back(self) {
        let rolled_back = match self.0 {
            // Dropped, they roll back.
            Open::Writing(_) | Open::Reading(_) => Ok(()),
            Open::MySql(tx) => tx.rollback().await,
        };
        if let Err(error) = rolled_back {
            tracing::warn!(%error, "rollback failed; the connection is dropped");
        }
    }
}

impl Reader {
    pub(super) async fn close(self) {
        match self.0 {
            Pool::Sqlite(readers) => readers.close().await,
            Pool::MySql(connection) => {
                if let Err(error) = connection.close().await {
                    tracing::warn!(%error, "closing the connections failed");
                }
            }
        }
    }
}

#[async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DatabaseBackend {
        match &self.0 {
            Open::Writing(_) | Open::Reading(_) => DatabaseBackend::Sqlite,
            Open::MySql(_) => DatabaseBackend::MySql,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult> {
        match &self.0 {
            Open::Writing(writing) => writing.connection().execute(&statement).and_then(outcome),
            Open::Reading(lease) => lease.run(move |connection| connection.execute(&statement)).await.and_then(outcome),
            Open::MySql(tx) => tx.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult> {
        match &self.0 {
            Open::Writing(writing) => writing.connection().run(sql).and_then(outcome),
            Open::Reading(lease) => run(lease, sql).await.and_then(outcome),
            Open::MySql(tx) => tx.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>> {
        match &self.0 {
            Open::Writing(writing) => writing.connection().query(&statement).and_then(first),
            Open::Reading(lease) => lease.run(move |connection| connection.query(&statement)).await.and_then(first),
            Open::MySql(tx) => tx.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>> {
        match &self.0 {
            Open::Writing(writing) => writing.connection().query(&statement).and_then(all),
            Open::Reading(lease) => lease.run(move |connection| connection.query(&statement)).await.and_then(all),
            Open::MySql(tx) => tx.query_all_raw(statement).await,
        }
    }
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DatabaseBackend {
        match &self.0 {
            Pool::Sqlite(_) => DatabaseBackend::Sqlite,
            Pool::MySql(_) => DatabaseBackend::MySql,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult> {
        match &self.0 {
            Pool::Sqlite(readers) => {
                readers.lease().await?.run(move |connection| connection.execute(&statement)).await.and_then(outcome)
            }
            Pool::MySql(connection) => connection.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult> {
        match &self.0 {
            Pool::Sqlite(readers) => run(&readers.lease().await?, sql).await.and_then(outcome),
            Pool::MySql(connection) => connection.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>> {
        match &self.0 {
            Pool::Sqlite(readers) => {
                readers.lease().await?.run(move |connection| connection.query(&statement)).await.and_then(first)
            }
            Pool::MySql(connection) => connection.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>> {
        match &self.0 {
            Pool::Sqlite(readers) => {
                readers.lease().await?.run(move |connection| connection.query(&statement)).await.and_then(all)
            }
            Pool::MySql(connection) => connection.query_all_raw(statement).await,
        }
    }
}

async fn run(lease: &Arc<Lease>, sql: &str) -> Result<Done> {
    let sql = sql.to_owned();
    lease.run(move |connection| connection.run(&sql)).await
}

// Rows and outcomes of a driver that is not sea-orm's own come in by its mock alone: its `proxy`, made for this, does not
// build together with MySQL in 2.0.4. So a row is read by the names of its columns, not by their order, unless it has one.

fn outcome(done: Done) -> Result<ExecResult> {
    let Done { last_insert_id, rows_affected } = done;
    let result = MockExecResult { last_insert_id, rows_affected };
    MockDatabase::new(DatabaseBackend::Sqlite).append_exec_results([result]).execute(0, nothing())
}

fn first(rows: Vec<Row>) -> Result<Option<QueryResult>> {
    Ok(all(rows)?.into_iter().next())
}

fn all(rows: Vec<Row>) -> Result<Vec<QueryResult>> {
    MockDatabase::new(DatabaseBackend::Sqlite).append_query_results([rows]).query(0, nothing())
}

fn nothing() -> Statement {
    Statement { sql: String::new(), values: None, db_backend: DatabaseBackend::Sqlite }
}
