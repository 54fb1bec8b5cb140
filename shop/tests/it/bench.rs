//! `shop bench`: load, checks of the answers, audit and figures, on a shop of its own and on one that runs.

use std::{net::TcpListener, path::Path, process::ExitStatus};

use serde_json::Value;
use shop_testkit::participant::execute;
use tempfile::tempdir;

use crate::child::{Up, run, schemas, stderr, stdout, succeeds};

/// A benchmark of a few orders; how it ended and what it said.
async fn bench(data_dir: &Path, args: &[&str]) -> (ExitStatus, Value) {
    let few = ["--orders", "40", "--json", "--set", "log.filter=error"];
    let output = run(data_dir, &[&["bench"], args, &few].concat()).await;
    let report = serde_json::from_str(stdout(&output));
    (output.status, report.unwrap_or_else(|error| panic!("{error}: {} {}", stdout(&output), stderr(&output))))
}

fn number(report: &Value, pointer: &str) -> u64 {
    report.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer}: {report}"))
}

#[tokio::test]
async fn a_benchmark_ends_with_a_clean_audit_and_its_figures() {
    let dir = tempdir().unwrap();
    let (status, report) = bench(dir.path(), &["confirm", "--clients", "4"]).await;
    assert!(status.success(), "{report}");
    assert_eq!((number(&report, "/orders"), number(&report, "/answers/confirmed")), (40, 40), "{report}");
    assert_eq!(
        (&report["audit"]["clean"], &report["right"], number(&report, "/wrong")),
        (&true.into(), &true.into(), 0)
    );
    for figure in [
        "/orders_per_s",
        "/latency/p50_us",
        "/latency/p99_us",
        "/latency/p999_us",
        "/latency/max_us",
        "/process/cpu_ms",
        "/process/peak_rss_kib",
        "/ceiling/orders_per_s",
        "/ceiling/commit/p50_us",
    ] {
        assert!(number(&report, figure) > 0, "{figure}: {report}");
    }
    assert!(report["percent_of_ceiling"].is_u64(), "{report}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "what was made is gone");
}

#[tokio::test]
async fn every_scenario_runs_over_both_protocols() {
    let dir = tempdir().unwrap();
    for (scenario, protocol) in
        [("full", "grpc"), ("full", "rest"), ("mixed", "grpc"), ("mixed", "rest"), ("hot", "rest")]
    {
        let (status, report) = bench(dir.path(), &[scenario, "--protocol", protocol, "--rate", "100"]).await;
        assert!(status.success(), "{scenario} over {protocol}: {report}");
        assert_eq!((&report["scenario"], &report["protocol"]), (&scenario.into(), &protocol.into()));
        let kinds: &[&str] = match scenario {
            "full" => &["confirmed", "paid"],
            "mixed" => &["confirmed", "cancelled", "SHOP_GOODS_NUM_NOT_ENOUGH", "SHOP_COUPON_INVALIED"],
            _ => &["confirmed"],
        };
        for kind in kinds {
            assert!(number(&report, &format!("/answers/{kind}")) > 0, "{kind}: {scenario} over {protocol}: {report}");
        }
    }
}

#[tokio::test]
async fn a_shop_that_runs_is_loaded_again_and_again_and_audited() {
    let dir = tempdir().unwrap();
    let up = Up::start(dir.path(), &[]).await;
    let address = format!("http://{}", up.grpc);
    for seed in ["1", "2"] {
        let args = ["mixed", "--clients", "4", "--target", &address, "--seed", seed];
        let (status, report) = bench(dir.path(), &args).await;
        assert!(status.success(), "{report}");
        assert_eq!(report["target"].as_str(), Some(address.as_str()));
    }
    execute(
        &schemas(dir.path()).await.goods,
        "UPDATE trade_goods SET goods_number = goods_number - 1 WHERE goods_number > 0",
    )
    .await;
    let (status, report) = bench(dir.path(), &["confirm", "--clients", "4", "--target", &address]).await;
    assert_eq!((status.code(), &report["audit"]["clean"], number(&report, "/wrong")), (Some(1), &false.into(), 0));
    up.kill().await;
}

/// Run against the wrong place, it says what is wrong there, and loads nobody.
#[tokio::test]
async fn the_wrong_shop_is_no_target() {
    let (here, elsewhere) = (tempdir().unwrap(), tempdir().unwrap());
    succeeds(here.path(), &["migrate"]).await;
    let up = Up::start(elsewhere.path(), &[]).await;
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (grpc, web) = (up.grpc, up.web);
    for (protocol, address, why) in [
        ("grpc", nobody, "nobody serves gRPC there"),
        ("rest", nobody, "no shop that answers there"),
        ("grpc", grpc, "its databases are not those of the configuration"),
        ("rest", web, "its databases are not those of the configuration"),
    ] {
        let address = format!("http://{address}");
        let output = run(here.path(), &["bench", "confirm", "--protocol", protocol, "--target", &address]).await;
        assert_eq!(output.status.code(), Some(1));
        let told = stderr(&output);
        assert!(told.contains(&address) && told.contains(why), "{protocol} {address}: {told}");
    }
    up.kill().await;
}
