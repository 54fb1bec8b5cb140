//! `shop refund` beside a running shop, and the statement of that day afterwards.

use std::{fs, path::Path, time::Duration};

use jiff::{Timestamp, tz::Offset};
use serde_json::Value;
use shop_proto::{
    order::v1::{ConfirmItem, ConfirmOrderRequest, Order, order_service_client::OrderServiceClient},
    pay::v1::{CreatePaymentRequest, Payment, pay_service_client::PayServiceClient},
};
use shop_testkit::{
    eventually,
    participant::{execute, number},
};
use tempfile::tempdir;

use crate::child::{self, Up, run, stderr, stdout, succeeds};

const USER: i64 = 345_963_634_385_633_280;
const GOODS: i64 = 345_959_443_973_935_104;
const PATIENCE: Duration = Duration::from_secs(60);

/// An order that its buyer has paid at the sandbox's page, and the shop knows it.
async fn paid(up: &Up, key: &str) -> (Order, Payment) {
    let item = ConfirmItem { goods_id: GOODS, quantity: 1, ..ConfirmItem::default() };
    let (request_id, items) = (key.to_owned(), vec![item]);
    let wanted = ConfirmOrderRequest { request_id, user_id: USER, items, ..ConfirmOrderRequest::default() };
    let channel = up.connect().await;
    let order = OrderServiceClient::new(channel.clone()).confirm_order(wanted).await.unwrap();
    let order = order.into_inner().order.unwrap();
    let wanted = CreatePaymentRequest {
        order_id: order.order_id,
        user_id: USER,
        amount_fen: order.amount_due_fen,
        channel: String::new(),
    };
    let payment = PayServiceClient::new(channel).create_payment(wanted).await.unwrap().into_inner().payment.unwrap();
    let page = format!("http://{}/sandbox/pay/{}", up.web, payment.pay_id);
    let shown = reqwest::get(&page).await.unwrap().text().await.unwrap();
    assert!(shown.contains("1000.00") && shown.contains(&order.order_id.to_string()), "{shown}");
    assert!(reqwest::Client::new().post(&page).send().await.unwrap().status().is_success());
    (order, payment)
}

/// Runs `shop refund` and reads what it says: its exit code and its JSON.
async fn refund(data: &Path, args: &[&str]) -> (Option<i32>, Value) {
    let output = run(data, &[&["refund", "--json"], args].concat()).await;
    let said = serde_json::from_str(stdout(&output)).unwrap_or_else(|_| stderr(&output).into());
    (output.status.code(), said)
}

#[tokio::test]
async fn an_operator_gives_back_in_parts_beside_a_running_shop_and_the_statement_agrees() {
    let dir = tempdir().unwrap();
    let data = dir.path();
    succeeds(data, &["seed"]).await;
    let up = Up::start(data, &["sweeper.interval_ms=50"]).await;
    let ((order, payment), (other, _)) = (paid(&up, "a").await, paid(&up, "b").await);
    succeeds(data, &["audit", "--wait", "30"]).await;
    let pay_id = payment.pay_id.to_string();

    let part = ["payment", &pay_id, "--amount", "100.00", "--reason", "arrived broken", "--key", "k"];
    let (code, first) = refund(data, &part).await;
    assert_eq!((code, &first["amount"], &first["cause"]), (Some(0), &"100.00".into(), &"OPERATOR".into()), "{first}");
    let (code, again) = refund(data, &part).await;
    assert_eq!((code, &again["refundId"]), (Some(0), &first["refundId"]), "the same key");
    for (amount, key) in [("1000.00", "l"), ("99.00", "k")] {
        let (code, said) = refund(data, &["payment", &pay_id, "--amount", amount, "--reason", "x", "--key", key]).await;
        assert_eq!(code, Some(1), "{said}");
    }
    assert_eq!(refund(data, &["payment", "7", "--reason", "x"]).await.0, Some(1));
    for amount in ["5", "1.5"] {
        let refused = run(data, &["refund", "payment", &pay_id, "--amount", amount, "--reason", "x"]).await;
        assert_eq!(refused.status.code(), Some(2), "{amount}");
        assert!(stderr(&refused).contains("yuan with two decimals"), "{amount}: {}", stderr(&refused));
    }
    succeeds(data, &["refund", "payment", &pay_id, "--amount", "50.00", "--reason", "late"]).await;
    let is_done = async || {
        let (_, list) = refund(data, &["list", "--all"]).await;
        list["refunds"].as_array().unwrap().iter().filter(|refund| refund["status"] == "DONE").count()
    };
    eventually("both are paid back", PATIENCE, async || is_done().await == 2).await;

    let (order_id, nobody) = (other.order_id.to_string(), "SHOP_ORDER_NO_EXIST: no such order (order_id)");
    let (code, said) = refund(data, &["order", &order_id, "--reason", "recalled"]).await;
    assert_eq!((code, &said["result"]), (Some(0), &"refunded; what it took is on its way back".into()), "{said}");
    for (order_id, result) in [(order_id.as_str(), "nothing to do: it was refunded before"), ("7", nobody)] {
        let log = run(data, &["refund", "order", order_id, "--reason", "recalled"]).await;
        let line: Value = serde_json::from_str(stderr(&log).lines().next().unwrap()).unwrap();
        assert_eq!(line["result"], result, "{line}");
    }
    eventually("and the order's payment", PATIENCE, async || is_done().await == 3).await;
    succeeds(data, &["audit", "--wait", "30"]).await;

    // The clock may pass midnight while this runs: the day of the first line counts.
    let day = Offset::constant(8).to_datetime(Timestamp::now()).date();
    let statement = reqwest::get(format!("http://{}/sandbox/statement/{day}", up.web)).await.unwrap();
    assert_eq!(statement.headers()["content-type"], "text/csv; charset=utf-8");
    let text = statement.text().await.unwrap();
    assert_eq!(text.lines().filter(|line| line.contains(&pay_id)).count(), 3, "{text}");
    let file = data.join("statement.csv");
    fs::write(&file, &text).unwrap();
    succeeds(data, &["reconcile", "--channel", "sandbox", "--statement", file.to_str().unwrap()]).await;

    let rest = refund(data, &["payment", &pay_id, "--reason", "all of it"]).await.1;
    assert_eq!(rest["amount"], "850.00");
    succeeds(data, &["audit", "--wait", "30"]).await;
    up.signal("TERM").await;
    up.ended().await;
    let schemas = child::schemas(data).await;
    let status = format!("SELECT order_status AS n FROM trade_order WHERE order_id = {}", order.order_id);
    assert_eq!(number(&schemas.order, &status).await, 4);
    assert_eq!(number(&schemas.goods, "SELECT goods_number AS n FROM trade_goods").await, 1000);
    schemas.close().await;
}

