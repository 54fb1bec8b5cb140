//! The page of traps tells the truth, and the traps that no service's own tests close.

use sea_orm::ConnectionTrait;
use shop_common::{
    code::ShopCode,
    error::ShopError,
    migrate::{DEAD_LETTERS, DELIVER_AT, MESSAGES},
    outbox::{Message, append},
    time::Millis,
    trace::TraceParent,
};
use shop_proto::{
    order::v1::{
        CancelOrderRequest, ConfirmItem, ConfirmOrderRequest, GetOrderRequest, order_service_client::OrderServiceClient,
    },
    pay::v1::{CreatePaymentRequest, pay_service_client::PayServiceClient},
    topic::ORDER_CANCEL,
};
use shop_testkit::{
    databases, eventually,
    participant::{execute, number},
};

use crate::{
    child::{self, Up},
    page,
};

/// How a row without tests must read.
const NOT_BUILT: &str = "*not built yet*";
/// The rows that may.
const NOT_BUILT_YET: [u32; 5] = [10, 52, 53, 54, 61];
/// Traps of the course.
const TRAPS: u32 = 62;

#[test]
fn every_trap_has_a_test_that_exists() {
    let mut told = Vec::new();
    for row in page::rows("docs/traps.md", "| # ") {
        let [number, trap, why, tests] = row.as_slice() else { panic!("{row:?}") };
        let tests = page::tests(tests);
        assert!(!trap.is_empty() && !why.is_empty(), "{row:?}");
        assert_eq!(tests.is_empty(), why == NOT_BUILT, "{row:?}");
        told.push((number.parse().unwrap(), tests.len()));
    }
    page::each_once(&told, TRAPS, &NOT_BUILT_YET);
}

/// A shop with two kinds of goods and one buyer.
async fn shop_of_two_goods() -> (tempfile::TempDir, shop::audit::Schemas, Up) {
    let dir = tempfile::tempdir().unwrap();
    let schemas = child::schemas(dir.path()).await;
    for goods in [1, 2] {
        let columns = "(goods_id, goods_name, goods_number, goods_price_fen, add_ms)";
        execute(&schemas.goods, &format!("INSERT INTO trade_goods {columns} VALUES ({goods}, 'x', 10, 10000, 1)"))
            .await;
        execute(&schemas.goods, &format!("INSERT INTO trade_goods_number_log VALUES (0, {goods}, 0, 10, 1)")).await;
    }
    let columns = "(user_id, user_name, user_score, user_reg_ms, user_money_fen)";
    execute(&schemas.user, &format!("INSERT INTO trade_user {columns} VALUES (1, 'u', 0, 1, 0)")).await;
    let up = Up::start(dir.path(), &[]).await;
    (dir, schemas, up)
}

fn order(request_id: &str, lines: &[(i64, i32)]) -> ConfirmOrderRequest {
    let line = |(goods_id, quantity): &(i64, i32)| ConfirmItem {
        goods_id: *goods_id,
        quantity: *quantity,
        expected_price_fen: Some(10_000),
    };
    let items = lines.iter().map(line).collect();
    ConfirmOrderRequest { request_id: request_id.to_owned(), user_id: 1, items, ..ConfirmOrderRequest::default() }
}

/// Trap 5.
#[tokio::test]
async fn an_order_keeps_the_price_it_was_made_at() {
    let (_dir, schemas, up) = shop_of_two_goods().await;
    let channel = up.connect().await;
    let mut orders = OrderServiceClient::new(channel.clone());
    let made = orders.confirm_order(order("k", &[(1, 1)])).await.unwrap().into_inner().order.unwrap();
    execute(&schemas.goods, "UPDATE trade_goods SET goods_price_fen = 99999 WHERE goods_id = 1").await;

    let again = orders.confirm_order(order("k", &[(1, 1)])).await.unwrap().into_inner().order.unwrap();
    let read = orders.get_order(GetOrderRequest { order_id: made.order_id, user_id: 1 }).await.unwrap().into_inner();
    assert_eq!((&again, &read), (&made, &made));
    assert_eq!((read.items[0].price_fen, read.amount_due_fen), (10_000, 11_000));
    let refused = orders.confirm_order(order("later", &[(1, 1)])).await.unwrap_err();
    assert_eq!(ShopError::from_status(&refused).code, ShopCode::GoodsPriceInvalid);
    let pay = CreatePaymentRequest { order_id: made.order_id, user_id: 1, amount_fen: 11_000, channel: String::new() };
    let payment = PayServiceClient::new(channel).create_payment(pay).await.unwrap().into_inner().payment.unwrap();
    assert_eq!(payment.amount_fen, 11_000);
}

/// Traps 24 and 60.
#[tokio::test]
async fn every_line_of_an_order_goes_and_comes_back() {
    let (_dir, schemas, up) = shop_of_two_goods().await;
    let mut orders = OrderServiceClient::new(up.connect().await);
    let stock = async || {
        let of = |goods| format!("SELECT goods_number AS n FROM trade_goods WHERE goods_id = {goods}");
        (number(&schemas.goods, &of(1)).await, number(&schemas.goods, &of(2)).await)
    };
    let made = orders.confirm_order(order("k", &[(1, 3), (2, 4)])).await.unwrap().into_inner().order.unwrap();
    assert_eq!(stock().await, (7, 6));
    let cancel = CancelOrderRequest { order_id: made.order_id, user_id: 1, reason: String::new() };
    orders.cancel_order(cancel).await.unwrap();
    eventually("it comes back", std::time::Duration::from_secs(60), async || stock().await == (10, 10)).await;
    let moves = format!("SELECT COUNT(*) AS n FROM trade_goods_number_log WHERE ref_id = {}", made.order_id);
    assert_eq!(number(&schemas.goods, &moves).await, 4);
}

/// Trap 26.
#[tokio::test]
async fn no_message_is_in_progress() {
    for test in databases(&[MESSAGES, DEAD_LETTERS, DELIVER_AT]).await {
        let insert = |status: i32| {
            format!(
                "INSERT INTO trade_mq_consumer_log (group_name, msg_tag, msg_key, msg_id, msg_topic, msg_body, \
                 consumer_status, consumer_times, consumer_ms, remark) VALUES ('g', 't', '{status}', 'i', 't', '', {status}, 1, 1, '')"
            )
        };
        for handled_or_failed in [1, 2] {
            execute(&test.db, &insert(handled_or_failed)).await;
        }
        let processing = test.db.write_tx(async |tx| Ok(tx.execute_unprepared(&insert(0)).await?)).await;
        assert!(processing.is_err(), "{}", test.name);
    }
}

/// Trap 32.
#[tokio::test]
async fn a_long_body_is_owed_whole() {
    let body = "原因 \u{1f3e0}".repeat(4_000);
    for test in databases(&[MESSAGES, DELIVER_AT]).await {
        let message = Message::new(ORDER_CANCEL, 1, &body, TraceParent::start()).unwrap();
        test.db.write_tx(async |tx| append(tx, &[message], Millis::new(1)).await).await.unwrap();
        let whole = format!("SELECT COUNT(*) AS n FROM trade_mq_producer_temp WHERE msg_body = '\"{body}\"'");
        assert_eq!(number(&test.db, &whole).await, 1, "{}", test.name);
    }
}
