//! `shop dlq`, over databases of a shop that is stopped or runs.

use std::{path::Path, process::Output, time::Duration};

use serde_json::Value;
use shop_testkit::{eventually, participant::execute};
use tempfile::{TempDir, tempdir};
use tokio::process::Command;

use crate::child::{self, Up, run, stderr, stdout};

/// The operator's manual.
const MANUAL: &str = include_str!("../../../docs/dead-letters.md");
/// Longest wait for what a running shop does by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// A payment notice that its handler failed on.
const FAILED: &str = "order/in/order_payTopic_pay_success_group/pay_success/352542415984402432";
/// Bytes that are no text.
const GARBAGE: &str = "goods/in/goods_orderTopic_order_cancel_group/order_cancel/AC11000200012A3F";
/// A message that the broker would not take.
const PARKED: &str = "pay/out/pay_success:352542415984402432";

const NOTICE: &str =
    r#"{"version":1,"payId":"352542415984402432","orderId":"352537369385242624","payAmount":"880.00"}"#;

/// A data directory with one letter of each sort.
async fn with_letters() -> TempDir {
    let dir = tempdir().unwrap();
    let migrated = run(dir.path(), &["migrate"]).await;
    assert!(migrated.status.success(), "{}", stderr(&migrated));
    let schemas = child::schemas(dir.path()).await;
    let kept = "INSERT INTO trade_mq_consumer_log (group_name, msg_tag, msg_key, msg_id, msg_topic, msg_body, \
                consumer_status, consumer_times, consumer_ms, remark) VALUES";
    let failed = format!(
        "{kept} ('order_payTopic_pay_success_group', 'pay_success', '352542415984402432', 'id', 'payTopic', '{NOTICE}', \
         2, 17, 1700000000000, 'SHOP_UNAVAILABLE')"
    );
    execute(&schemas.order, &failed).await;
    let garbage = format!(
        "{kept} ('goods_orderTopic_order_cancel_group', 'order_cancel', 'AC11000200012A3F', 'AC11000200012A3F', \
         'orderTopic', x'FF00', 2, 1, 1700000000000, 'no JSON')"
    );
    execute(&schemas.goods, &garbage).await;
    let parked = format!(
        "INSERT INTO trade_mq_producer_temp (id, group_name, msg_topic, msg_tag, msg_key, msg_body, msg_status, \
         create_ms, attempts, remark) VALUES ('pay_success:352542415984402432', 'pay_producer_group', 'payTopic', \
         'pay_success', '352542415984402432', '{NOTICE}', 2, 1700000000000, 1, 'body of 4194304 bytes')"
    );
    execute(&schemas.pay, &parked).await;
    schemas.close().await;
    dir
}

async fn dlq(data: &Path, args: &[&str]) -> Output {
    run(data, &[&["dlq"], args].concat()).await
}

