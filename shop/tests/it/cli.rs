//! What the commands of the binary promise.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use futures::{StreamExt, stream};
use serde_json::Value;
use shop_proto::order::v1::{
    ConfirmItem, ConfirmOrderRequest, OrderStatus, WatchOrderRequest, order_service_client::OrderServiceClient,
};
use shop_testkit::participant::{execute, number};
use tempfile::tempdir;
use tokio::time::timeout;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};

use crate::child::{self, Up, endpoint, run, shop, stderr, stdout, succeeds};

const USER: i64 = 345_963_634_385_633_280;
const GOODS: i64 = 345_959_443_973_935_104;
const PUBLIC: [&str; 5] = [
    "shop.coupon.v1.CouponService",
    "shop.goods.v1.GoodsService",
    "shop.order.v1.OrderService",
    "shop.pay.v1.PayService",
    "shop.user.v1.UserService",
];
const PATIENCE: Duration = Duration::from_secs(30);
const CANARY: &str = "canary-that-must-never-be-shown-0123456789";

#[tokio::test]
async fn the_demo_has_every_figure_right() {
    let dir = tempdir().unwrap();
    let output = run(dir.path(), &["demo", "--json"]).await;
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_str(stdout(&output)).unwrap();
    let figures: BTreeMap<&str, (&str, &str)> = report["figures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|figure| (figure["what"].as_str().unwrap(), (text(figure, "before"), text(figure, "after"))))
        .collect();
    for (what, before, after) in [
        ("stock", "1000", "999"),
        ("balance", "1000.00", "900.00"),
        ("order total", "-", "1000.00"),
        ("coupon discount", "-", "20.00"),
        ("balance used", "-", "100.00"),
        ("amount due", "-", "880.00"),
        ("payment", "-", "880.00 PAID"),
        ("score", "100", "980"),
        ("outbox rows", "-", "0"),
        ("refused: stock", "999", "999"),
        ("refused: balance", "900.00", "900.00"),
        ("refused: outbox rows", "-", "0"),
        ("audit: violations", "-", "0"),
    ] {
        assert_eq!(figures.get(what), Some(&(before, after)), "{what}");
    }
    let (unused, used) = figures["coupon"];
    assert_eq!(unused, "unused");
    assert!(used.strip_prefix("used by ").is_some_and(|order| order.parse::<i64>().is_ok()), "{used}");
    assert_eq!(figures["refused: coupon"], (used, used));
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none(), "the demo has a directory of its own");
}

fn text<'a>(figure: &'a Value, field: &str) -> &'a str {
    figure[field].as_str().unwrap()
}

#[tokio::test]
async fn the_configuration_is_printed_without_secrets() {
    let dir = tempdir().unwrap();
    let key = format!("pay.sandbox.keys.demo={CANARY}");
    let url = format!("goods.database.url=mysql://root:{CANARY}@127.0.0.1/goods");
    let output = run(dir.path(), &["--set", &key, "--set", &url, "config"]).await;
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!stdout(&output).contains(CANARY) && !stderr(&output).contains(CANARY));
    let config: toml::Table = stdout(&output).parse().unwrap();
    assert_eq!(config["pay"]["sandbox"]["keys"]["demo"].as_str(), Some("***"));
    for service in ["goods", "coupon", "user", "order", "pay"] {
        assert_eq!(config[service]["database"]["url"].as_str(), Some("***"), "{service}");
    }
    for (section, key, value) in [
        ("order", "pay_timeout_s", 1800),
        ("order", "saga_deadline_s", 30),
        ("order", "shipping_fee_fen", 1000),
        ("order", "free_shipping_above_fen", 10_000),
        ("sweeper", "interval_ms", 1000),
    ] {
        assert_eq!(config[section][key].as_integer(), Some(value), "{section}.{key}");
    }
    assert_eq!(config["mq"]["name_server"].as_str(), Some(""));
    assert_eq!(config["grpc"]["listen"].as_str(), Some("127.0.0.1:50051"));
}

