//! Transactions commit, roll back and see what they should.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbErr, Statement, Value};
use shop_common::{
    config::Secret,
    db::{DatabaseConfig, Db, Failure, Tx},
};
use shop_testkit::{TestDb, databases, mariadb_schema, sqlite};
use tokio::{sync::Barrier, task::JoinSet};

use crate::item::{self, ids, insert, item, quantity, set_quantity};

async fn mariadb() -> Option<TestDb> {
    databases(&[item::FILE]).await.into_iter().find(|test| test.name == "mariadb")
}

#[tokio::test]
async fn a_body_that_is_fine_is_committed() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, vec![item(1, "a", 5)]).await.unwrap();
        assert_eq!(ids(&test.connect_again().await).await, [1], "{}", test.name);
    }
}

#[tokio::test]
async fn a_body_that_fails_leaves_nothing() {
    for test in databases(&[item::FILE]).await {
        let failed = test
            .db
            .write_tx(async |tx| {
                shop_common::sql::insert_many(tx, vec![item(1, "a", 5)]).await?;
                assert_eq!(quantity(tx, 1).await?, 5, "it sees its own writes");
                Err::<(), _>(Failure::guard("item"))
            })
            .await;
        assert!(matches!(failed, Err(Failure::Rollback(_))), "{failed:?}");
        assert_eq!(ids(&test.db).await, [0_i64; 0], "{}", test.name);
        insert(&test.db, vec![item(2, "b", 5)]).await.unwrap();
        assert_eq!(ids(&test.db).await, [2], "{}: the connection is good for the next one", test.name);
    }
}

#[tokio::test]
async fn what_the_database_refuses_is_a_rollback() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, vec![item(1, "a", 5)]).await.unwrap();
        for (why, wrong) in
            [("the primary key", item(1, "b", 5)), ("the unique key", item(2, "a", 5)), ("the check", item(2, "b", -1))]
        {
            let failed = insert(&test.db, vec![item(3, "c", 5), wrong]).await;
            assert!(matches!(failed, Err(Failure::Rollback(_))), "{}: {why}: {failed:?}", test.name);
        }
        let nonsense = test.db.write_tx(async |tx| Ok(tx.execute_unprepared("SELECT nonsense").await?)).await;
        assert!(matches!(nonsense, Err(Failure::Rollback(_))), "{}: {nonsense:?}", test.name);
        assert_eq!(ids(&test.db).await, [1], "{}: the good neighbour went too", test.name);
    }
}

#[tokio::test]
async fn text_that_differs_only_in_case_is_two_keys() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, vec![item(1, "key", 0), item(2, "KEY", 0), item(3, "kéy", 0)]).await.unwrap();
        assert_eq!(ids(&test.db).await, [1, 2, 3], "{}", test.name);
        let again = insert(&test.db, vec![item(4, "KEY", 0)]).await;
        assert!(matches!(again, Err(Failure::Rollback(_))), "{}: {again:?}", test.name);
    }
}

#[tokio::test]
async fn every_kind_of_column_is_read_as_it_was_written() {
    const TABLE: &str = "CREATE TABLE kinds (id BIGINT NOT NULL, small SMALLINT, middle INT, big BIGINT, \
        text VARCHAR(100), bytes MEDIUMBLOB)";
    for test in databases(&[item::FILE]).await {
        let (db, backend) = (test.db.read(), test.db.read().get_database_backend());
        db.execute_unprepared(TABLE).await.unwrap();
        let insert = |values: [Value; 6]| {
            Statement::from_sql_and_values(backend, "INSERT INTO kinds VALUES (?, ?, ?, ?, ?, ?)", values)
        };
        let bytes = vec![0_u8, 0xff];
        let full = [1_i64.into(), i16::MIN.into(), i32::MIN.into(), i64::MIN.into(), "ü".into(), bytes.clone().into()];
        let none = [2_i64.into(), None::<i16>.into(), None::<i32>.into(), None::<i64>.into(), None::<String>.into()];
        let none: Vec<Value> = none.into_iter().chain([None::<Vec<u8>>.into()]).collect();
        let written = test.db.write_tx(async |tx| {
            let written = tx.execute_raw(insert(full)).await?.rows_affected();
            tx.execute_raw(insert(none.try_into().unwrap())).await?;
            // As somebody types it.
            tx.execute_unprepared("INSERT INTO kinds (id, bytes) VALUES (3, 'text')").await?;
            Ok(written)
        });
        assert_eq!(written.await.unwrap(), 1, "{}", test.name);
        let ask = Statement::from_string(backend, "SELECT k.*, k.id + 1 AS next FROM kinds k ORDER BY id");
        let rows = db.query_all_raw(ask).await.unwrap();
        let row = |index: usize| {
            let row = &rows[index];
            let numbers = (row.try_get("", "small")?, row.try_get("", "middle")?, row.try_get("", "big")?);
            Ok::<_, DbErr>((numbers, row.try_get("", "text")?, row.try_get("", "bytes")?, row.try_get("", "next")?))
        };
        let numbers = (Some(i16::MIN), Some(i32::MIN), Some(i64::MIN));
        assert_eq!(row(0).unwrap(), (numbers, Some("ü".to_owned()), Some(bytes), 2_i64), "{}", test.name);
        assert_eq!(row(1).unwrap(), ((None, None, None), None, None, 3), "{}", test.name);
        assert_eq!(row(2).unwrap(), ((None, None, None), None, Some(b"text".to_vec()), 4), "{}", test.name);
    }
}

