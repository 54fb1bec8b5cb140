//! A running shop with the channel alipay and Alipay's simulator: order, code, buyer, notification, refund, bill.

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use serde_json::Value;
use shop_common::{money::Fen, time::Clock};
use shop_proto::{
    order::v1::{
        CancelOrderRequest, ConfirmItem, ConfirmOrderRequest, GetOrderRequest, Order, PayStatus,
        order_service_client::OrderServiceClient,
    },
    pay::v1::{CreatePaymentRequest, pay_service_client::PayServiceClient},
};
use shop_sim::{
    Provider, Sim,
    alipay::{Alipay, GATEWAY},
    faults::{CallFault, Faults},
    keys::Pair,
    serve, time,
};
use shop_testkit::{eventually, participant::execute};
use tempfile::tempdir;
use tokio::net::TcpListener;

use crate::child::{self, Running, Up, run, stderr, stdout};

const USER: i64 = 1;
const BOOK: i64 = 1;
const PRICE: i64 = 88_000;
const APP: &str = "2021000000000001";
const SELLER: &str = "2088000000000002";
const PATIENCE: Duration = Duration::from_secs(60);

async fn fill(dir: &Path) {
    let schemas = child::schemas(dir).await;
    let goods = format!(
        "INSERT INTO trade_goods (goods_id, goods_name, goods_number, goods_price_fen, add_ms) \
         VALUES ({BOOK}, 'x', 10, {PRICE}, 1)"
    );
    execute(&schemas.goods, &goods).await;
    execute(&schemas.goods, &format!("INSERT INTO trade_goods_number_log VALUES (0, {BOOK}, 0, 10, 1)")).await;
    let user = format!(
        "INSERT INTO trade_user (user_id, user_name, user_score, user_reg_ms, user_money_fen) \
         VALUES ({USER}, 'u', 0, 1, 0)"
    );
    execute(&schemas.user, &user).await;
    for log in ["trade_user_money_log", "trade_user_score_log"] {
        execute(&schemas.user, &format!("INSERT INTO {log} VALUES (0, {USER}, 0, 0, 1)")).await;
    }
    schemas.close().await;
}