#[tokio::test]
async fn a_password_is_in_no_complaint_about_its_url() {
    let dir = tempdir().unwrap();
    for url in [
        format!("no-such-engine://root:{CANARY}@127.0.0.1/goods"),
        format!("mysql://root:{CANARY}@127.0.0.1:99999/goods"),
    ] {
        let output = run(dir.path(), &["--set", &format!("goods.database.url={url}"), "migrate"]).await;
        assert_eq!(output.status.code(), Some(1));
        assert!(!stderr(&output).contains(CANARY), "{}", stderr(&output));
    }
}

#[tokio::test]
async fn file_then_environment_then_flag_wins() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("shop.toml");
    fs::write(&file, "[order]\npay_timeout_s = 1\nsaga_deadline_s = 1\nstep_timeout_ms = 1\n").unwrap();
    let mut command =
        shop(dir.path(), &["--config", file.to_str().unwrap(), "--set", "order.pay_timeout_s=3", "config"]);
    let command = command.env("SHOP__ORDER__PAY_TIMEOUT_S", "2").env("SHOP__ORDER__SAGA_DEADLINE_S", "2");
    let output = command.output().await.unwrap();
    let config: toml::Table = stdout(&output).parse().unwrap();
    let in_force = ["pay_timeout_s", "saga_deadline_s", "step_timeout_ms", "free_shipping_above_fen"];
    let in_force = in_force.map(|key| config["order"][key].as_integer().unwrap());
    assert_eq!(in_force, [3, 2, 1, 10_000]);
}

#[tokio::test]
async fn an_unknown_key_is_an_error_that_names_it() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("shop.toml");
    fs::write(&file, "[order]\npay_timout_s = 1\n").unwrap();
    let by_file = run(dir.path(), &["--config", file.to_str().unwrap(), "config"]).await;
    let by_flag = run(dir.path(), &["--set", "order.pay_timout_s=1", "config"]).await;
    let by_environment = shop(dir.path(), &["config"]).env("SHOP__ORDER__PAY_TIMOUT_S", "1").output().await.unwrap();
    for output in [by_file, by_flag, by_environment] {
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("pay_timout_s"), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
    let absent = run(dir.path(), &["--config", "/no/such/file.toml", "config"]).await;
    assert_eq!(absent.status.code(), Some(1));
    assert!(stderr(&absent).contains("/no/such/file.toml"));
    let directory = run(dir.path(), &["--config", dir.path().to_str().unwrap(), "config"]).await;
    let said = format!("{}: is a directory", dir.path().display());
    assert!(stderr(&directory).contains(&said), "{}", stderr(&directory));
}

#[tokio::test]
async fn a_number_that_stops_everything_is_refused_by_its_key() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    let of_batches = ["goods", "coupon", "user", "order", "pay"].into_iter().flat_map(|service| {
        let keys = ["batch.queue", "batch.commands", "batch.rows", "batch.bytes", "batch.body_ms", "batch.in_flight"];
        keys.into_iter().chain(["database.max_connections"]).map(move |key| format!("{service}.{key}=0"))
    });
    let of_relays = ["order", "pay"]
        .into_iter()
        .flat_map(|service| ["core", "max", "queue", "batch"].map(|key| format!("{service}.relay.{key}=0")));
    let others = [
        "grpc.max_in_flight=0",
        "grpc.max_connections=0",
        "calls.max_in_flight=0",
        "sweeper.interval_ms=0",
        "goods.hold_timeout_s=0",
        "order.pay_timeout_s=0",
        "order.saga_deadline_s=0",
        "order.step_timeout_ms=0",
        "order.shipping_fee_fen=-1",
        "order.free_shipping_above_fen=-1",
        "web.body_limit_bytes=0",
        "web.body_timeout_ms=0",
        "web.call_timeout_ms=0",
        "web.max_in_flight=0",
        "web.max_connections=0",
        "web.max_calls=0",
    ];
    for setting in of_batches.chain(of_relays).chain(others.map(str::to_owned)) {
        let output = timeout(PATIENCE, run(&data, &["--set", &setting, "up"])).await;
        let output = output.unwrap_or_else(|_| panic!("it runs with {setting}"));
        let key = setting.split('=').next().unwrap();
        assert_eq!(output.status.code(), Some(1), "{setting}");
        assert!(stderr(&output).contains(&format!("for key `{key}`")), "{setting}: {}", stderr(&output));
    }
    assert!(!data.exists(), "nothing was begun");
    let nothing = ["order.max_watches", "web.max_event_streams", "order.close_patience_s", "order.shipping_fee_fen"];
    let nothing: Vec<String> = nothing.iter().flat_map(|key| ["--set".to_owned(), format!("{key}=0")]).collect();
    let args: Vec<&str> = nothing.iter().map(String::as_str).chain(["config"]).collect();
    succeeds(&data, &args).await;
}

