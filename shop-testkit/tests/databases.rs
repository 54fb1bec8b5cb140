//! Both engines take one schema and show the same rows.

use shop_common::migrate::SqlFile;
use shop_testkit::{databases, dump, sqlite};

const KEPT: SqlFile = SqlFile {
    version: 1,
    name: "kept",
    sql: "CREATE TABLE kept (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(20) NULL, bytes BLOB NOT NULL)",
};

const ROWS: &str = "INSERT INTO kept (id, name, bytes) VALUES (2, 'Ä\n', x'00FF'), (-1, NULL, x''), (10, '', x'41')";

const DUMPED: &str = "kept\n  id=-1 name=NULL bytes=\n  id=10 name= bytes=41\n  id=2 name=Ä\\n bytes=00FF\n";

#[tokio::test]
async fn the_same_rows_have_the_same_dump() {
    for test in databases(&[KEPT]).await {
        assert_eq!(dump(&test.db).await, "kept\n", "{}", test.name);
        shop_common::migrate::seed(&test.db, ROWS).await.unwrap();
        assert_eq!(dump(&test.connect_again().await).await, DUMPED, "{}", test.name);
    }
}

#[tokio::test]
async fn every_database_is_a_fresh_one() {
    for (one, other) in databases(&[KEPT]).await.into_iter().zip(databases(&[KEPT]).await) {
        shop_common::migrate::seed(&one.db, ROWS).await.unwrap();
        assert_eq!(dump(&other.db).await, "kept\n", "{}", one.name);
    }
}

#[tokio::test]
async fn a_sqlite_file_goes_with_its_test() {
    let test = sqlite(&[KEPT]).await;
    let file = test.config.url.reveal().trim_start_matches("sqlite://").to_owned();
    assert!(std::path::Path::new(&file).is_file());
    drop(test);
    assert!(!std::path::Path::new(&file).exists());
}