#[tokio::test]
async fn what_a_channel_refused_is_listed_until_it_is_paid_back() {
    let dir = tempdir().unwrap();
    let data = dir.path();
    succeeds(data, &["seed"]).await;
    assert_eq!(refund(data, &["list"]).await.0, Some(0));
    let up = Up::start(data, &["sweeper.interval_ms=50"]).await;
    let (_, payment) = paid(&up, "a").await;
    succeeds(data, &["audit", "--wait", "30"]).await;
    let refunded = refund(data, &["payment", &payment.pay_id.to_string(), "--amount", "1.00", "--reason", "x"]).await.1;
    let refund_id = refunded["refundId"].as_str().unwrap();
    let schemas = child::schemas(data).await;
    let done = "SELECT COUNT(*) AS n FROM trade_refund WHERE state = 1";
    eventually("it is paid back", PATIENCE, async || number(&schemas.pay, done).await == 1).await;
    // As if the channel had refused it and paid nothing.
    execute(&schemas.pay, "UPDATE trade_refund SET state = 2, done_ms = NULL, remark = 'account closed'").await;
    execute(&schemas.pay, "DELETE FROM sandbox_refund").await;
    execute(&schemas.pay, "UPDATE sandbox_trade SET refund_fen = 0").await;

    let listed = run(data, &["refund", "list"]).await;
    let text = stdout(&listed);
    assert_eq!(listed.status.code(), Some(1), "{text}");
    assert!(
        text.contains("REFUSED") && text.contains("the channel says: account closed") && text.ends_with("1 refused\n")
    );
    let audit = run(data, &["audit", "--confirm", "0"]).await;
    assert_eq!(audit.status.code(), Some(1), "an operator has to look");

    let (code, retried) = refund(data, &["retry", refund_id]).await;
    assert_eq!((code, &retried["status"]), (Some(0), &"OPEN".into()), "{retried}");
    eventually("it is paid back after all", PATIENCE, async || number(&schemas.pay, done).await == 1).await;
    assert_eq!(refund(data, &["list"]).await.0, Some(0));
    assert_eq!(refund(data, &["retry", "7"]).await.0, Some(1), "no such refund");
    succeeds(data, &["audit", "--wait", "30"]).await;
    schemas.close().await;
    up.signal("TERM").await;
    up.ended().await;
}

#[tokio::test]
async fn where_there_are_no_books_nothing_is_known() {
    let dir = tempdir().unwrap();
    for args in [&["list"][..], &["retry", "7"], &["payment", "7", "--reason", "x"], &["order", "7", "--reason", "x"]] {
        assert_eq!(refund(dir.path(), args).await.0, Some(2), "{args:?}");
    }
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none(), "nothing was made");
}