/// The ids that `list` shows, and its exit code.
async fn listed(data: &Path, args: &[&str]) -> (Vec<String>, Option<i32>) {
    let output = dlq(data, &[&["list", "--json"], args].concat()).await;
    let list: Value = serde_json::from_str(stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    let ids = list["letters"].as_array().unwrap().iter().map(|letter| letter["id"].as_str().unwrap().to_owned());
    (ids.collect(), output.status.code())
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

#[tokio::test]
async fn what_is_open_is_listed_by_service_and_shown() {
    let dir = with_letters().await;
    let data = dir.path();
    assert_eq!(listed(data, &[]).await, (vec![GARBAGE.to_owned(), FAILED.to_owned(), PARKED.to_owned()], Some(1)));
    assert_eq!(listed(data, &["--service", "pay"]).await, (vec![PARKED.to_owned()], Some(1)));
    assert_eq!(listed(data, &["--service", "coupon"]).await, (vec![], Some(0)));
    let text = dlq(data, &["list"]).await;
    assert_eq!(stdout(&text).lines().last(), Some("3 open"), "{}", stdout(&text));
    let line = format!("{FAILED}  open  17 times, last 2023-11-14T22:13:20Z  SHOP_UNAVAILABLE");
    assert!(stdout(&text).contains(&line), "{}", stdout(&text));

    let shown = dlq(data, &["show", FAILED, "--json"]).await;
    let shown: Value = serde_json::from_str(stdout(&shown)).unwrap();
    assert_eq!((&shown["body"], &shown["times"], &shown["state"]), (&NOTICE.into(), &17.into(), &"open".into()));
    let shown = dlq(data, &["--json", "show", GARBAGE]).await;
    let shown: Value = serde_json::from_str(stdout(&shown)).unwrap();
    assert_eq!((&shown["bodyHex"], &shown["bytes"], &shown["body"]), (&"ff00".into(), &2.into(), &Value::Null));
    let shown = dlq(data, &["show", PARKED]).await;
    assert!(stdout(&shown).contains("body of 4194304 bytes") && code(&shown) == Some(0), "{}", stdout(&shown));
}

#[tokio::test]
async fn whoever_is_asked_for_what_is_not_there_says_so() {
    let dir = with_letters().await;
    let data = dir.path();
    for id in ["order/in/nobody/pay_success/1", "pay/out/pay_success:404", "nobody/out/1", "x", ""] {
        for args in [&["show", id][..], &["resend", id], &["discard", id, "--reason", "why"]] {
            let output = dlq(data, args).await;
            assert_eq!((code(&output), stdout(&output)), (Some(2), ""), "{args:?}");
            assert!(stderr(&output).contains("no dead letter"), "{args:?}: {}", stderr(&output));
        }
    }
    for args in [&["discard", GARBAGE][..], &["discard", GARBAGE, "--reason", " "], &["list", "--service", "web"]] {
        assert_eq!(code(&dlq(data, args).await), Some(2), "{args:?}");
    }
    assert_eq!(listed(data, &[]).await.0.len(), 3, "nothing has changed");
    let nowhere = data.join("nowhere");
    assert_eq!(code(&dlq(&nowhere, &["list"]).await), Some(2), "it could not look");
    assert!(!nowhere.exists(), "looking makes nothing");
}

#[tokio::test]
async fn what_is_no_text_can_only_be_discarded() {
    let dir = with_letters().await;
    let data = dir.path();
    let refused = dlq(data, &["resend", GARBAGE]).await;
    assert_eq!(code(&refused), Some(1));
    assert!(stdout(&refused).contains("no UTF-8 text"), "{}", stdout(&refused));
    let discarded = dlq(data, &["discard", GARBAGE, "--reason", "not one of ours"]).await;
    assert_eq!(code(&discarded), Some(0), "{}", stderr(&discarded));
    assert_eq!(code(&dlq(data, &["discard", GARBAGE, "--reason", "again"]).await), Some(0), "it is so already");
    assert_eq!(listed(data, &["--service", "goods"]).await, (vec![], Some(0)));
    let all = dlq(data, &["list", "--all", "--service", "goods"]).await;
    assert!(stdout(&all).contains("discarded") && stdout(&all).contains("not one of ours"), "{}", stdout(&all));
}

#[tokio::test]
async fn every_deed_is_a_line_in_the_log() {
    let dir = with_letters().await;
    let who = Command::new("/usr/bin/id").arg("-un").output().await.unwrap();
    let who = stdout(&who).trim().to_owned();
    for (args, action, result) in [
        (&["resend", GARBAGE][..], "resend", "refused: "),
        (&["resend", FAILED], "resend", "done"),
        (&["resend", FAILED], "resend", "nothing to do: "),
        (&["discard", GARBAGE, "--reason", "why"], "discard", "done"),
    ] {
        let output = dlq(dir.path(), args).await;
        let lines: Vec<Value> = stderr(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [line] = &lines[..] else { panic!("{args:?}: {lines:?}") };
        assert_eq!(
            (&line["operator"], &line["action"], &line["dlq.id"]),
            (&who.as_str().into(), &action.into(), &args[1].into())
        );
        assert!(line["result"].as_str().unwrap().starts_with(result), "{line}");
    }
}

/// What an operator put back while the shop was down is sent when it comes up, and what he puts back while it runs, at
/// once.
#[tokio::test]
async fn a_letter_is_resent_to_a_shop_that_is_stopped_and_to_one_that_runs() {
    let dir = with_letters().await;
    let data = dir.path();
    assert_eq!(code(&dlq(data, &["resend", FAILED]).await), Some(0));
    assert_eq!(listed(data, &["--service", "order"]).await, (vec![FAILED.to_owned()], Some(1)), "not handled yet");
    let up = Up::start(data, &[]).await;
    let settled = async |service: &str| listed(data, &["--service", service]).await == (vec![], Some(0));
    eventually("the order service handles it", PATIENCE, async || settled("order").await).await;
    assert_eq!(code(&dlq(data, &["resend", PARKED]).await), Some(0));
    let gone = async || listed(data, &["--service", "pay", "--all"]).await.0.is_empty();
    eventually("the broker has it", PATIENCE, gone).await;
    assert_eq!(code(&dlq(data, &["discard", GARBAGE, "--reason", "not ours"]).await), Some(0));
    assert_eq!(listed(data, &[]).await, (vec![], Some(0)));
    up.signal("TERM").await;
    assert_eq!(up.ended().await.0.code(), Some(0));
    let audit = run(data, &["audit", "--wait", "10"]).await;
    assert_eq!(code(&audit), Some(0), "{}", stdout(&audit));
}

/// The commands of the manual, as they stand there, in their order.
#[tokio::test]
async fn the_manual_is_true() {
    let dir = with_letters().await;
    let commands: Vec<&str> = MANUAL.lines().filter(|line| line.starts_with("shop ")).collect();
    assert!(commands.len() >= 8, "{commands:?}");
    let binary = Path::new(env!("CARGO_BIN_EXE_shop")).parent().unwrap();
    for line in commands {
        let expected = line.split_once("# exit ").map_or("0", |(_, rest)| rest.split([':', ' ']).next().unwrap());
        let mut shell = Command::new("/bin/sh");
        shell.env_clear().env("PATH", format!("{}:/usr/bin:/bin", binary.display()));
        shell.env("SHOP__DATA_DIR", dir.path()).args(["-c", line]);
        let output = shell.output().await.unwrap();
        let told = format!("{line}\n{}{}", stdout(&output), stderr(&output));
        assert_eq!(code(&output).unwrap().to_string(), expected, "{told}");
    }
}
