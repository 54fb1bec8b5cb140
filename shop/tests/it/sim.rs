//! `shop sim`: what it is told, where it listens, and where it makes its keys.

use std::{fs, path::Path, time::Duration};

use tempfile::tempdir;
use tokio::time::timeout;

use crate::child::{Running, run, stderr, stdout};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_makes_no_provider_is_refused_before_anything_is_made() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    for (args, said) in [
        (&["alipay", "--drop-notice", "101"][..], "101 is not in 0..=100"),
        (
            &["alipay", "--drop-notice", "60", "--delay-notice", "41"],
            "faults of notifications are more than 100 percent",
        ),
        (&["wechat", "--refuse", "100", "--unknown", "1"], "faults of requests are more than 100 percent"),
        (&["alipay", "--notify", "foo"], "http://HOST:PORT/PATH"),
        (&["alipay", "--notify", "ftp://127.0.0.1/x"], "http://HOST:PORT/PATH"),
        (&["alipay", "--app-id", ""], "1 to 32 letters or digits"),
        (&["alipay", "--seller-id", "20 88"], "1 to 32 letters or digits"),
        (&["wechat", "--mchid", "../1900"], "1 to 32 letters or digits"),
        (&["wechat", "--listen", "0.0.0.0:0"], "0.0.0.0:0 is not loopback: set allow.sandbox"),
        (&["wechat", "--listen", "192.0.2.1:0", "--set", "allow.sandbox=true"], "192.0.2.1:0: "),
    ] {
        let output = timeout(PATIENCE, run(&data, &[&["sim"], args].concat())).await;
        let output = output.unwrap_or_else(|_| panic!("it runs with {args:?}"));
        assert!(!output.status.success() && stdout(&output).is_empty(), "{args:?}: {}", stdout(&output));
        assert!(stderr(&output).contains(said), "{args:?}: {}", stderr(&output));
    }
}

#[tokio::test]
async fn outside_of_loopback_it_listens_where_somebody_has_said_so() {
    let dir = tempdir().unwrap();
    let args = ["sim", "alipay", "--listen", "0.0.0.0:0", "--set", "allow.sandbox=true"];
    let (simulator, line) = Running::start(dir.path(), &args, &dir.path().join("log")).await.unwrap();
    assert!(line.starts_with("alipay simulator up: http://0.0.0.0:"), "{line}");
    simulator.kill().await;
}

#[tokio::test]
async fn keys_are_made_only_where_nothing_else_is() {
    let dir = tempdir().unwrap();
    let (own, other) = (dir.path().join("own"), dir.path().join("other"));
    fs::create_dir(&other).unwrap();
    fs::write(other.join("letter.txt"), "dear").unwrap();
    let other_dir = other.to_str().unwrap();
    for (channel, args) in [
        ("alipay", &["sim", "alipay", "--listen", "127.0.0.1:0", "--keys", other_dir][..]),
        ("wechat", &["replay", "--generate", "1", "--channel", "wechat", "--keys", other_dir]),
    ] {
        let output = timeout(PATIENCE, run(dir.path(), args)).await.unwrap_or_else(|_| panic!("{args:?} runs"));
        assert!(!output.status.success(), "{args:?}");
        let said = format!("{other_dir} has no keys of `shop sim {channel}`, but letter.txt");
        assert!(stderr(&output).contains(&said), "{args:?}: {}", stderr(&output));
    }
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1, "nothing was made there");

    // Both providers may have theirs in one directory, and keys that are there are used whatever lies beside them.
    let own_dir = own.to_str().unwrap();
    let args = |channel| ["sim", channel, "--listen", "127.0.0.1:0", "--keys", own_dir];
    for channel in ["alipay", "wechat"] {
        starts(dir.path(), &args(channel)).await;
    }
    fs::write(own.join("letter.txt"), "dear").unwrap();
    starts(dir.path(), &args("wechat")).await;
    fs::remove_file(own.join("alipay_public.pem")).unwrap();
    fs::create_dir(own.join("alipay_public.pem")).unwrap();
    let output = run(dir.path(), &args("alipay")).await;
    assert!(stderr(&output).contains("own/alipay_public.pem: "), "the file is named: {}", stderr(&output));
}

async fn starts(data: &Path, args: &[&str]) {
    let log = data.join("log");
    let started = Running::start(data, args, &log).await;
    let (simulator, _) = started.unwrap_or_else(|| panic!("{args:?}: {}", fs::read_to_string(&log).unwrap()));
    simulator.kill().await;
}
