//! A day's statement with gaps of every kind, planted and found (F59).

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;
use shop_testkit::participant::{execute, number};
use tempfile::tempdir;

use crate::child::{run, schemas, stderr, stdout};

/// Noon of 2026-11-24 in Beijing.
const NOON: i64 = 1_795_492_800_000;

/// Payments 11 and 12 are paid on both sides, 13 only at the channel, 14 only here, 15 unpaid; refund 21 of 11 is open
/// here and done there, 22 of 12 done on both sides.
async fn plant(dir: &Path) {
    let schemas = schemas(dir).await;
    for (id, paid, owed, refunded) in [(11, true, 8, 100), (12, true, 0, 200), (13, false, 0, 0), (14, true, 0, 0)] {
        let (state, at, trade_no, key) = if paid {
            ("2", NOON.to_string(), format!("'SB{id}'"), "NULL".to_owned())
        } else {
            ("1", "NULL".to_owned(), "NULL".to_owned(), format!("'{id}/sandbox'"))
        };
        let due = if owed == 0 { "NULL".to_owned() } else { i64::MAX.to_string() };
        let row = format!(
            "INSERT INTO trade_pay (pay_id, order_id, user_id, channel, pay_amount_fen, is_paid, open_key, pay_url, \
             channel_trade_no, add_ms, pay_ms, refund_fen, owed, due_ms) VALUES ({id}, {id}, 1, 'sandbox', 88000, \
             {state}, {key}, '', {trade_no}, {NOON}, {at}, {refunded}, {owed}, {due})"
        );
        execute(&schemas.pay, &row).await;
    }
    for (refund_id, pay_id, fen, state, done) in
        [(21, 11, 100, 0, "NULL".to_owned()), (22, 12, 200, 1, NOON.to_string())]
    {
        let row = format!(
            "INSERT INTO trade_refund (refund_id, pay_id, order_id, cause, cause_id, amount_fen, state, create_ms, \
             done_ms) VALUES ({refund_id}, {pay_id}, {pay_id}, 1, {pay_id}, {fen}, {state}, {NOON}, {done})"
        );
        execute(&schemas.pay, &row).await;
    }
    for (id, refunded) in [(11, 100), (12, 200), (13, 0), (99, 0)] {
        let row = format!(
            "INSERT INTO sandbox_trade (pay_id, amount_fen, state, trade_no, create_ms, paid_ms, refund_fen) VALUES \
             ({id}, 88000, 1, 'SB{id}', {NOON}, {NOON}, {refunded})"
        );
        execute(&schemas.pay, &row).await;
    }
    for (refund_id, pay_id, fen) in [(21, 11, 100), (22, 12, 200)] {
        let row = format!("INSERT INTO sandbox_refund VALUES ({refund_id}, {pay_id}, {fen}, {NOON})");
        execute(&schemas.pay, &row).await;
    }
    schemas.close().await;
}

const STATEMENT: &str = "at,kind,pay_id,refund_id,trade_no,amount
2026-11-24 12:00:00,payment,11,,SB11,880.00
2026-11-24 12:00:00,refund,11,21,SB11,1.00
2026-11-24 12:00:00,payment,12,,SB12,880.01
2026-11-24 12:00:00,refund,12,22,SB12,2.00
2026-11-24 12:00:00,payment,13,,SB13,880.00
2026-11-24 12:00:00,payment,99,,SB99,880.00
";

/// By payment or refund: what kind of gap, and whether it is open.
fn gaps(report: &Value) -> BTreeMap<String, (String, bool)> {
    let id = |gap: &Value| gap["refund_id"].as_str().or(gap["pay_id"].as_str()).unwrap().to_owned();
    let gaps = report["gaps"].as_array().unwrap().iter();
    gaps.map(|gap| (id(gap), (gap["kind"].as_str().unwrap().to_owned(), gap["open"].as_bool().unwrap()))).collect()
}