/// What `up` would not start with, `config` says no to, and prints it all the same.
#[tokio::test]
async fn config_refuses_what_up_would_refuse() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    let with_setting = async |setting: &str, command| run(&data, &["--set", setting, command]).await;
    for (setting, why) in [
        ("id.worker=1024", "id.worker must be in 0..=1023"),
        ("instance=a/b", "illegal instance"),
        ("order.database.url=postgres://localhost/order", "must be sqlite://FILE or mysql://"),
        ("order.pay_timeout_s=on", "not a whole number for key `order.pay_timeout_s`"),
        ("pay.query_after_s=0", "pay.query_after_s"),
        ("pay.sandbox.keys.demo=short", "pay.sandbox.keys.demo"),
        ("pay.alipay.enabled=true", "pay.alipay."),
        ("pay.wechat.enabled=true", "pay.wechat."),
        ("grpc.listen=0.0.0.0:0", "web.allow_unauthenticated_user_header"),
    ] {
        for command in ["config", "up"] {
            let output = timeout(PATIENCE, with_setting(setting, command)).await.expect("it starts");
            assert_eq!(output.status.code(), Some(1), "{command} with {setting}");
            assert!(stderr(&output).contains(why), "{command} with {setting}: {}", stderr(&output));
        }
    }
    let output = with_setting("pay.query_after_s=0", "config").await;
    assert!(stdout(&output).contains("query_after_s = 0"), "{}", stdout(&output));
}

