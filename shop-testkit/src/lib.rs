//! What the tests of every service start from: fresh databases on both engines, a bus in memory, a bounded wait.
//!
//! Only tests depend on this crate, so it fails by panicking. What is absent: a broker (see `shop-broker`) and anything
//! that knows a service.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test kit says what is wrong and ends the test"
)]

mod alarms;
mod cancel;
pub mod chaos;
mod dump;
pub mod fakes;
pub mod http2;
pub mod ledger;
pub mod load;
mod mariadb;
pub mod participant;
pub mod proxy;
mod race;
pub mod service;
mod snapshot;
mod split;

use std::{sync::Arc, time::Duration};

pub use alarms::Alarms;
pub use dump::dump;
use shop_common::{
    config::Secret,
    db::{DatabaseConfig, Db},
    migrate::{SqlFile, migrate},
    mq::memory::MemoryBus,
};
pub use snapshot::Snapshot;
use tempfile::TempDir;

/// Connections of one test's pool; writing to SQLite has one more of its own.
const CONNECTIONS: u32 = 8;
/// Pause between two looks of [`eventually`].
const LOOK: Duration = Duration::from_millis(5);

/// A fresh database with its schema, there for one test.
#[derive(Debug)]
pub struct TestDb {
    /// `sqlite` or `mariadb`, for messages.
    pub name: &'static str,
    /// The database.
    pub db: Db,
    /// How to reach it.
    pub config: DatabaseConfig,
    /// The directory of a SQLite file.
    _dir: Option<TempDir>,
}

impl TestDb {
    /// Another pool on the same database, as a second instance of a service has it.
    pub async fn connect_again(&self) -> Db {
        Db::connect(&self.config).await.expect("the database is there already")
    }
}

/// A fresh database with the schema of `files` on every engine there is: SQLite always, MariaDB where `mariadbd` is
/// installed. With `SHOP_TEST_REQUIRE_MARIADB=1` a missing MariaDB fails the test.
pub async fn databases(files: &[SqlFile]) -> Vec<TestDb> {
    let mut all = vec![sqlite(files).await];
    if let Some(url) = mariadb::fresh_schema("utf8mb4_bin").await {
        all.push(open("mariadb", url, None, files).await);
    }
    all
}

/// A fresh SQLite file with the schema of `files`, for tests of what only SQLite has.
pub async fn sqlite(files: &[SqlFile]) -> TestDb {
    let dir = tempfile::tempdir().expect("a directory for a SQLite file");
    let url = format!("sqlite://{}", dir.path().join("shop.db").display());
    open("sqlite", url, Some(dir), files).await
}

/// An empty MariaDB schema of `collation`, as its URL; `None` where the MariaDB tier is skipped.
pub async fn mariadb_schema(collation: &str) -> Option<String> {
    mariadb::fresh_schema(collation).await
}

/// A broker of one test's own, without messages; nothing is delivered before [`MemoryBus::deliver_all`].
pub fn bus() -> Arc<MemoryBus> {
    MemoryBus::new()
}

/// Waits until `done` says so: for real processes only, whatever can be stepped is stepped.
///
/// # Panics
/// After `limit`, with `what`.
pub async fn eventually(what: &str, limit: Duration, mut done: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(limit, async {
        while !done().await {
            tokio::time::sleep(LOOK).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}: not within {limit:?}");
}

async fn open(name: &'static str, url: String, dir: Option<TempDir>, files: &[SqlFile]) -> TestDb {
    let config = DatabaseConfig { url: Secret::new(url), max_connections: CONNECTIONS };
    let db = Db::connect(&config).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    migrate(&db, files).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    TestDb { name, db, config, _dir: dir }
}
