//! `shop retake` beside the files of a shop whose goods, coupons and users were put back from older copies.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use shop_proto::order::v1::{ConfirmItem, ConfirmOrderRequest, order_service_client::OrderServiceClient};
use shop_testkit::participant::execute;
use tempfile::tempdir;

use crate::child::{self, Up, run, stderr, stdout, succeeds};

const USER: i64 = 345_963_634_385_633_280;
const GOODS: i64 = 345_959_443_973_935_104;
const COUPON: i64 = 345_988_230_098_857_984;

/// Places the course's order with a shop that then ends.
async fn place(data: &Path) -> i64 {
    let up = Up::start(data, &[]).await;
    let wanted = ConfirmOrderRequest {
        request_id: "k".to_owned(),
        user_id: USER,
        items: vec![ConfirmItem { goods_id: GOODS, quantity: 1, ..ConfirmItem::default() }],
        coupon_id: Some(COUPON),
        balance_used_fen: 10_000,
        ..ConfirmOrderRequest::default()
    };
    let placed = OrderServiceClient::new(up.connect().await).confirm_order(wanted).await.unwrap();
    up.signal("TERM").await;
    assert_eq!(up.ended().await.0.code(), Some(0));
    placed.into_inner().order.unwrap().order_id
}

fn file(data: &Path, service: &str, end: &str) -> PathBuf {
    data.join(format!("{service}.{end}"))
}

fn put_back(data: &Path, service: &str) {
    fs::copy(file(data, service, "copy"), file(data, service, "db")).unwrap();
    for end in ["db-wal", "db-shm"] {
        assert!(!file(data, service, end).exists(), "nobody has it open");
    }
}

async fn audit(data: &Path) -> Option<i32> {
    run(data, &["audit", "--confirm", "0"]).await.status.code()
}

/// How it ended, what was taken again, and what was refused.
async fn retake(data: &Path) -> (Option<i32>, Vec<Value>, Vec<Value>) {
    let output = run(data, &["retake", "--json"]).await;
    let said: Value = serde_json::from_str(stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    let rows = |of: &str| said[of].as_array().unwrap().clone();
    (output.status.code(), rows("taken"), rows("refused"))
}

#[tokio::test]
async fn what_was_forgotten_is_taken_again_or_said_to_be_gone() {
    let dir = tempdir().unwrap();
    let data = dir.path();
    succeeds(data, &["seed"]).await;
    for service in ["goods", "coupon", "user"] {
        fs::copy(file(data, service, "db"), file(data, service, "copy")).unwrap();
    }
    let order_id = place(data).await.to_string();
    assert_eq!(audit(data).await, Some(0));

    for service in ["goods", "coupon", "user"] {
        put_back(data, service);
    }
    assert_eq!(audit(data).await, Some(1), "three services have forgotten it");
    let (code, taken, refused) = retake(data).await;
    let what: Vec<&str> = taken.iter().map(|row| row["what"].as_str().unwrap()).collect();
    assert_eq!((code, what, refused.len()), (Some(0), vec!["stock", "coupon", "balance"], 0));
    assert!(taken.iter().all(|row| row["order_id"] == *order_id));
    assert_eq!(audit(data).await, Some(0));
    assert_eq!(retake(data).await, (Some(0), vec![], vec![]), "a second time there is nothing to take");

    put_back(data, "goods");
    let schemas = child::schemas(data).await;
    execute(&schemas.goods, "UPDATE trade_goods SET goods_number = 0").await;
    schemas.close().await;
    let (code, taken, refused) = retake(data).await;
    assert_eq!((code, taken.len()), (Some(1), 0));
    assert_eq!(refused[0]["why"], "SHOP_GOODS_NUM_NOT_ENOUGH", "somebody else has it");

    fs::rename(file(data, "order", "db"), file(data, "order", "gone")).unwrap();
    assert_eq!(run(data, &["retake"]).await.status.code(), Some(2), "without orders it cannot look");
}