#[tokio::test]
async fn the_demo_runs_with_what_is_set() {
    let dir = tempdir().unwrap();
    let output = run(dir.path(), &["--set", "pay.sandbox.enabled=false", "demo"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no such payment channel"), "{}", stderr(&output));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "its own directory is gone");
}

#[tokio::test]
async fn migrate_and_seed_may_be_repeated() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("not/there/yet");
    for _ in 0..2 {
        succeeds(&data, &["migrate"]).await;
    }
    succeeds(&data, &["seed"]).await;
    let schemas = child::schemas(&data).await;
    let once = child::dump(&schemas).await;
    succeeds(&data, &["seed"]).await;
    assert_eq!(child::dump(&schemas).await, once);
    succeeds(&data, &["migrate"]).await;
    assert_eq!(child::dump(&schemas).await, once);

    for (db, sql, expected) in [
        (&schemas.goods, "SELECT goods_number AS n FROM trade_goods", 1000),
        (&schemas.goods, "SELECT SUM(goods_number) AS n FROM trade_goods_number_log", 1000),
        (&schemas.user, "SELECT user_money_fen AS n FROM trade_user", 100_000),
        (&schemas.user, "SELECT SUM(use_money_fen) AS n FROM trade_user_money_log", 100_000),
        (&schemas.user, "SELECT user_score AS n FROM trade_user", 100),
        (&schemas.user, "SELECT SUM(score) AS n FROM trade_user_score_log", 100),
        (&schemas.user, "SELECT COUNT(user_password) AS n FROM trade_user", 0),
        (&schemas.coupon, "SELECT coupon_price_fen AS n FROM trade_coupon WHERE is_used = 0 AND minimum_fen = 0", 2000),
        (&schemas.order, "SELECT COUNT(*) AS n FROM trade_order", 0),
        (&schemas.pay, "SELECT COUNT(*) AS n FROM trade_pay", 0),
    ] {
        assert_eq!(number(db, sql).await, expected, "{sql}");
    }
    schemas.close().await;
}

#[tokio::test]
async fn the_audit_is_clean_violated_or_could_not_look() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    let audit = async |data: &Path| {
        let output = run(data, &["audit", "--json", "--wait", "1", "--confirm", "0"]).await;
        (output.status.code(), stdout(&output).to_owned())
    };

    assert_eq!(audit(&data).await, (Some(2), String::new()), "no directory");
    assert!(!data.exists(), "an audit makes nothing");
    fs::create_dir(&data).unwrap();
    assert_eq!(audit(&data).await, (Some(2), String::new()), "no database");
    assert!(fs::read_dir(&data).unwrap().next().is_none(), "an audit makes nothing");

    succeeds(&data, &["seed"]).await;
    let (code, report) = audit(&data).await;
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!((code, &report["clean"]), (Some(0), &true.into()), "{report}");
    let ids: Vec<&str> = report["checks"].as_array().unwrap().iter().map(|check| text(check, "id")).collect();
    assert_eq!(ids, (1..=20).map(|n| format!("I{n:02}")).collect::<Vec<_>>());

    let schemas = child::schemas(&data).await;
    execute(&schemas.goods, "UPDATE trade_goods SET goods_number = 1001").await;
    schemas.close().await;
    let (code, report) = audit(&data).await;
    let report: Value = serde_json::from_str(&report).unwrap();
    let violated: Vec<&Value> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| !check["violations"].as_array().unwrap().is_empty())
        .collect();
    assert_eq!((code, violated.len(), text(violated[0], "id")), (Some(1), 1, "I01"), "{report}");
    assert_eq!(violated[0]["violations"][0]["ids"], serde_json::json!([GOODS.to_string()]));

    for file in fs::read_dir(&data).unwrap() {
        let file = file.unwrap().path();
        if file.file_name().unwrap().to_str().unwrap().starts_with("pay.db") {
            fs::remove_file(file).unwrap();
        }
    }
    fs::write(data.join("pay.db"), "no database at all, whatever its name says".repeat(100)).unwrap();
    assert_eq!(audit(&data).await, (Some(2), String::new()), "an unreadable database");
}

#[tokio::test]
async fn up_serves_health_and_reflection_and_drains() {
    let dir = tempdir().unwrap();
    let data = dir.path();
    succeeds(data, &["seed"]).await;
    let up = Up::start(data, &[]).await;
    let channel = up.connect().await;
    for service in PUBLIC.iter().chain(&[""]) {
        assert_eq!(health(&channel, service).await, Ok(ServingStatus::Serving), "{service:?}");
    }
    assert_eq!(health(&channel, "shop.goods.v1.StockService").await, Err(Code::NotFound), "internal");
    reflects(&channel).await;
    for page in ["healthz", "readyz", "metrics"] {
        let answer = reqwest::get(format!("http://{}/{page}", up.web)).await.unwrap();
        assert_eq!(answer.status(), 200, "{page}");
    }

    let mut orders = OrderServiceClient::new(channel.clone());
    let item = ConfirmItem { goods_id: GOODS, quantity: 1, ..ConfirmItem::default() };
    let request = ConfirmOrderRequest {
        request_id: "k".into(),
        user_id: USER,
        items: vec![item],
        ..ConfirmOrderRequest::default()
    };
    let order = orders.confirm_order(request).await.unwrap().into_inner().order.unwrap();
    let watch = WatchOrderRequest { order_id: order.order_id, user_id: USER };
    let mut watched = orders.watch_order(watch).await.unwrap().into_inner();
    assert_eq!(watched.next().await.unwrap().unwrap().status(), OrderStatus::Confirmed);

    let (grpc, web) = (up.grpc, up.web);
    up.signal("TERM").await;
    assert!(watched.next().await.is_none_or(|ended| ended.is_err()), "a stream does not hold the process up");
    let (status, last) = up.ended().await;
    assert_eq!((status.code(), last.as_deref()), (Some(0), Some("shop down")));
    assert!(endpoint(grpc).connect().await.is_err() && reqwest::get(format!("http://{web}/healthz")).await.is_err());

    let again = Up::start(data, &[]).await;
    again.signal("INT").await;
    assert_eq!(again.ended().await.0.code(), Some(0), "^C drains too");
    succeeds(data, &["audit", "--wait", "10"]).await;
}

