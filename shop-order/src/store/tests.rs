//! What was decided under lock is stated again in the SQL: where it holds no longer, nothing is written.

use sea_orm::ConnectionTrait;
use shop_common::db::Failure;
use shop_testkit::{
    databases, dump,
    participant::{execute, number, the_last_fence_holds, what_is_decided_on_is_locked},
};

use super::*;
use crate::order::Confirmed;

const ORDER: &str = "
INSERT INTO trade_order (order_id, user_id, request_id, request_hash, order_status, pay_status, goods_amount_fen,
    shipping_fee_fen, order_amount_fen, coupon_paid_fen, money_paid_fen, pay_amount_fen, add_ms, due_ms)
VALUES (1, 11, 'k', '', 0, 0, 5000, 1000, 6000, 0, 0, 6000, 1, 2)";

/// Confirms the order, after somebody who was not kept out by the lock has made `change`.
async fn confirm_beside(db: &shop_common::db::Db, change: &str) -> Result<()> {
    db.write_tx(async |tx| {
        let mut orders = load(tx, vec![1]).await?;
        let order = orders.get_mut(OrderId::new(1)).unwrap();
        assert_eq!(order.confirm(Millis::new(3), Millis::new(4)), Confirmed::Now);
        tx.execute_unprepared(change).await?;
        save(tx, &orders).await
    })
    .await
}

#[tokio::test]
async fn a_state_that_was_changed_meanwhile_is_not_written_over() {
    for test in databases(&crate::SCHEMA).await {
        execute(&test.db, ORDER).await;
        let before = dump(&test.db).await;
        for change in ["order_status = 2", "pay_status = 1", "owed = 8", "closing_ms = 1"] {
            let done = confirm_beside(&test.db, &format!("UPDATE trade_order SET {change}")).await;
            assert!(matches!(done, Err(Failure::Rollback(_))), "{}: {change}: {done:?}", test.name);
            assert_eq!(dump(&test.db).await, before, "{}: {change}", test.name);
        }
        confirm_beside(&test.db, "UPDATE trade_order SET attempts = 3").await.unwrap();
        let status = number(&test.db, "SELECT order_status AS n FROM trade_order").await;
        assert_eq!(status, 1, "{}: what is no state is nobody's business", test.name);
    }
}

#[tokio::test]
async fn the_schema_itself_refuses_an_order_that_does_not_add_up() {
    let wrong = [
        "INSERT INTO trade_order (order_id, user_id, request_id, request_hash, order_status, pay_status, goods_amount_fen,
            shipping_fee_fen, order_amount_fen, coupon_paid_fen, money_paid_fen, pay_amount_fen, add_ms, due_ms)
         VALUES (2, 11, 'k', '', 0, 0, 5000, 1000, 6000, 0, 0, 6000, 1, 2)",
        "UPDATE trade_order SET order_status = 5",
        "UPDATE trade_order SET pay_status = 3",
        "UPDATE trade_order SET order_amount_fen = 5000, pay_amount_fen = 5000",
        "UPDATE trade_order SET pay_amount_fen = 5999",
        "UPDATE trade_order SET money_paid_fen = 6001, pay_amount_fen = -1",
        "UPDATE trade_order SET coupon_paid_fen = -1, pay_amount_fen = 6001",
        "UPDATE trade_order SET owed = 1, due_ms = NULL",
        "INSERT INTO trade_order_item VALUES (1, 7, 1, 0, 100)",
        "INSERT INTO trade_order_item VALUES (1, 7, 1, 1, -1)",
        "INSERT INTO trade_order_item VALUES (1, 7, 1, 1, 100), (1, 7, 2, 1, 100)",
    ];
    the_last_fence_holds(&crate::SCHEMA, ORDER, &wrong).await;
}

#[tokio::test]
async fn rows_that_are_decided_on_are_locked() {
    what_is_decided_on_is_locked(&crate::SCHEMA, ORDER, async |tx| load(tx, vec![1]).await).await;
}
