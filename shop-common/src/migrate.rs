//! Schema: the files of `sql/`, forward only, each with its checksum in `_sqlx_migrations`.

use std::{path::Path, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection, MySqlPool, SqlSafeStr, SqliteConnection,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::SqliteConnectOptions,
};

use crate::db::{Db, Failure, Result};

/// One file of `sql/`.
#[derive(Clone, Copy, Debug)]
pub struct SqlFile {
    /// Its number; ascending within a service, never reused.
    pub version: i64,
    /// What it is about.
    pub name: &'static str,
    /// Its text, the same for SQLite and MySQL.
    pub sql: &'static str,
}

/// The outbox and the consumer log, which every service has.
pub const MESSAGES: SqlFile =
    SqlFile { version: 1, name: "messages", sql: include_str!("../../sql/common/0001_messages.sql") };

/// What operators do with dead letters, in both tables of every service.
pub const DEAD_LETTERS: SqlFile =
    SqlFile { version: 4, name: "dead_letters", sql: include_str!("../../sql/common/0004_dead_letters.sql") };

/// Delayed messages, in the outbox of every service.
pub const DELIVER_AT: SqlFile =
    SqlFile { version: 6, name: "deliver_at", sql: include_str!("../../sql/common/0006_deliver_at.sql") };

/// Brings the schema up to date; a second run changes nothing.
///
/// # Errors
/// A file fails, or one that was run has been edited since.
pub async fn migrate(db: &Db, files: &[SqlFile]) -> Result<()> {
    let migrations = files.iter().map(|file| {
        Migration::new(
            file.version,
            file.name.into(),
            MigrationType::Simple,
            AssertSqlSafe(file.sql).into_sql_str(),
            false,
        )
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    let done = match (db.file(), db.mysql()) {
        (Some(file), _) => in_file(&migrator, file).await,
        (None, Some(pool)) => one_at_a_time(&migrator, pool).await,
        (None, None) => Ok(()),
    };
    done.map_err(|error| Failure::Down(format!("migration: {error}").into()))
}

async fn in_file(migrator: &Migrator, file: &Path) -> Result<(), MigrateError> {
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(10));
    let mut connection = SqliteConnection::connect_with(&options).await?;
    migrator.run(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Instances of a service may start together. The lock sqlx takes is none on MariaDB, whose `GET_LOCK` takes no
/// negative limit; so this one is taken around it, by the connection that migrates.
async fn one_at_a_time(migrator: &Migrator, pool: &MySqlPool) -> Result<(), MigrateError> {
    let mut connection = pool.acquire().await?;
    let locked: Option<i64> =
        sqlx::query_scalar("SELECT GET_LOCK(CONCAT('shop.', MD5(DATABASE())), 60)").fetch_one(&mut *connection).await?;
    if locked != Some(1) {
        return Err(sqlx::Error::Protocol("another instance migrates".to_owned()).into());
    }
    let done = migrator.run(&mut *connection).await;
    sqlx::query("DO RELEASE_LOCK(CONCAT('shop.', MD5(DATABASE())))").execute(&mut *connection).await?;
    done
}

/// Runs a file of `sql/seed/`, statement by statement; each is idempotent by itself.
pub async fn seed(db: &Db, sql: &'static str) -> Result<()> {
    use sea_orm::ConnectionTrait;
    db.write_tx(async |tx| {
        for statement in sql.split(";\n").map(str::trim).filter(|statement| !statement.is_empty()) {
            tx.execute_unprepared(statement).await?;
        }
        Ok(())
    })
    .await
}