async fn health(channel: &Channel, service: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(channel.clone()).check(request).await.map_err(|status| status.code())?;
    Ok(answer.into_inner().status())
}

/// Both versions list what is served on the port, operators' calls among it, and know a service by name.
async fn reflects(channel: &Channel) {
    macro_rules! ask {
        ($version:ident, $request:ident, $argument:expr) => {{
            use $version::server_reflection_request::MessageRequest;
            let message_request = Some(MessageRequest::$request($argument.into()));
            let request = $version::ServerReflectionRequest { host: String::new(), message_request };
            let mut client = $version::server_reflection_client::ServerReflectionClient::new(channel.clone());
            let mut answers = client.server_reflection_info(stream::iter([request])).await.unwrap().into_inner();
            answers.next().await.unwrap().unwrap().message_response.unwrap()
        }};
    }
    macro_rules! check {
        ($version:ident) => {
            use $version::server_reflection_response::MessageResponse;
            let MessageResponse::ListServicesResponse(list) = ask!($version, ListServices, "") else { panic!() };
            let names: BTreeSet<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
            let ours: BTreeSet<&str> = names.iter().copied().filter(|name| name.starts_with("shop.")).collect();
            assert_eq!(ours, PUBLIC.into_iter().chain(["shop.pay.v1.RefundService"]).collect(), "and nothing internal");
            assert!(names.contains("grpc.health.v1.Health"), "{names:?}");
            let symbol = "shop.order.v1.OrderService";
            let found = ask!($version, FileContainingSymbol, symbol);
            assert!(matches!(found, MessageResponse::FileDescriptorResponse(_)));
        };
    }
    {
        check!(v1);
    }
    check!(v1alpha);
}

#[tokio::test]
async fn a_listener_outside_of_loopback_needs_each_key() {
    let dir = tempdir().unwrap();
    let data = dir.path().join("data");
    for listener in ["grpc.listen=0.0.0.0:0", "web.listen=0.0.0.0:0", "web.listen=127.0.0.1:0,[::]:0"] {
        let mut said = vec!["--set", listener];
        for (key, yes) in [
            ("web.allow_unauthenticated_user_header", "web.allow_unauthenticated_user_header=true"),
            ("allow.sandbox", "allow.sandbox=true"),
            ("allow.sandbox_demo_key", "allow.sandbox_demo_key=true"),
            ("allow.tutorial_mode", "allow.tutorial_mode=true"),
        ] {
            refuses_to_start(&data, &said, "up", key).await;
            said.extend(["--set", yes]);
        }
    }
    let internal = ["--set", "goods.internal_listen=0.0.0.0:0", "--set", "mq.name_server=127.0.0.1:1"];
    refuses_to_start(&data, &internal, "goods", "internal.allow_public_listen").await;
    assert!(!data.exists(), "nothing was begun");
}

async fn refuses_to_start(data: &Path, said: &[&str], command: &str, key: &str) {
    let args = [said, &[command]].concat();
    let output = timeout(PATIENCE, run(data, &args)).await;
    let output = output.unwrap_or_else(|_| panic!("it runs without {key}"));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(&format!("set {key} ")), "{said:?}: {}", stderr(&output));
}

/// F74: two processes that make ids for the same rows.
#[tokio::test]
async fn a_second_process_with_the_same_worker_number_is_refused() {
    let dir = tempdir().unwrap();
    let first = Up::start(dir.path(), &[]).await;
    let listen = ["--set", "grpc.listen=127.0.0.1:0", "--set", "web.listen=127.0.0.1:0", "up"];
    let second = run(dir.path(), &listen).await;
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("id.worker = 0"), "{}", stderr(&second));
    first.kill().await;
    let again = Up::start(dir.path(), &[]).await;
    again.signal("TERM").await;
    assert_eq!(again.ended().await.0.code(), Some(0), "a process that was killed leaves no claim behind");
}
