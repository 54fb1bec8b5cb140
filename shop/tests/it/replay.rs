//! `shop replay`: its verdicts are right, its plan is kept, and its manual tells the truth.

mod channels;
mod deaf;
mod manual;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use shop_common::config::Secret;
use shop_replay::signer::{SandboxSigner, Signer};
use shop_testkit::{eventually, participant::number as count};
use tempfile::tempdir;
use tokio::time::timeout;

use self::deaf::Deaf;
use crate::child::{self, Up, run, shop, stderr, stdout};

/// Longest wait for a process.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that can happen to a notification.
const KINDS: [&str; 18] = [
    "duplicate, at once",
    "duplicate, in a row",
    "early",
    "foreign body",
    "foreign channel",
    "genuine",
    "late",
    "lost",
    "read slowly",
    "revoked key",
    "stale",
    "tampered amount",
    "tampered body",
    "tampered payment",
    "tampered signature",
    "unknown payment, signed",
    "wrong amount, signed",
    "wrong key",
];

const HEAD: &str = "{\"shop_replay\":1}";

/// A genuine notification of a payment.
fn genuine(pay_id: i64) -> String {
    let body = format!(
        r#"{{"notify_id":"n{pay_id}","pay_id":"{pay_id}","channel_trade_no":"SB{pay_id}","merchant_id":"shop","amount_fen":88000,"currency":"CNY","status":"SUCCESS"}}"#
    );
    let line =
        serde_json::json!({ "channel": "sandbox", "body": body, "sign": { "key": "ours" }, "expect": "accepted" });
    line.to_string()
}

fn write(path: &Path, lines: &[&str]) {
    fs::write(path, lines.join("\n")).unwrap();
}

async fn replay(dir: &Path, args: &[&str]) -> Output {
    run(&dir.join("data"), &[&["replay"], args].concat()).await
}