#[tokio::test]
async fn what_is_committed_on_sqlite_has_reached_the_disk() {
    let test = sqlite(&[item::FILE]).await;
    let ask = |pragma: &str| Statement::from_string(test.db.read().get_database_backend(), format!("PRAGMA {pragma}"));
    let (journal, sync) = (ask("journal_mode"), ask("synchronous"));
    let set = test.db.write_tx(async |tx| {
        let (journal, sync) = (tx.query_one_raw(journal).await?.unwrap(), tx.query_one_raw(sync).await?.unwrap());
        Ok((journal.try_get::<String>("", "journal_mode")?, sync.try_get::<i64>("", "synchronous")?))
    });
    assert_eq!(set.await.unwrap(), ("wal".to_owned(), 2), "2 is FULL: synced with every commit");
}

#[tokio::test]
async fn a_reader_that_goes_away_gives_its_connection_back() {
    let test = sqlite(&[item::FILE]).await;
    let one = Db::connect(&DatabaseConfig { max_connections: 1, ..test.config.clone() }).await.unwrap();
    let mut left = Box::pin(item::all(&one));
    drop(futures::poll!(&mut left));
    drop(left);
    let mut inside = Box::pin(one.read_tx(async |tx| {
        quantity(tx, 1).await?;
        std::future::pending::<Result<(), Failure>>().await
    }));
    assert!(futures::poll!(&mut inside).is_pending(), "its transaction is open");
    drop(inside);
    insert(&one, vec![item(1, "a", 5)]).await.unwrap();
    assert_eq!(ids(&one).await, [1], "and sees what was committed since");
}

#[tokio::test]
async fn a_closed_database_answers_nobody() {
    for test in databases(&[item::FILE]).await {
        let left = test.connect_again().await;
        left.clone().close().await;
        let read = left.read().execute_unprepared("SELECT 1").await.map_err(Failure::from);
        assert!(matches!(read, Err(Failure::Down(_))), "{}: {read:?}", test.name);
        let written = insert(&left, vec![item(1, "a", 5)]).await;
        assert!(matches!(written, Err(Failure::NotRun(_))), "{}: {written:?}", test.name);
    }
}

