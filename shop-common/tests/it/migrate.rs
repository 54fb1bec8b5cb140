//! The files of `sql/` run on both engines, once.

use sea_orm::{ConnectionTrait, Statement};
use shop_common::{
    db::Db,
    migrate::{DEAD_LETTERS, DELIVER_AT, MESSAGES, SqlFile, migrate, seed},
};
use shop_testkit::{databases, dump};

use crate::item;

macro_rules! file {
    ($version:literal, $name:literal) => {
        SqlFile { version: $version, name: $name, sql: include_str!(concat!("../../../sql/", $name, ".sql")) }
    };
}

const GOODS: &[SqlFile] =
    &[MESSAGES, file!(2, "goods/0002_goods"), file!(3, "goods/0003_hold_due"), DEAD_LETTERS, DELIVER_AT];
const COUPON: &[SqlFile] = &[MESSAGES, file!(2, "coupon/0002_coupon"), DEAD_LETTERS, DELIVER_AT];
const USER: &[SqlFile] = &[MESSAGES, file!(2, "user/0002_user"), DEAD_LETTERS, DELIVER_AT];
const ORDER: &[SqlFile] =
    &[MESSAGES, file!(2, "order/0002_order"), file!(3, "order/0003_timeout"), DEAD_LETTERS, DELIVER_AT];
const PAY: &[SqlFile] = &[
    MESSAGES,
    file!(2, "pay/0002_pay"),
    file!(3, "pay/0003_sandbox"),
    DEAD_LETTERS,
    file!(5, "pay/0005_refund"),
    DELIVER_AT,
];

async fn migrated(db: &Db) -> i64 {
    let ask = Statement::from_string(db.read().get_database_backend(), "SELECT COUNT(*) AS n FROM _sqlx_migrations");
    db.read().query_one_raw(ask).await.unwrap().unwrap().try_get("", "n").unwrap()
}

#[tokio::test]
async fn every_service_has_its_tables_on_both_engines() {
    for (files, tables) in [(GOODS, 5), (COUPON, 4), (USER, 7), (ORDER, 4), (PAY, 9)] {
        let mut dumps = Vec::new();
        for test in databases(files).await {
            assert_eq!(migrated(&test.db).await, i64::try_from(files.len()).unwrap(), "{}", test.name);
            dumps.push(dump(&test.db).await);
        }
        assert_eq!(dumps[0].lines().count(), tables, "{}", dumps[0]);
        assert!(dumps.iter().all(|dump| *dump == dumps[0]), "{dumps:?}");
    }
}

#[tokio::test]
async fn seeds_give_the_same_rows_however_often() {
    for (files, sql, first) in [
        (GOODS, include_str!("../../../sql/seed/goods.sql"), "goods_id=345959443973935104 goods_name=Javase课程"),
        (COUPON, include_str!("../../../sql/seed/coupon.sql"), "coupon_id=345988230098857984 coupon_price_fen=2000"),
        (USER, include_str!("../../../sql/seed/user.sql"), "user_id=345963634385633280 user_name=zs"),
    ] {
        let mut dumps = Vec::new();
        for test in databases(files).await {
            seed(&test.db, sql).await.unwrap();
            let once = dump(&test.db).await;
            seed(&test.db, sql).await.unwrap();
            assert_eq!(dump(&test.db).await, once, "{}", test.name);
            assert!(once.contains(first), "{once}");
            dumps.push(once);
        }
        assert!(dumps.iter().all(|dump| *dump == dumps[0]), "{dumps:?}");
    }
}

#[tokio::test]
async fn the_last_fences_hold_on_both_engines() {
    for (files, wrong) in [
        (
            GOODS,
            "INSERT INTO trade_goods (goods_id, goods_name, goods_number, goods_price_fen, add_ms) VALUES (1, 'a', -1, 1, 1)",
        ),
        (
            USER,
            "INSERT INTO trade_user (user_id, user_name, user_score, user_reg_ms, user_money_fen) VALUES (1, 'a', 0, 0, -1)",
        ),
        (COUPON, "INSERT INTO trade_coupon (coupon_id, coupon_price_fen, user_id, is_used) VALUES (1, 1, 1, 1)"),
        (
            COUPON,
            "INSERT INTO trade_coupon_hold (order_id, coupon_id, state, create_ms, update_ms) VALUES (1, NULL, 1, 0, 0)",
        ),
        (
            ORDER,
            "INSERT INTO trade_order (order_id, user_id, request_id, request_hash, order_status, pay_status, goods_amount_fen, shipping_fee_fen, order_amount_fen, coupon_paid_fen, money_paid_fen, pay_amount_fen, add_ms, owed) VALUES (1, 1, 'a', 'a', 0, 0, 5, 1, 6, 0, 0, 6, 1, 1)",
        ),
        (
            PAY,
            "INSERT INTO trade_refund (refund_id, pay_id, order_id, cause, cause_id, amount_fen, state, create_ms) VALUES (1, 1, 1, 1, 1, 0, 0, 1)",
        ),
        // Nothing is discarded by nobody.
        (
            GOODS,
            "INSERT INTO trade_mq_producer_temp (id, group_name, msg_topic, msg_tag, msg_key, msg_body, msg_status, create_ms) VALUES ('a', 'g', 't', 't', 'k', 'b', 3, 1)",
        ),
        (
            GOODS,
            "INSERT INTO trade_mq_consumer_log (group_name, msg_tag, msg_key, msg_id, msg_topic, msg_body, consumer_status, consumer_times, consumer_ms, remark) VALUES ('g', 't', 'k', 'i', 'o', '', 3, 1, 1, '')",
        ),
        (
            GOODS,
            "INSERT INTO trade_mq_producer_temp (id, group_name, msg_topic, msg_tag, msg_key, msg_body, msg_status, create_ms, due_ms) VALUES ('a', 'g', 't', 't', 'k', 'b', 0, 1, NULL)",
        ),
    ] {
        for test in databases(files).await {
            let before = dump(&test.db).await;
            seed(&test.db, wrong).await.unwrap_err();
            assert_eq!(dump(&test.db).await, before, "{}", test.name);
        }
    }
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    for test in databases(&[MESSAGES, item::FILE]).await {
        item::insert(&test.db, vec![item::item(1, "a", 1)]).await.unwrap();
        let before = dump(&test.db).await;
        migrate(&test.db, &[MESSAGES, item::FILE]).await.unwrap();
        assert_eq!((dump(&test.db).await, migrated(&test.db).await), (before, 2), "{}", test.name);
    }
}

