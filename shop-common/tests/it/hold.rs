//! Holds as they stand in a table: what was decided is written, and of two racers one decides again.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use shop_common::{
    db::{Db, Failure, Result, Tx},
    hold::{Before, HoldTable, State, Undone},
    hold_table,
    migrate::SqlFile,
    time::Millis,
};
use shop_testkit::{databases, dump};

const FILE: SqlFile = SqlFile { version: 2, name: "coupon", sql: include_str!("../../../sql/coupon/0002_coupon.sql") };

const HOLDS: HoldTable = hold_table!("trade_coupon_hold", "order_id", Some("coupon_id"));

const NOW: Millis = Millis::new(1_000);

async fn take(db: &Db, order: i64, coupon: i64) -> Result<Before> {
    db.write_tx(async |tx| {
        let mut holds = HOLDS.load(tx, vec![order]).await?;
        let before = holds.before(order);
        if before == Before::Free {
            holds.hold(order, Some(coupon));
        }
        HOLDS.save(tx, &holds, NOW).await.map(|()| before)
    })
    .await
}

async fn give_back(db: &Db, order: i64) -> Result<(Undone, Option<i64>)> {
    db.write_tx(async |tx| {
        let mut holds = HOLDS.load(tx, vec![order]).await?;
        let undone = holds.undo(order);
        HOLDS.save(tx, &holds, Millis::new(2_000)).await.map(|()| (undone, holds.subject(order)))
    })
    .await
}

#[tokio::test]
async fn do_and_undo_meet_in_the_table() {
    for test in databases(&[FILE]).await {
        let db = &test.db;
        assert_eq!(take(db, 1, 77).await.unwrap(), Before::Free);
        assert_eq!(take(db, 1, 77).await.unwrap(), Before::Held);
        assert_eq!(give_back(db, 1).await.unwrap(), (Undone::Undone, Some(77)));
        assert_eq!(give_back(db, 1).await.unwrap(), (Undone::AlreadyUndone, Some(77)));
        assert_eq!(take(db, 1, 77).await.unwrap(), Before::TooLate);
        assert_eq!(give_back(db, 2).await.unwrap(), (Undone::NeverDone, None));
        assert_eq!(take(db, 2, 78).await.unwrap(), Before::TooLate);
        let rows = dump(db).await;
        assert!(rows.contains("order_id=1 coupon_id=77 state=3 create_ms=1000 update_ms=2000"), "{rows}");
        assert!(rows.contains("order_id=2 coupon_id=NULL state=4 create_ms=2000 update_ms=2000"), "{rows}");
    }
}

#[tokio::test]
async fn a_hold_that_moved_meanwhile_rolls_back() {
    for test in databases(&[FILE]).await {
        take(&test.db, 1, 77).await.unwrap();
        let before = dump(&test.db).await;
        let stale = test.db.write_tx(async |tx| {
            let mut holds = HOLDS.load(tx, vec![1]).await?;
            holds.put(1, State::Final);
            holds.undo(1);
            HOLDS.save(tx, &holds, NOW).await
        });
        let stale = stale.await;
        assert!(matches!(stale, Err(Failure::Rollback(_))), "{}: {stale:?}", test.name);
        assert_eq!(dump(&test.db).await, before);
    }
}

#[tokio::test]
async fn a_hold_that_is_decided_on_is_locked() {
    // SQLite has one writer.
    for test in databases(&[FILE]).await.into_iter().filter(|test| test.name == "mariadb") {
        take(&test.db, 1, 77).await.unwrap();
        let meanwhile = test.db.write_tx(async |tx| {
            HOLDS.load(tx, vec![1]).await?;
            let other = test.db.write_tx(async |other| {
                other.execute_unprepared("SET SESSION innodb_lock_wait_timeout = 1").await?;
                HOLDS.load(other, vec![1]).await
            });
            Ok(other.await)
        });
        let other = meanwhile.await.unwrap();
        assert!(matches!(&other, Err(Failure::Rollback(why)) if why.contains("Lock wait")), "{other:?}");
    }
}

#[tokio::test]
async fn holds_of_other_orders_are_not_waited_for() {
    // SQLite has one writer.
    for test in databases(&[FILE]).await.into_iter().filter(|test| test.name == "mariadb") {
        for order in 1..=8 {
            take(&test.db, order, order).await.unwrap();
        }
        let undo = async |tx: &Tx, orders: Vec<i64>| {
            let mut holds = HOLDS.load(tx, orders.clone()).await?;
            for order in orders {
                assert_eq!(holds.undo(order), Undone::Undone);
            }
            HOLDS.save(tx, &holds, NOW).await
        };
        let meanwhile = test.db.write_tx(async |tx| {
            undo(tx, (1..=4).collect()).await?;
            let other = test.db.write_tx(async |other| undo(other, (5..=8).collect()).await);
            Ok(tokio::time::timeout(Duration::from_secs(20), other).await)
        });
        meanwhile.await.unwrap().expect("it does not wait").unwrap();
        assert_eq!(dump(&test.db).await.matches(" state=3 ").count(), 8);
    }
}

#[tokio::test]
async fn of_a_do_and_an_undo_at_once_one_decides_again() {
    for test in databases(&[FILE]).await {
        let other = test.connect_again().await;
        for order in 1..=20 {
            let (mut done, mut undone) = tokio::join!(take(&test.db, order, 77), give_back(&other, order));
            if done.is_err() {
                done = take(&test.db, order, 77).await;
            }
            if undone.is_err() {
                undone = give_back(&other, order).await;
            }
            let met = (done.unwrap(), undone.unwrap().0);
            let right = [(Before::Free, Undone::Undone), (Before::TooLate, Undone::NeverDone)];
            assert!(right.contains(&met), "{}: {met:?}", test.name);
        }
    }
}
