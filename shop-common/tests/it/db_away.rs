//! A database that is away is told from one that says no.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};
use shop_common::{
    config::Secret,
    db::{DatabaseConfig, Db, Failure},
};
use shop_testkit::{
    TestDb, databases, eventually,
    proxy::{Fault, Proxy, Way},
    sqlite,
};
use tokio::{net::TcpListener, sync::oneshot};

use crate::item::{self, ids, insert, item};

const LIMIT: Duration = Duration::from_secs(30);

fn down<T: std::fmt::Debug>(result: &Result<T, Failure>) -> bool {
    matches!(result, Err(Failure::Down(_)))
}

fn not_run<T: std::fmt::Debug>(result: &Result<T, Failure>) -> bool {
    matches!(result, Err(Failure::NotRun(_)))
}

/// A pool of one connection, so that the one that is killed is the one that is used next.
async fn narrow(test: &TestDb) -> Db {
    Db::connect(&DatabaseConfig { max_connections: 1, ..test.config.clone() }).await.unwrap()
}

async fn connection_id(db: &impl ConnectionTrait) -> i64 {
    let ask = Statement::from_string(db.get_database_backend(), "SELECT CAST(CONNECTION_ID() AS SIGNED) AS id");
    db.query_one_raw(ask).await.unwrap().unwrap().try_get("", "id").unwrap()
}

async fn kill(test: &TestDb, id: i64) {
    test.db.read().execute_unprepared(&format!("KILL {id}")).await.unwrap();
    gone(test, id).await;
}

/// Waits until the server has no such connection.
async fn gone(test: &TestDb, id: i64) {
    eventually("the connection is gone", LIMIT, async || {
        let ask = format!("SELECT COUNT(*) AS n FROM information_schema.processlist WHERE id = {id}");
        let ask = Statement::from_string(test.db.read().get_database_backend(), ask);
        let left: i64 = test.db.read().query_one_raw(ask).await.unwrap().unwrap().try_get("", "n").unwrap();
        left == 0
    })
    .await;
}

#[tokio::test]
async fn a_server_that_hangs_up_is_away() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("mysql://root@{}/shop", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((caller, _)) = listener.accept().await {
            drop(caller);
        }
    });
    let failed = Db::connect(&DatabaseConfig { url: Secret::new(url), max_connections: 1 }).await;
    assert!(down(&failed), "{failed:?}");
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_away() {
    let config = DatabaseConfig { url: Secret::new("sqlite:///no/such/directory/shop.db"), max_connections: 1 };
    let failed = Db::connect(&config).await;
    assert!(down(&failed), "{failed:?}");
}

#[tokio::test]
async fn a_full_disk_is_away() {
    let test = sqlite(&[item::FILE]).await;
    let full = test.db.write_tx(async |tx| {
        tx.execute_unprepared("PRAGMA max_page_count = 1").await?;
        let rows = (0..2_000).map(|id| item(id, format!("{id:0>200}"), 0));
        shop_common::sql::insert_many(tx, rows.collect()).await
    });
    let full = full.await;
    assert!(not_run(&full), "{full:?}");
    assert_eq!(ids(&test.db).await, [0_i64; 0]);
}

#[tokio::test]
async fn a_connection_lost_while_idle_is_away_and_comes_back() {
    for test in databases(&[item::FILE]).await.into_iter().filter(|test| test.name == "mariadb") {
        let db = narrow(&test).await;
        let id = connection_id(db.read()).await;
        let pool = db.mysql().unwrap();
        eventually("it is idle again", LIMIT, async || pool.num_idle() == 1).await;
        kill(&test, id).await;
        let lost = insert(&db, vec![item(1, "a", 0)]).await;
        assert!(not_run(&lost), "{lost:?}");
        insert(&db, vec![item(2, "b", 0)]).await.unwrap();
        assert_eq!(ids(&test.db).await, [2]);
    }
}

#[tokio::test]
async fn a_connection_lost_on_the_way_takes_its_transaction_with_it() {
    for test in databases(&[item::FILE]).await.into_iter().filter(|test| test.name == "mariadb") {
        let db = narrow(&test).await;
        let lost = db.write_tx(async |tx| {
            shop_common::sql::insert_many(tx, vec![item(1, "a", 0)]).await?;
            kill(&test, connection_id(tx).await).await;
            shop_common::sql::insert_many(tx, vec![item(2, "b", 0)]).await
        });
        let lost = lost.await;
        assert!(not_run(&lost), "{lost:?}");
        insert(&db, vec![item(3, "c", 0)]).await.unwrap();
        assert_eq!(ids(&test.db).await, [3]);
    }
}

/// The server has vanished without a word: whoever asked has left, and the pool waits no longer than for a connection.
#[tokio::test]
async fn a_connection_left_in_the_middle_of_a_question_keeps_no_place() {
    for test in databases(&[item::FILE]).await.into_iter().filter(|test| test.name == "mariadb") {
        let (proxy, url) = Proxy::before_mysql(test.config.url.reveal()).await;
        let db = Db::connect(&DatabaseConfig { url: Secret::new(url), max_connections: 1 }).await.unwrap();
        let id = connection_id(db.read()).await;
        proxy.spoil(Fault::BlackHole(Way::Answers));
        let asked = tokio::time::timeout(Duration::from_millis(100), insert(&db, vec![item(1, "a", 0)])).await;
        assert!(asked.is_err(), "{asked:?}");
        gone(&test, id).await;
        proxy.heal();
        insert(&db, vec![item(2, "b", 0)]).await.unwrap();
        assert_eq!(ids(&test.db).await, [2]);
    }
}

#[tokio::test]
async fn a_connection_lost_before_commit_is_not_known_to_be_committed() {
    for test in databases(&[item::FILE]).await.into_iter().filter(|test| test.name == "mariadb") {
        let db = narrow(&test).await;
        let lost = db.write_tx(async |tx| {
            shop_common::sql::insert_many(tx, vec![item(1, "a", 0)]).await?;
            kill(&test, connection_id(tx).await).await;
            Ok(())
        });
        let lost = lost.await;
        assert!(down(&lost), "{lost:?}");
        insert(&db, vec![item(3, "c", 0)]).await.unwrap();
        assert_eq!(ids(&test.db).await, [3]);
    }
}

#[tokio::test]
async fn whoever_gets_no_connection_has_done_nothing_and_is_served_again() {
    for test in databases(&[item::FILE]).await.into_iter().filter(|test| test.name == "mariadb") {
        let db = narrow(&test).await;
        let (begin, begun) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let held = tokio::spawn({
            let db = db.clone();
            async move {
                let held = db.write_tx(async |_| {
                    begin.send(()).unwrap();
                    ended.await.unwrap();
                    Ok(())
                });
                held.await.unwrap();
            }
        });
        begun.await.unwrap();
        let late = insert(&db, vec![item(1, "a", 0)]).await;
        assert!(not_run(&late), "{late:?}");
        end.send(()).unwrap();
        held.await.unwrap();
        insert(&db, vec![item(2, "b", 0)]).await.unwrap();
        assert_eq!(ids(&test.db).await, [2]);
    }
}