/// The keys of both sides as files, and what the shop is told of them.
fn keys(dir: &Path, base: &str) -> (Pair, Pair, Vec<String>) {
    let (ours, theirs) = (Pair::generate().unwrap(), Pair::generate().unwrap());
    let (private, public) = (dir.join("ours.pem"), dir.join("theirs.pem"));
    fs::write(&private, &ours.private).unwrap();
    fs::write(&public, &theirs.public).unwrap();
    let keys = [
        ("enabled", "true".to_owned()),
        ("gateway", format!("{base}{GATEWAY}")),
        ("app_id", APP.to_owned()),
        ("seller_id", SELLER.to_owned()),
        // The simulator is told where the gateway is: its port is not known yet.
        ("notify_url", "http://127.0.0.1/api/v1/callbacks/alipay".to_owned()),
        ("private_key_file", private.display().to_string()),
        ("public_key_file", public.display().to_string()),
    ];
    (ours, theirs, keys.into_iter().map(|(key, value)| format!("pay.alipay.{key}={value}")).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_paid_refunded_and_reconciled_over_alipay() {
    let dir = tempdir().unwrap();
    fill(dir.path()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (ours, theirs, keys) = keys(dir.path(), &base);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let up = Up::start(dir.path(), &keys).await;
    let alipay = Alipay::new(APP, SELLER, &theirs.private, &ours.public).unwrap();
    let callbacks = format!("http://{}/api/v1/callbacks/alipay", up.web);
    let sim = Sim::new(alipay, Clock::system(), Faults::none(), &base, Some(callbacks)).unwrap();
    let served = serve(Alipay::routes(Arc::clone(&sim)), listener).unwrap();
    let channel = up.connect().await;
    let (mut orders, mut payments) = (OrderServiceClient::new(channel.clone()), PayServiceClient::new(channel));

    let confirmed = orders.confirm_order(order("alipay-1")).await.unwrap().into_inner().order.unwrap();
    let pay = CreatePaymentRequest {
        order_id: confirmed.order_id,
        user_id: USER,
        amount_fen: confirmed.amount_due_fen,
        channel: "alipay".to_owned(),
    };
    // The first answer of Alipay's is lost; the client asks again, as it would.
    sim.faults.next_call(CallFault::LoseAnswer);
    payments.create_payment(pay.clone()).await.unwrap_err();
    let payment = payments.create_payment(pay).await.unwrap().into_inner().payment.unwrap();
    let number = payment.pay_id.to_string();
    assert_eq!(payment.pay_url, sim.buyer_url(&number));

    let buyer = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(buyer.post(&payment.pay_url).send().await.unwrap().status().is_success());
    assert_eq!(sim.run_once(sim.now()).await, 1);
    assert_eq!(sim.books().to_send(), 0, "the gateway answered success");
    let get = GetOrderRequest { order_id: confirmed.order_id, user_id: USER };
    let status = async |wanted: PayStatus| {
        let mut orders = orders.clone();
        eventually("the order follows", PATIENCE, async || {
            let order: Order = orders.get_order(get).await.unwrap().into_inner();
            order.pay_status() == wanted
        })
        .await;
    };
    status(PayStatus::Paid).await;

    let cancel = CancelOrderRequest { order_id: confirmed.order_id, user_id: USER, reason: String::new() };
    sim.faults.next_call(CallFault::LoseAnswer);
    orders.clone().cancel_order(cancel).await.unwrap();
    eventually("the money is back", PATIENCE, async || sim.books().refunds() == 1).await;
    assert_eq!(sim.books().trade(&number).unwrap().refunded, Fen::new(confirmed.amount_due_fen));
    assert_eq!(sim.run_once(sim.now()).await, 1, "Alipay tells of the refund");
    assert_eq!(sim.books().to_send(), 0, "and reads success");

    let audited = run(dir.path(), &["audit", "--wait", "60"]).await;
    assert_eq!(audited.status.code(), Some(0), "{}{}", stdout(&audited), stderr(&audited));
    reconciled(dir.path(), &sim, &keys).await;
    up.kill().await;
    served.stop().await.unwrap();
}

/// The bill of each day there was, against our books: two movements, and both sides agree.
async fn reconciled(dir: &Path, sim: &Sim<Alipay>, keys: &[&str]) {
    let moved = sim.books().booked(shop_common::time::Millis::new(0), sim.now().after(Duration::from_secs(1)));
    let days: BTreeSet<String> = moved.iter().map(|line| time::written(line.at)[..10].to_owned()).collect();
    let mut matched = 0;
    for day in days {
        let file = dir.join("bill.csv");
        fs::write(&file, sim.bill(time::day(&day).unwrap())).unwrap();
        let mut args: Vec<&str> = keys.iter().flat_map(|key| ["--set", key]).collect();
        args.extend(["reconcile", "--channel", "alipay", "--json", "--statement", file.to_str().unwrap()]);
        let found = run(dir, &args).await;
        assert_eq!(found.status.code(), Some(0), "{}{}", stdout(&found), stderr(&found));
        let report: Value = serde_json::from_str(stdout(&found)).unwrap();
        assert_eq!(report["gaps"].as_array().map(Vec::len), Some(0), "{report}");
        matched += report["matched"].as_u64().unwrap();
    }
    assert_eq!((moved.len(), matched), (2, 2));
}

fn order(request_id: &str) -> ConfirmOrderRequest {
    let item = ConfirmItem { goods_id: BOOK, quantity: 1, expected_price_fen: Some(PRICE) };
    ConfirmOrderRequest {
        request_id: request_id.to_owned(),
        user_id: USER,
        items: vec![item],
        ..ConfirmOrderRequest::default()
    }
}

#[tokio::test]
async fn a_configuration_that_cannot_work_does_not_start() {
    let dir = tempdir().unwrap();
    let (ours, _, right) = keys(dir.path(), "http://127.0.0.1:9");
    let own_half = dir.path().join("own.pem");
    fs::write(&own_half, &ours.public).unwrap();
    for (key, value, why) in [
        ("gateway", "http://openapi.alipay.com/gateway.do", "neither https nor on loopback"),
        ("app_id", "", "app_id: 1 to 32 letters or digits"),
        ("seller_id", "a b", "seller_id: 1 to 32 letters or digits"),
        ("notify_url", "", "notify_url: an http or https URL"),
        ("subject", "a&b=c", "subject: 1 to 128 characters"),
        ("private_key_file", "/nowhere", "/nowhere"),
        ("private_key_file", "", "private_key: there is none"),
        ("public_key_file", "", "public_key: there is none"),
        ("public_key_file", own_half.to_str().unwrap(), "our own public key"),
    ] {
        let wrong = format!("pay.alipay.{key}={value}");
        let args: Vec<&str> =
            right.iter().chain([&wrong]).flat_map(|key| ["--set", key.as_str()]).chain(["up"]).collect();
        let output = run(dir.path(), &args).await;
        assert!(!output.status.success() && stderr(&output).contains(why), "{key}: {}", stderr(&output));
        assert!(!stderr(&output).contains(&ours.private[40..90]), "no key is shown");
    }
}

#[tokio::test]
async fn the_simulator_makes_its_keys_once_and_refuses_what_nobody_signed() {
    let dir = tempdir().unwrap();
    let start = async || {
        let args = ["sim", "alipay", "--listen", "127.0.0.1:0"];
        Running::start(dir.path(), &args, &dir.path().join("sim.log")).await.unwrap()
    };
    let (first, said) = start().await;
    let base = said.strip_prefix("alipay simulator up: ").and_then(|rest| rest.split_once(" | ")).unwrap().0;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let body =
        format!("app_id={APP}&method=alipay.trade.query&charset=utf-8&sign_type=RSA2&format=JSON&version=1.0&sign=x");
    let answer = http.post(format!("{base}{GATEWAY}")).body(body).send().await.unwrap().text().await.unwrap();
    assert!(answer.contains("isv.invalid-signature"), "{answer}");
    first.kill().await;

    let private = dir.path().join("sim-alipay/alipay_private.pem");
    assert_eq!(fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&private).unwrap();
    let (again, _) = start().await;
    again.kill().await;
    assert_eq!(fs::read(&private).unwrap(), before);
}
