//! A running shop with the WeChat Pay channel and the provider's simulator, over HTTP both ways.

use std::{fs, path::Path, sync::Arc, time::Duration};

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use shop_common::time::{Clock, Millis};
use shop_sim::{
    Provider, Served, Sim,
    faults::{Faults, NoticeFault},
    keys::Pair,
    serve,
    wechat::{Keys, Wechat},
};
use shop_testkit::eventually;
use tempfile::{TempDir, tempdir};
use tokio::net::TcpListener;

use crate::child::{Up, run, stderr, stdout};

const USER: &str = "345963634385633280";
const GOODS: &str = "345959443973935104";
const PATIENCE: Duration = Duration::from_secs(60);
const API_V3_KEY: &str = "0123456789abcdef0123456789abcdef";
const SERIAL: &str = "440024045C4A427599D09BB4E3DE0279F2E813FD";

/// The shop, the provider, and a client of both.
struct Running {
    dir: TempDir,
    up: Up,
    sim: Arc<Sim<Wechat>>,
    http: Client,
    _served: Served,
}

async fn running() -> Running {
    let dir = tempdir().unwrap();
    let seeded = run(dir.path(), &["seed"]).await;
    assert!(seeded.status.success(), "{}", stderr(&seeded));
    let (merchant, platform) = (Pair::generate().unwrap(), Pair::generate().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let keys = settings(dir.path(), &merchant, &platform, &base);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let up = Up::start(dir.path(), &keys).await;
    let provider = Wechat::new(Keys {
        appid: "wx1".into(),
        mchid: "1230000109".into(),
        api_v3_key: API_V3_KEY.into(),
        merchant_serial: "5F1C".into(),
        merchant_key: merchant.public,
        platform: vec![(SERIAL.into(), platform.private)],
    });
    let callbacks = format!("http://{}/api/v1/callbacks/wechat", up.web);
    let sim = Sim::new(provider.unwrap(), Clock::system(), Faults::none(), &base, Some(callbacks)).unwrap();
    let served = serve(Wechat::routes(Arc::clone(&sim)), listener).unwrap();
    Running { dir, up, sim, http: Client::builder().no_proxy().build().unwrap(), _served: served }
}

/// The configuration of the channel; its keys stand in files.
fn settings(dir: &Path, merchant: &Pair, platform: &Pair, base: &str) -> Vec<String> {
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    vec![
        "pay.wechat.enabled=true".to_owned(),
        format!("pay.wechat.gateway={base}"),
        "pay.wechat.app_id=wx1".to_owned(),
        "pay.wechat.mchid=1230000109".to_owned(),
        // The simulator is told where the gateway is: its port is not known yet.
        "pay.wechat.notify_url=http://127.0.0.1/api/v1/callbacks/wechat".to_owned(),
        "pay.wechat.merchant_serial=5F1C".to_owned(),
        format!("pay.wechat.private_key_file={}", file("merchant.pem", &merchant.private)),
        format!("pay.wechat.api_v3_key_file={}", file("api_v3_key", API_V3_KEY)),
        format!("pay.wechat.platform_serial={SERIAL}"),
        format!("pay.wechat.platform_key_file={}", file("platform.pem", &platform.public)),
    ]
}

impl Running {
    fn api(&self, path: &str) -> String {
        format!("http://{}/api/v1/{path}", self.up.web)
    }

    async fn order(&self, key: &str) -> Value {
        let body = json!({ "items": [{ "goodsId": GOODS, "quantity": 1 }], "address": "x" });
        let post = self.http.post(self.api("orders")).header("Idempotency-Key", key).json(&body);
        answered(post, StatusCode::CREATED).await
    }

    async fn payment_of(&self, order: &Value) -> Value {
        let path = format!("orders/{}/payments", id(order, "orderId"));
        let post = self.http.post(self.api(&path)).json(&json!({ "amount": order["amountDue"], "channel": "wechat" }));
        answered(post, StatusCode::CREATED).await
    }

    async fn read(&self, path: String) -> Value {
        answered(self.http.get(self.api(&path)), StatusCode::OK).await
    }

    /// The provider sends what is due, until everything is acknowledged.
    async fn everything_is_told(&self) {
        eventually("the provider has told everything", PATIENCE, async || {
            self.sim.run_once(self.sim.now()).await;
            self.sim.books().to_send() == 0
        })
        .await;
    }
}

async fn answered(request: RequestBuilder, expected: StatusCode) -> Value {
    let answer = request.header("x-user-id", USER).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, expected, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn id<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

/// All that was ever booked: the reconciliation refuses lines of two days.
fn ever() -> (Millis, Millis) {
    (Millis::new(0), Millis::new(i64::MAX))
}

#[tokio::test]
async fn an_order_is_paid_by_wechat_and_refunded_and_both_books_agree() {
    let shop = running().await;
    let (kept, given_back) = (shop.order("kept").await, shop.order("given-back").await);
    let mut payments = Vec::new();
    for order in [&kept, &given_back] {
        let payment = shop.payment_of(order).await;
        assert_eq!(shop.payment_of(order).await, payment, "asked for again it is the same");
        let paid = shop.http.post(id(&payment, "payUrl")).send().await.unwrap();
        assert_eq!(paid.status(), StatusCode::OK);
        payments.push(id(&payment, "payId").to_owned());
    }
    shop.sim.faults.next_notice(NoticeFault::Double);
    shop.everything_is_told().await;
    for (payment, order) in payments.iter().zip([&kept, &given_back]) {
        assert_eq!(shop.read(format!("payments/{payment}")).await["status"], "PAID");
        let path = format!("orders/{}", id(order, "orderId"));
        eventually("the order is paid", PATIENCE, async || shop.read(path.clone()).await["payStatus"] == "PAID").await;
    }

    let cancel = shop.http.post(shop.api(&format!("orders/{}/cancel", id(&given_back, "orderId"))));
    answered(cancel, StatusCode::OK).await;
    eventually("the money is on its way back", PATIENCE, async || shop.sim.books().refunds() == 1).await;
    shop.everything_is_told().await;

    let audit = run(shop.dir.path(), &["audit", "--wait", "60"]).await;
    assert!(audit.status.success(), "{}{}", stdout(&audit), stderr(&audit));
    let statement = shop.dir.path().join("tradebill.csv");
    fs::write(&statement, shop.sim.bill(ever())).unwrap();
    let args = ["reconcile", "--channel", "wechat", "--json", "--statement", statement.to_str().unwrap()];
    let report = run(shop.dir.path(), &args).await;
    assert!(report.status.success(), "{}{}", stdout(&report), stderr(&report));
    let report: Value = serde_json::from_str(stdout(&report)).unwrap();
    assert_eq!((&report["matched"], &report["clean"]), (&json!(3), &json!(true)), "{report}");
    let others = run(shop.dir.path(), &[&["--set", "pay.wechat.mchid=1900000009"], &args[..]].concat()).await;
    assert_eq!((others.status.code(), stdout(&others)), (Some(2), ""));
    assert!(stderr(&others).contains("the statement is of merchant 1230000109"), "{}", stderr(&others));
    shop.up.kill().await;
}

/// F48 over HTTP: the provider's probe is refused as it wants, and what comes afterwards is taken.
#[tokio::test]
async fn the_gateway_refuses_a_probe_and_takes_the_resend() {
    let shop = running().await;
    let payment = shop.payment_of(&shop.order("k").await).await;
    shop.http.post(id(&payment, "payUrl")).send().await.unwrap();
    let due = shop.sim.books().due(shop.sim.now()).remove(0);
    let told = async |probes: usize| {
        shop.sim.provider.probe(probes);
        let outgoing = shop.sim.provider.notification(&due, shop.sim.now()).unwrap();
        let mut post = shop.http.post(shop.api("callbacks/wechat")).body(outgoing.body);
        for (name, value) in outgoing.headers {
            post = post.header(name, value);
        }
        let answer = post.send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    assert_eq!(told(1).await, (StatusCode::UNAUTHORIZED, "fail".to_owned()));
    let path = format!("payments/{}", id(&payment, "payId"));
    assert_eq!(shop.read(path.clone()).await["status"], "PAYING");
    let (status, ack) = told(0).await;
    assert_eq!((status, ack.as_str()), (StatusCode::OK, r#"{"code":"SUCCESS","message":"OK"}"#));
    assert_eq!(shop.read(path).await["status"], "PAID");
    shop.up.kill().await;
}
