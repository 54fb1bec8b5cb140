//! What statements are run on: one interface for both engines.

use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr, ExecResult, QueryResult,
    Statement,
};

use super::{
    row::{Row, Rows},
    sqlite::{Connection, Lease, Readers, Writing},
};

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
            Open::Writing(writing) => writing.connection().execute(&statement),
            Open::Reading(lease) => lease.run(move |connection| connection.execute(&statement)).await,
            Open::MySql(tx) => tx.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult> {
        match &self.0 {
            Open::Writing(writing) => writing.connection().run(sql),
            Open::Reading(lease) => run(lease, sql).await,
            Open::MySql(tx) => tx.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>> {
        match &self.0 {
            Open::Writing(writing) => writing.connection().query(&statement).map(first),
            Open::Reading(lease) => lease.run(move |connection| connection.query(&statement)).await.map(first),
            Open::MySql(tx) => tx.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>> {
        match &self.0 {
            Open::Writing(writing) => writing.connection().query(&statement),
            Open::Reading(lease) => lease.run(move |connection| connection.query(&statement)).await,
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
            Pool::Sqlite(readers) => readers.lease().await?.run(move |connection| connection.execute(&statement)).await,
            Pool::MySql(connection) => connection.execute_raw(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult> {
        match &self.0 {
            Pool::Sqlite(readers) => run(&readers.lease().await?, sql).await,
            Pool::MySql(connection) => connection.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>> {
        match &self.0 {
            Pool::Sqlite(readers) => {
                readers.lease().await?.run(move |connection| connection.query(&statement)).await.map(first)
            }
            Pool::MySql(connection) => connection.query_one_raw(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>> {
        match &self.0 {
            Pool::Sqlite(readers) => readers.lease().await?.run(move |connection| connection.query(&statement)).await,
            Pool::MySql(connection) => connection.query_all_raw(statement).await,
        }
    }
}

#[async_trait]
impl Rows for Tx {
    async fn rows(&self, statement: Statement) -> super::Result<Vec<Row>> {
        Ok(match &self.0 {
            Open::Writing(writing) => writing.connection().rows(&statement)?,
            Open::Reading(lease) => lease.run(move |connection| connection.rows(&statement)).await?,
            Open::MySql(tx) => of_mysql(tx.query_all_raw(statement).await?),
        })
    }
}

#[async_trait]
impl Rows for Reader {
    async fn rows(&self, statement: Statement) -> super::Result<Vec<Row>> {
        Ok(match &self.0 {
            Pool::Sqlite(readers) => readers.lease().await?.run(move |connection| connection.rows(&statement)).await?,
            Pool::MySql(connection) => of_mysql(connection.query_all_raw(statement).await?),
        })
    }
}

fn of_mysql(rows: Vec<QueryResult>) -> Vec<Row> {
    rows.into_iter().map(Row::of_mysql).collect()
}

async fn run(lease: &Arc<Lease>, sql: &str) -> Result<ExecResult> {
    let sql = sql.to_owned();
    lease.run(move |connection| connection.run(&sql)).await
}

fn first(rows: Vec<QueryResult>) -> Option<QueryResult> {
    rows.into_iter().next()
}