fn report(output: &Output) -> Value {
    serde_json::from_str(stdout(output))
        .unwrap_or_else(|error| panic!("{error}: {} {}", stdout(output), stderr(output)))
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

/// Everything goes wrong, twice with the same seed: the same verdicts, one effect per payment, and the audit is clean.
async fn everything_goes_wrong(notifications: i64) {
    let dir = tempdir().unwrap();
    let n = notifications.to_string();
    let mut runs = Vec::new();
    for _ in 0..2 {
        let output = replay(dir.path(), &["--generate", &n, "--all", "0.3", "--seed", "7", "--audit", "--json"]).await;
        let report = report(&output);
        assert_eq!((output.status.code(), &report["failures"]), (Some(0), &serde_json::json!([])), "{report:#}");
        assert_eq!((number(&report["notifications"]), &report["audit"]["clean"]), (notifications, &true.into()));
        for what in ["payments", "paid", "written"] {
            assert_eq!(number(&report["effects"][what]), notifications, "{what}: {report:#}");
        }
        let kinds: Vec<&str> = report["kinds"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(kinds, KINDS, "every fault has struck");
        println!("{} messages in {} ms", report["sent"], report["millis"]);
        runs.push(report);
    }
    assert_eq!(runs[0]["verdicts"], runs[1]["verdicts"], "the same seed, the same verdicts");
    for (kind, row) in runs[0]["kinds"].as_object().unwrap() {
        for what in ["attempts", "accepted", "refused", "wrong"] {
            assert_eq!(row[what], runs[1]["kinds"][kind][what], "{kind}: {what}");
        }
    }
    assert!(!dir.path().join("data").exists(), "a fresh shop has a directory of its own");
}

#[tokio::test]
async fn everything_goes_wrong_and_nothing_is_lost() {
    everything_goes_wrong(100).await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn everything_goes_wrong_ten_thousand_times_and_nothing_is_lost() {
    everything_goes_wrong(10_000).await;
}

#[tokio::test]
async fn a_shop_that_believes_a_forgery_is_caught() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("r.jsonl");
    write(&file, &[HEAD, &genuine(1), &genuine(2)]);
    let shop = Deaf::answering(|_| (200, "success")).await;
    let args = [file.to_str().unwrap(), "--target", &shop.url(), "--json"];
    let output = replay(dir.path(), &args).await;
    assert_eq!((output.status.code(), number(&report(&output)["total"]["wrong"])), (Some(0), 0), "what is genuine");
    for fault in ["--tamper", "--wrong-key", "--stale", "--foreign"] {
        let output = replay(dir.path(), &[&args[..], &[fault, "1"]].concat()).await;
        let report = report(&output);
        assert_eq!((output.status.code(), number(&report["total"]["wrong"])), (Some(1), 2), "{fault}: {report:#}");
        assert_eq!(report["failures"][0]["verdict"], "accepted", "{report:#}");
    }
}

#[tokio::test]
async fn a_shop_that_refuses_what_is_genuine_is_caught_and_told_eight_times() {
    let dir = tempdir().unwrap();
    let (file, junit) = (dir.path().join("r.jsonl"), dir.path().join("r.xml"));
    write(&file, &[HEAD, &genuine(1)]);
    for (status, text) in [(401, "fail"), (200, "SUCCESS"), (500, "fail"), (503, "fail"), (302, "success")] {
        let shop = Deaf::answering(move |_| (status, text)).await;
        let target = shop.url();
        let args = ["--target", &target, "--time-scale", "100000000", "--junit", junit.to_str().unwrap(), "--json"];
        let output = replay(dir.path(), &[&[file.to_str().unwrap()], &args[..]].concat()).await;
        let report = report(&output);
        assert_eq!((output.status.code(), number(&report["total"]["wrong"])), (Some(1), 1), "{status}: {report:#}");
        assert_eq!((number(&report["sent"]), shop.told()), (8, 8), "the whole of Alipay's schedule");
        assert!(fs::read_to_string(&junit).unwrap().contains("failures=\"1\""), "{status}");
    }
}

#[tokio::test]
async fn the_channel_stops_at_success_and_not_before() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("r.jsonl");
    write(&file, &[HEAD, &genuine(1)]);
    let shop = Deaf::answering(|told| if told < 3 { (503, "fail") } else { (200, "success") }).await;
    let target = shop.url();
    let args = [file.to_str().unwrap(), "--target", &target, "--time-scale", "100000000", "--json"];
    let output = replay(dir.path(), &args).await;
    assert_eq!((output.status.code(), number(&report(&output)["sent"]), shop.told()), (Some(0), 3, 3));
}

#[tokio::test]
async fn bad_input_sends_nothing() {
    let dir = tempdir().unwrap();
    let shop = Deaf::answering(|_| (200, "success")).await;
    let target = shop.url();
    let file = |name: &str, lines: &[&str]| {
        let path = dir.path().join(name);
        write(&path, lines);
        path.display().to_string()
    };
    let good = file("good", &[HEAD, &genuine(1)]);
    let broken = file("broken", &[HEAD, &genuine(1), "{\"channel\":\"sandbox\""]);
    let newer = file("newer", &["{\"shop_replay\":2}", &genuine(1)]);
    let unsigned = file("unsigned", &[HEAD, &genuine(1).replace("\"channel\":\"sandbox\"", "\"channel\":\"nobody\"")]);
    let early = file("early", &[HEAD, &genuine(1).replace("accepted\"", "refused\",\"early\":true")]);
    let empty = file("empty", &[HEAD]);
    for (args, said) in [
        (vec![&empty[..]], "there is no notification to send"),
        (vec!["--generate", "0"], "there is no notification to send"),
        (vec![&broken], "line 3: EOF while parsing"),
        (vec![&newer], "line 1: version 2 is not known, only 1 is"),
        (vec!["/no/such/file"], "/no/such/file: No such file"),
        (vec!["--from-shop", "/no/such/shop"], "there is no file /no/such/shop/pay.db"),
        (vec![&good, "--tamper", "1.1"], "a share is a decimal number from 0 to 1"),
        (vec![&good, "--late=-0.1"], "a share is a decimal number from 0 to 1"),
        (vec![&good, "--drop", "NaN"], "a share is a decimal number from 0 to 1"),
        (vec![&good, "--copies", "1"], "--copies"),
        (vec![&good, "--time-scale", "0"], "--time-scale"),
        (vec![&good, "--clients", "0"], "--clients"),
        (vec![&good, "--generate", "1"], "cannot be used with"),
        (vec![], "required arguments"),
        (vec![&good, "--late", "0.5"], "no notification says whose order it pays"),
        (vec![&good, "--early", "1"], "an early notification needs a shop whose database is at hand"),
        (vec![&early], "an early notification needs a shop whose database is at hand"),
        (vec![&unsigned], "unsigned: line 2: nothing can be signed for the channel \"nobody\""),
        (vec![&good, "--audit"], "--audit reads the databases of the shop"),
        (vec![&good, "--log", "/no/such/dir/log"], "/no/such/dir/log: No such file"),
    ] {
        let output = replay(dir.path(), &[&args[..], &["--target", &target]].concat()).await;
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{args:?}: {}", stderr(&output));
    }
    assert_eq!(shop.told(), 0, "nothing was sent");
    for (target, said) in [
        ("127.0.0.1:1", "127.0.0.1:1 cannot be reached: "),
        ("http://127.0.0.1:1", "cannot be reached: "),
        ("127.0.0.1", "is no target"),
        ("https://127.0.0.1:1", "is no target"),
        ("http://127.0.0.1:1/api", "is no target"),
    ] {
        let output = replay(dir.path(), &[&good, "--target", target]).await;
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""), "{target}");
        assert!(stderr(&output).contains(said), "{target}: {}", stderr(&output));
    }
}

