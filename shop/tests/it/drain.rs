//! A process that is told to stop: it says so, takes nothing new, finishes what runs, and loses nothing it has answered.

use std::{path::Path, time::Duration};

use futures::future::join_all;
use shop_proto::order::v1::{ConfirmItem, ConfirmOrderRequest, order_service_client::OrderServiceClient};
use shop_testkit::{
    eventually,
    participant::{execute, number},
};
use tempfile::tempdir;
use tokio::sync::mpsc;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::child::{self, Up, run, stdout};

const PATIENCE: Duration = Duration::from_secs(60);
const BUYERS: i64 = 8;
/// Orders that are answered before the stop.
const ANSWERED: usize = 40;

async fn fill(data_dir: &Path) {
    let schemas = child::schemas(data_dir).await;
    let goods = "(goods_id, goods_name, goods_number, goods_price_fen, add_ms) VALUES (1, 'x', 100000, 100, 1)";
    execute(&schemas.goods, &format!("INSERT INTO trade_goods {goods}")).await;
    execute(&schemas.goods, "INSERT INTO trade_goods_number_log VALUES (0, 1, 0, 100000, 1)").await;
    for user in 1..=BUYERS {
        let columns = "(user_id, user_name, user_score, user_reg_ms, user_money_fen)";
        execute(&schemas.user, &format!("INSERT INTO trade_user {columns} VALUES ({user}, 'u', 0, 1, 0)")).await;
        execute(&schemas.user, &format!("INSERT INTO trade_user_money_log VALUES (0, {user}, 0, 0, 1)")).await;
        execute(&schemas.user, &format!("INSERT INTO trade_user_score_log VALUES (0, {user}, 0, 0, 1)")).await;
    }
    schemas.close().await;
}

fn order(user_id: i64, key: usize) -> ConfirmOrderRequest {
    let items = vec![ConfirmItem { goods_id: 1, quantity: 1, ..ConfirmItem::default() }];
    ConfirmOrderRequest { request_id: format!("k{key}"), user_id, items, ..ConfirmOrderRequest::default() }
}

/// Orders until it is turned away; tells of every order that was answered.
async fn buy(channel: Channel, user_id: i64, answered: mpsc::UnboundedSender<i64>) {
    let mut orders = OrderServiceClient::new(channel);
    for key in 0.. {
        let Ok(answer) = orders.confirm_order(order(user_id, key)).await else { return };
        answered.send(answer.into_inner().order.unwrap().order_id).unwrap();
    }
}

#[tokio::test]
async fn every_order_that_was_answered_is_there_after_a_stop_under_load() {
    let dir = tempdir().unwrap();
    fill(dir.path()).await;
    let up = Up::start(dir.path(), &[]).await;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let mut buyers = Vec::new();
    for user_id in 1..=BUYERS {
        buyers.push(tokio::spawn(buy(up.connect().await, user_id, sender.clone())));
    }
    drop(sender);
    let mut answered = Vec::new();
    while answered.len() < ANSWERED {
        answered.push(receiver.recv().await.unwrap());
    }
    up.signal("TERM").await;
    let (status, last) = up.ended().await;
    assert_eq!((status.code(), last.as_deref()), (Some(0), Some("shop down")));
    join_all(buyers).await;
    while let Some(order_id) = receiver.recv().await {
        answered.push(order_id);
    }
    let schemas = child::schemas(dir.path()).await;
    let ids = answered.iter().map(ToString::to_string).collect::<Vec<String>>().join(",");
    let kept = format!("SELECT COUNT(*) AS n FROM trade_order WHERE order_status = 1 AND order_id IN ({ids})");
    assert_eq!(number(&schemas.order, &kept).await, i64::try_from(answered.len()).unwrap());
    schemas.close().await;

    // Nobody waits for what was cut off: it is given back after the next start.
    let again = Up::start(dir.path(), &["order.saga_deadline_s=1"]).await;
    let audit = run(dir.path(), &["audit", "--wait", "40"]).await;
    assert!(audit.status.success(), "{}", stdout(&audit));
    again.signal("TERM").await;
    assert_eq!(again.ended().await.0.code(), Some(0));
}

#[tokio::test]
async fn it_is_not_ready_before_it_stops_and_a_second_signal_ends_it_at_once() {
    let dir = tempdir().unwrap();
    fill(dir.path()).await;
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let up = Up::start(dir.path(), &["shutdown.notice_ms=600000"]).await;
        let channel = up.connect().await;
        up.signal("TERM").await;
        let ready = format!("http://{}/readyz", up.web);
        eventually("it is not ready", PATIENCE, async || reqwest::get(&ready).await.unwrap().status() == 503).await;
        let mut health = HealthClient::new(channel.clone());
        eventually("it says so", PATIENCE, async || {
            let service = "shop.order.v1.OrderService".to_owned();
            let answer = health.check(HealthCheckRequest { service }).await.unwrap().into_inner();
            answer.status() == ServingStatus::NotServing
        })
        .await;
        let late = OrderServiceClient::new(up.connect().await).confirm_order(order(1, code)).await;
        late.expect("who has not seen it yet is still served");
        up.signal(signal).await;
        assert_eq!(up.ended().await.0.code(), Some(i32::try_from(code).unwrap()));
    }
    let schemas = child::schemas(dir.path()).await;
    let kept = "SELECT COUNT(*) AS n FROM trade_order WHERE order_status = 1";
    assert_eq!(number(&schemas.order, kept).await, 2, "what was answered stays");
    schemas.close().await;
}