#[tokio::test]
async fn a_new_file_runs_after_those_that_ran() {
    for test in databases(&[MESSAGES]).await {
        migrate(&test.db, &[MESSAGES, item::FILE]).await.unwrap();
        item::insert(&test.db, vec![item::item(1, "a", 1)]).await.unwrap();
        assert_eq!(migrated(&test.db).await, 2, "{}", test.name);
    }
}

/// What stood in the tables before stands in them after.
#[tokio::test]
async fn messages_outlive_the_rebuilding_of_their_tables() {
    let rows = "INSERT INTO trade_mq_producer_temp (id, group_name, msg_topic, msg_tag, msg_key, msg_body, msg_status,
            traceparent, create_ms, due_ms, attempts, remark)
            VALUES ('a', 'g', 'o', 't', 'k', 'body', 0, 'trace', 1, 2, 3, NULL),
                   ('b', 'g', 'o', 't', 'k', 'body', 2, '', 1, NULL, 4, 'too large');
        INSERT INTO trade_mq_consumer_log (group_name, msg_tag, msg_key, msg_id, msg_topic, msg_body, consumer_status,
            consumer_times, consumer_ms, remark) VALUES ('g', 't', 'k', 'i', 'o', x'FF00', 2, 3, 4, 'no JSON')";
    for test in databases(&[MESSAGES]).await {
        seed(&test.db, rows).await.unwrap();
        migrate(&test.db, &[MESSAGES, DEAD_LETTERS]).await.unwrap();
        let nobody = "operator=NULL operator_ms=NULL note=NULL";
        let expected = format!(
            "trade_mq_consumer_log
  group_name=g msg_tag=t msg_key=k msg_id=i msg_topic=o msg_body=FF00 consumer_status=2 consumer_times=3 consumer_ms=4 \
             remark=no JSON retry_ms=NULL {nobody}
trade_mq_producer_temp
  id=a group_name=g msg_topic=o msg_tag=t msg_key=k msg_body=body msg_status=0 traceparent=trace create_ms=1 due_ms=2 \
             attempts=3 remark=NULL {nobody}
  id=b group_name=g msg_topic=o msg_tag=t msg_key=k msg_body=body msg_status=2 traceparent= create_ms=1 due_ms=NULL \
             attempts=4 remark=too large {nobody}
"
        );
        assert_eq!(dump(&test.db).await, expected, "{}", test.name);
    }
}

/// Holds made before they had a time are asked about too.
#[tokio::test]
async fn old_holds_get_a_time() {
    let [messages, goods, hold_due, dead_letters, ..] = GOODS else { panic!("the files of goods") };
    let rows = "INSERT INTO trade_goods_hold (order_id, state, create_ms, update_ms) VALUES
        (1, 1, 5, 5), (2, 2, 5, 5), (3, 3, 5, 5), (4, 4, 5, 5)";
    for test in databases(&[*messages, *goods]).await {
        seed(&test.db, rows).await.unwrap();
        migrate(&test.db, &[*messages, *goods, *hold_due, *dead_letters]).await.unwrap();
        let rows = dump(&test.db).await;
        assert!(rows.contains("order_id=1 state=1 create_ms=5 update_ms=5 due_ms=2100005"), "{}: {rows}", test.name);
        assert_eq!(rows.matches("due_ms=NULL").count(), 3, "{}: {rows}", test.name);
    }
}

#[tokio::test]
async fn an_edited_file_is_refused() {
    for test in databases(&[MESSAGES, item::FILE]).await {
        let edited = SqlFile { sql: "CREATE TABLE item (id BIGINT NOT NULL PRIMARY KEY)", ..item::FILE };
        let refused = migrate(&test.db, &[MESSAGES, edited]).await.unwrap_err();
        assert!(refused.to_string().contains("migration 2"), "{}: {refused}", test.name);
    }
}

#[tokio::test]
async fn two_instances_of_one_schema_may_start_at_once() {
    // A SQLite file belongs to one process.
    for test in databases(&[]).await.into_iter().filter(|test| test.name == "mariadb") {
        let other = test.connect_again().await;
        let (one, two) =
            tokio::join!(migrate(&test.db, &[MESSAGES, item::FILE]), migrate(&other, &[MESSAGES, item::FILE]));
        assert!(one.is_ok() && two.is_ok(), "{}: {one:?} {two:?}", test.name);
        assert_eq!(migrated(&test.db).await, 2, "{}", test.name);
    }
}