#[tokio::test]
async fn gaps_of_every_kind_are_found_and_what_can_be_mended_is() {
    let dir = tempdir().unwrap();
    plant(dir.path()).await;
    let file = dir.path().join("statement.csv");
    fs::write(&file, STATEMENT).unwrap();
    let args = ["reconcile", "--channel", "sandbox", "--json", "--statement", file.to_str().unwrap()];
    let found = run(dir.path(), &args).await;
    assert_eq!(found.status.code(), Some(1), "{}", stderr(&found));
    let report: Value = serde_json::from_str(stdout(&found)).unwrap();
    let expected = |open: [bool; 5]| {
        let kinds = ["amount_differs", "state_differs", "ours_only", "state_differs", "theirs_only"];
        let ids = ["12", "13", "14", "21", "99"].map(str::to_owned);
        let rows = kinds.iter().zip(open).map(|(kind, open)| ((*kind).to_owned(), open));
        ids.into_iter().zip(rows).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(report["matched"], 2);
    assert_eq!(gaps(&report), expected([true; 5]));

    let applied = run(dir.path(), &[&args[..], &["--apply"]].concat()).await;
    assert_eq!(applied.status.code(), Some(1), "some are for an operator: {}", stderr(&applied));
    let report: Value = serde_json::from_str(stdout(&applied)).unwrap();
    assert_eq!(gaps(&report), expected([true, false, true, false, true]));
    let schemas = schemas(dir.path()).await;
    let count = async |sql: &str| number(&schemas.pay, sql).await;
    assert_eq!(count("SELECT is_paid AS n FROM trade_pay WHERE pay_id = 13").await, 2, "the channel calls it paid");
    assert_eq!(count("SELECT COUNT(*) AS n FROM trade_mq_producer_temp").await, 1, "and the shop will hear of it");
    assert_eq!(count("SELECT state AS n FROM trade_refund WHERE refund_id = 21").await, 1);
    assert_eq!(count("SELECT COUNT(*) AS n FROM sandbox_refund").await, 2, "nothing was paid back twice");
}

/// Whoever has no such channel is told once, not for each gap.
#[tokio::test]
async fn without_the_channel_nothing_is_applied() {
    let dir = tempdir().unwrap();
    plant(dir.path()).await;
    let file = dir.path().join("statement.csv");
    fs::write(&file, STATEMENT).unwrap();
    let args = [
        "--set",
        "pay.sandbox.enabled=false",
        "reconcile",
        "--channel",
        "sandbox",
        "--statement",
        file.to_str().unwrap(),
    ];
    assert_eq!(run(dir.path(), &args).await.status.code(), Some(1), "comparing needs no channel");
    let output = run(dir.path(), &[&args[..], &["--apply"]].concat()).await;
    assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""));
    assert!(stderr(&output).contains("pay.sandbox.enabled must be true"), "{}", stderr(&output));
}

#[tokio::test]
async fn what_cannot_be_read_is_said_and_changes_nothing() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("statement.csv");
    let path = file.to_str().unwrap().to_owned();
    let with = async |channel: &str, text: &str| {
        fs::write(&file, text).unwrap();
        let output = run(dir.path(), &["reconcile", "--channel", channel, "--statement", &path]).await;
        (output.status.code(), stderr(&output).to_owned())
    };
    let (code, said) = with("visa", STATEMENT).await;
    assert_eq!(code, Some(2));
    assert!(said.contains("known are sandbox, alipay and wechat"), "{said}");
    let (code, said) = with("sandbox", &STATEMENT.replace("1.00", "1.005")).await;
    assert_eq!(code, Some(2));
    assert!(said.contains("statement.csv: line 3: `1.005` is not an amount"), "{said}");
    let (code, said) = with("sandbox", STATEMENT).await;
    assert_eq!(code, Some(2), "there are no books to hold it against: {said}");
    plant(dir.path()).await;
    let (code, said) = with("sandbox", "at,kind,pay_id,refund_id,trade_no,amount\n").await;
    assert_eq!(code, Some(2));
    assert!(said.contains("say of which day it is"), "{said}");
}