/// The directory of the fresh shop, and that of its keys, are gone with it: while it starts, and while it sends.
#[tokio::test]
async fn a_run_that_is_stopped_leaves_nothing_behind() {
    let dir = tempdir().unwrap();
    let args = ["replay", "--generate", "200", "--channel", "alipay", "--drop", "1", "--time-scale", "1"];
    for (name, code, is_sending) in [("TERM", 143, false), ("INT", 130, true)] {
        let mut command = shop(dir.path(), &args);
        command.env("TMPDIR", dir.path()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        eventually("it has a database", PATIENCE, async || fresh_shop(dir.path(), "pay.db").is_some()).await;
        if is_sending {
            // Its databases are complete before the broker's files are made.
            eventually("it has a broker", PATIENCE, async || fresh_shop(dir.path(), "mq").is_some()).await;
            let schemas = child::schemas(&fresh_shop(dir.path(), "mq").unwrap()).await;
            let payments = async || count(&schemas.pay, "SELECT COUNT(*) AS n FROM trade_pay").await;
            eventually("it has a payment", PATIENCE, async || payments().await > 0).await;
            schemas.close().await;
        }
        child::signal(child.id().unwrap(), name).await;
        let ended = timeout(PATIENCE, child.wait()).await.expect("it ends in time").unwrap();
        assert_eq!(ended.code(), Some(code), "{name}");
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "{name}: {left:?}");
    }
}

/// The directory below `dir` that has this file.
fn fresh_shop(dir: &Path, file: &str) -> Option<PathBuf> {
    let mut below = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    below.find(|path| path.join(file).exists())
}

#[tokio::test]
async fn a_slow_reader_needs_rest_and_each_door_its_protocol() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    run(&data, &["seed"]).await;
    let up = Up::start(&data, &[]).await;
    for (target, protocol) in [(up.web.to_string(), "gRPC"), (format!("http://{}", up.grpc), "HTTP/1.1")] {
        let output = replay(dir.path(), &["--generate", "1", "--target", &target]).await;
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""), "{target}");
        let said = format!("{target} does not speak {protocol} as a shop does");
        assert!(stderr(&output).contains(&said), "{target}: {}", stderr(&output));
    }
    let output = replay(dir.path(), &["--generate", "1", "--slow", "1", "--target", &up.grpc.to_string()]).await;
    assert_eq!(output.status.code(), Some(2), "{}", stdout(&output));
    assert!(stderr(&output).contains("a slow reader needs REST"), "{}", stderr(&output));
    up.kill().await;
}

#[test]
fn the_harness_and_the_shop_have_one_schedule() {
    let signer = SandboxSigner::new("shop", "demo", Secret::new("x"));
    assert_eq!(signer.gaps(), shop_pay::channel::sandbox::GAPS);
    assert_eq!(signer.channel(), shop_pay::channel::sandbox::NAME);
}