/// Each reads, then writes what it read plus one.
async fn count_up(db: &Db) -> Result<(), Failure> {
    db.write_tx(async |tx| {
        let seen = quantity(tx, 1).await?;
        tokio::task::yield_now().await;
        set_quantity(tx, 1, seen + 1).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_writers_of_one_sqlite_file_are_never_locked_out() {
    let test = sqlite(&[item::FILE]).await;
    insert(&test.db, vec![item(1, "a", 0)]).await.unwrap();
    // Two pools, as two processes have them: within one the pool of one connection would hide a deferred transaction.
    let pools = [test.db.clone(), test.connect_again().await];
    let mut tasks = JoinSet::new();
    for task in 0..16 {
        let db = pools[task % 2].clone();
        tasks.spawn(async move {
            for _ in 0..8 {
                count_up(&db).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(item::all(&test.db).await[0].quantity, 16 * 8);
}

#[tokio::test]
async fn readers_are_not_kept_by_a_writer() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, vec![item(1, "a", 1)]).await.unwrap();
        test.db
            .write_tx(async |tx| {
                set_quantity(tx, 1, 2).await?;
                assert_eq!(item::all(&test.db).await[0].quantity, 1, "{}", test.name);
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(item::all(&test.db).await[0].quantity, 2, "{}", test.name);
    }
}

#[tokio::test]
async fn a_reading_transaction_sees_one_moment() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, vec![item(1, "a", 1)]).await.unwrap();
        let seen = test.db.read_tx(async |tx| {
            let before = quantity(tx, 1).await?;
            test.db.write_tx(async |other| set_quantity(other, 1, 2).await).await?;
            Ok((before, quantity(tx, 1).await?))
        });
        assert_eq!(seen.await.unwrap(), (1, 1), "{}", test.name);
        assert_eq!(item::all(&test.db).await[0].quantity, 2, "{}: and the next one sees the next", test.name);
    }
}

#[tokio::test]
async fn a_schema_of_another_collation_is_refused() {
    let Some(url) = mariadb_schema("utf8mb4_general_ci").await else { return };
    let refused = Db::connect(&DatabaseConfig { url: Secret::new(url), max_connections: 2 }).await.unwrap_err();
    assert!(refused.to_string().contains("utf8mb4_bin"), "{refused}");
}

#[tokio::test]
async fn without_a_connection_it_is_said_at_once() {
    for url in ["sqlite:///no/such/file", "mysql://root@127.0.0.1:1/shop"] {
        let refused = Db::connect(&DatabaseConfig { url: Secret::new(url.to_owned()), max_connections: 0 }).await;
        assert!(refused.unwrap_err().to_string().contains("max_connections must be at least 1"), "{url}");
    }
}

async fn isolation(tx: &Tx) -> String {
    let ask = Statement::from_string(tx.get_database_backend(), "SELECT @@tx_isolation AS isolation");
    tx.query_one_raw(ask).await.unwrap().unwrap().try_get("", "isolation").unwrap()
}

#[tokio::test]
async fn every_connection_is_read_committed() {
    let Some(test) = mariadb().await else { return };
    let all = Arc::new(Barrier::new(4));
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let (db, all) = (test.db.clone(), Arc::clone(&all));
        tasks.spawn(async move {
            // Nobody gives his connection back before all have one.
            let found = db.write_tx(async |tx| {
                all.wait().await;
                Ok(isolation(tx).await)
            });
            found.await.unwrap()
        });
    }
    assert_eq!(tasks.join_all().await, ["READ-COMMITTED"; 4]);
}

#[tokio::test]
async fn a_reading_transaction_leaves_the_next_one_as_it_was() {
    let Some(test) = mariadb().await else { return };
    let one = Db::connect(&DatabaseConfig { max_connections: 1, ..test.config.clone() }).await.unwrap();
    one.read_tx(async |tx| Ok(tx.execute_unprepared("SELECT 1").await?)).await.unwrap();
    let next = one.write_tx(async |tx| {
        tx.execute_unprepared("INSERT INTO item (id, name, quantity) VALUES (1, 'a', 1)").await?;
        let before = quantity(tx, 1).await?;
        test.db.write_tx(async |other| shop_common::sql::insert_many(other, vec![item(2, "b", 7)]).await).await?;
        Ok((isolation(tx).await, before, quantity(tx, 2).await?))
    });
    assert_eq!(next.await.unwrap(), ("READ-COMMITTED".to_owned(), 1, 7), "it writes, and sees what others committed");
}

#[tokio::test]
async fn a_transaction_sees_what_others_committed_meanwhile() {
    let Some(test) = mariadb().await else { return };
    insert(&test.db, vec![item(1, "a", 1)]).await.unwrap();
    let seen = test.db.write_tx(async |tx| {
        let before = quantity(tx, 1).await?;
        test.db.write_tx(async |other| set_quantity(other, 1, 2).await).await?;
        Ok((before, quantity(tx, 1).await?))
    });
    assert_eq!(seen.await.unwrap(), (1, 2));
}

#[tokio::test]
async fn of_two_that_wait_for_each_other_one_rolls_back() {
    let Some(test) = mariadb().await else { return };
    insert(&test.db, vec![item(1, "a", 0), item(2, "b", 0)]).await.unwrap();
    let both = Arc::new(Barrier::new(2));
    let cross = |first, second| {
        let (db, both) = (test.db.clone(), Arc::clone(&both));
        async move {
            db.write_tx(async |tx| {
                set_quantity(tx, first, 1).await?;
                both.wait().await;
                set_quantity(tx, second, 2).await
            })
            .await
        }
    };
    let (one, other) = tokio::join!(cross(1, 2), cross(2, 1));
    let lost = [one, other].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(matches!(&lost[..], [Failure::Rollback(why)] if why.contains("Deadlock")), "{lost:?}");
}
