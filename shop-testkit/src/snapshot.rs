//! A SQLite file as it was at one moment: many tests begin where one has come to, each on a copy of its own.

use std::{fs, path::PathBuf};

use sea_orm::ConnectionTrait;
use shop_common::{
    config::Secret,
    db::{DatabaseConfig, Db},
};
use tempfile::TempDir;

use crate::{CONNECTIONS, TestDb};

const FILE: &str = "shop.db";

/// The file.
#[derive(Debug)]
pub struct Snapshot(TempDir);

impl Snapshot {
    /// `test`, which is a SQLite file, as it is now.
    pub async fn of(test: &TestDb) -> Self {
        let dir = tempfile::tempdir().expect("a directory for a SQLite file");
        let copy = format!("VACUUM INTO '{}'", dir.path().join(FILE).display());
        test.db.read().execute_unprepared(&copy).await.expect("a file beside the file");
        Self(dir)
    }

    /// Where it lies, for whoever takes rows from it.
    pub fn file(&self) -> PathBuf {
        self.0.path().join(FILE)
    }

    /// A copy of it, there for one test.
    pub async fn open(&self) -> TestDb {
        let dir = tempfile::tempdir().expect("a directory for a SQLite file");
        let file = dir.path().join(FILE);
        fs::copy(self.file(), &file).expect("the copy of a file");
        let url = Secret::new(format!("sqlite://{}", file.display()));
        let config = DatabaseConfig { url, max_connections: CONNECTIONS };
        let db = Db::connect(&config).await.expect("the file is there");
        TestDb { name: "sqlite", db, config, _dir: Some(dir) }
    }
}
