//! Alipay and WeChat Pay: the harness signs like the provider, the shop's channel believes exactly that, and a run goes
//! the way that the sandbox's goes.

use std::path::Path;

use serde_json::{Value, json};
use shop_common::{
    code::ShopCode,
    config::Secret,
    money::Fen,
    time::{Clock, Millis},
};
use shop_pay::{
    AlipayConfig, WechatConfig,
    channel::{self, PaymentChannel, Said, TradeStatus},
};
use shop_replay::{
    fault::Forgery,
    notification::{Copies, Manner, Notification},
    plan::Attempt,
    signer::{AlipaySigner, Change, Signer, Trade, WechatSigner},
};
use shop_sim::{alipay::Alipay, keys::Pair, wechat};
use shop_testkit::participant::execute;
use tempfile::tempdir;

use super::{HEAD, KINDS, number, replay, report, write};
use crate::child::{Running, Up, run, schemas, stderr, stdout};

const CHANNELS: [&str; 2] = ["alipay", "wechat"];
const NOW: Millis = Millis::new(1_790_000_000_000);
const TRADE: Trade = Trade { pay_id: 352_542_415_984_402_432, amount: Fen::new(88_000), paid: NOW };
const API_V3_KEY: &str = "0123456789abcdef0123456789abcdef";
const NOTIFY_URL: &str = "http://127.0.0.1/callbacks";

/// Both sides of each channel, written apart from one another.
fn both_sides() -> [(Box<dyn Signer>, Box<dyn PaymentChannel>); 2] {
    let (ours, theirs) = (Pair::generate().unwrap(), Pair::generate().unwrap());
    let config = AlipayConfig {
        gateway: "http://127.0.0.1:9/gateway.do".to_owned(),
        app_id: "2021".to_owned(),
        seller_id: "2088".to_owned(),
        notify_url: NOTIFY_URL.to_owned(),
        subject: "shop".to_owned(),
        private_key: Secret::new(ours.private.clone()),
        public_key: theirs.public.clone(),
        ..AlipayConfig::default()
    };
    let alipay = channel::alipay::Alipay::new(&config, Clock::system()).unwrap();
    let provider = Alipay::new("2021", "2088", &theirs.private, &ours.public).unwrap();
    let config = WechatConfig {
        gateway: "http://127.0.0.1:9".to_owned(),
        app_id: "wx1".to_owned(),
        mchid: "1900".to_owned(),
        notify_url: NOTIFY_URL.to_owned(),
        description: "shop".to_owned(),
        merchant_serial: "5F1C".to_owned(),
        private_key: Secret::new(ours.private),
        api_v3_key: Secret::new(API_V3_KEY),
        platform_serial: "4400".to_owned(),
        platform_key: theirs.public,
        ..WechatConfig::default()
    };
    let wechat = channel::wechat::Wechat::new(&config, Clock::system()).unwrap();
    let keys = wechat::Keys {
        appid: "wx1".to_owned(),
        mchid: "1900".to_owned(),
        api_v3_key: API_V3_KEY.to_owned(),
        merchant_serial: "5F1C".to_owned(),
        merchant_key: ours.public,
        platform: vec![("4400".to_owned(), theirs.private)],
    };
    [
        (Box::new(AlipaySigner::new(provider).unwrap()), Box::new(alipay)),
        (Box::new(WechatSigner::new(keys).unwrap()), Box::new(wechat)),
    ]
}

/// What the shop's channel makes of this attempt: payment and amount, or the refusal.
fn verified(signer: &dyn Signer, channel: &dyn PaymentChannel, attempt: Attempt) -> Result<(i64, Fen), ShopCode> {
    let body = signer.notification(&TRADE).unwrap();
    let notification = Notification::genuine(signer.channel(), body, std::time::Duration::ZERO);
    let message = attempt.compose(&notification, Some(signer), NOW).unwrap();
    let headers = message.headers.into_iter().collect();
    let genuine = channel.verify(&headers, &message.body, NOW).map_err(|error| error.code)?;
    assert_eq!(genuine.refused, None);
    let Said::Payment(said) = genuine.said else { panic!("it is about a payment") };
    assert_eq!(said.status, TradeStatus::Success);
    Ok((said.pay_id.get(), said.amount))
}

#[test]
fn what_is_genuine_is_believed_and_what_is_forged_is_not() {
    for (signer, channel) in both_sides() {
        let made_of = |attempt| verified(signer.as_ref(), channel.as_ref(), attempt);
        let (Trade { pay_id, amount, .. }, name) = (TRADE, signer.channel());
        assert_eq!(made_of(Attempt::Genuine(Copies::ONE, Manner::default())), Ok((pay_id, amount)), "{name}");
        // Rightly signed: only the payment's own books can tell.
        let more = amount.checked_add(Fen::new(1)).unwrap();
        for (forgery, said) in [
            (Forgery::Amount { more: 1, signed: true }, (pay_id, more)),
            (Forgery::PayId { pay_id: 7, signed: true }, (7, amount)),
        ] {
            assert_eq!(made_of(Attempt::Forged(forgery)), Ok(said), "{name}: {forgery:?}");
        }
        let (invalid, replayed) = (ShopCode::SignatureInvalid, ShopCode::NotifyReplay);
        for (forgery, code) in [
            (Forgery::Amount { more: 1, signed: false }, invalid),
            (Forgery::PayId { pay_id: 7, signed: false }, invalid),
            (Forgery::WrongKey, invalid),
            (Forgery::RevokedKey, invalid),
            (Forgery::Stale(330), replayed),
            (Forgery::Stale(86_400), replayed),
            (Forgery::Stale(-330), replayed),
            (Forgery::ForeignBody, if name == "alipay" { invalid } else { ShopCode::NotifyInvalid }),
        ] {
            assert_eq!(made_of(Attempt::Forged(forgery)), Err(code), "{name}: {forgery:?}");
        }
        assert!(made_of(Attempt::Forged(Forgery::Stale(270))).is_ok(), "{name}: still within its window");
    }
}

#[test]
fn no_bit_and_no_character_passes_for_another() {
    for (signer, channel) in both_sides() {
        let bits = u64::try_from(signer.notification(&TRADE).unwrap().len()).unwrap() * 8;
        for forgery in (0..bits).map(Forgery::Body).chain((0..344).map(Forgery::Signature)) {
            let code = verified(signer.as_ref(), channel.as_ref(), Attempt::Forged(forgery)).unwrap_err();
            assert_eq!(code, ShopCode::SignatureInvalid, "{}: {forgery:?}", signer.channel());
        }
    }
}

#[test]
fn what_is_written_is_read_and_altered() {
    for (signer, _) in both_sides() {
        let body = signer.notification(&TRADE).unwrap();
        let read = |body: &[u8]| signer.read(body).map(|said| (said.pay_id, said.amount, said.is_paid)).unwrap();
        assert_eq!(read(&body), (TRADE.pay_id, TRADE.amount, true));
        let cheaper = signer.alter(&body, Change::Amount(Fen::new(1))).unwrap();
        assert_eq!(read(&cheaper), (TRADE.pay_id, Fen::new(1), true));
        assert_eq!(read(&signer.alter(&cheaper, Change::PayId(8)).unwrap()), (8, Fen::new(1), true));
        for other in [&b"payId=1&isPaid=2"[..], b"{}", b"\xff", b""] {
            assert_eq!((signer.read(other), signer.can_open(other)), (None, true));
        }
    }
    let [(_, _), (ours, _)] = both_sides();
    let [(_, _), (same_api_v3_key, _)] = both_sides();
    let body = ours.notification(&TRADE).unwrap();
    assert!(same_api_v3_key.can_open(&body), "it is sealed under the merchant's key");
    assert!(
        !same_api_v3_key.can_open(&String::from_utf8(body).unwrap().replace("nonce\":\"", "nonce\":\"x").into_bytes())
    );
}

/// Everything goes wrong, and then the same again from what was written down, in other fresh shops: as it was, and
/// worse.
async fn everything_goes_wrong(channel: &str, seed: &str) {
    let dir = tempdir().unwrap();
    let (log, keys) = (dir.path().join("run.jsonl"), dir.path().join("keys"));
    let (log, keys) = (log.to_str().unwrap(), keys.to_str().unwrap());
    let of_channel = ["--channel", channel, "--keys", keys, "--audit", "--json"];
    let clean = async |args: &[&str]| {
        let output = replay(dir.path(), &[args, &of_channel].concat()).await;
        let report = report(&output);
        assert_eq!((output.status.code(), &report["failures"]), (Some(0), &json!([])), "{report:#}");
        assert_eq!(report["audit"]["clean"], true, "{report:#}");
        for what in ["payments", "paid", "written"] {
            assert_eq!(number(&report["effects"][what]), 40, "{what}: {report:#}");
        }
        report
    };
    let first = clean(&["--generate", "40", "--all", "0.4", "--seed", seed, "--log", log]).await;
    let kinds: Vec<&str> = first["kinds"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(kinds, KINDS, "every fault has struck");
    clean(&[log]).await;
    clean(&[log, "--all", "0.3", "--seed", seed]).await;
}

#[tokio::test]
async fn everything_goes_wrong_at_alipay_and_nothing_is_lost() {
    everything_goes_wrong("alipay", "1").await;
}

#[tokio::test]
async fn everything_goes_wrong_at_wechat_and_nothing_is_lost() {
    everything_goes_wrong("wechat", "2").await;
}

/// The simulator of `channel` in a process of its own, and what it wants the shop to be told.
async fn simulator(dir: &Path, channel: &str) -> (Running, Vec<String>) {
    let args = ["sim", channel, "--listen", "127.0.0.1:0"];
    let (mut simulator, _) = Running::start(dir, &args, &dir.join("sim.log")).await.unwrap();
    let mut settings: Vec<String> = Vec::new();
    while settings.last().is_none_or(|setting| !setting.contains(".notify_url=")) {
        let setting = simulator.says().await.replace("<the gateway>", "http://127.0.0.1");
        settings.push(setting.trim().strip_prefix("--set ").unwrap().to_owned());
    }
    (simulator, settings)
}

/// The shop with what its own channels have recorded is a source and a target.
#[tokio::test]
async fn a_shop_with_a_real_channel_is_a_target_and_a_source() {
    for channel in CHANNELS {
        let dir = tempdir().unwrap();
        let data = dir.path().join("data");
        run(&data, &["seed"]).await;
        let (simulator, settings) = simulator(&data, channel).await;
        let up = Up::start(&data, &settings.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let (grpc, rest) = (up.grpc.to_string(), format!("http://{}", up.web));
        let keys = data.join(format!("sim-{channel}"));
        let (keys, data_dir) = (keys.to_str().unwrap(), data.to_str().unwrap());
        let faults = ["--tamper", "1", "--wrong-key", "1", "--stale", "1", "--foreign", "1", "--duplicate", "0.5"];
        // What the channel answered when it was asked is recorded too, and nobody sends it.
        let (schemas, now) = (schemas(&data).await, Clock::system().now().get());
        let answer = format!(
            "INSERT INTO trade_pay_notify \
             (channel, notify_id, pay_id, body_hash, body, headers, verdict, times, create_ms, last_ms) \
             VALUES ('{channel}', 'query-1', 1, '', '1 T1 88000 5', '{{}}', 'applied', 1, {now}, {now})"
        );
        execute(&schemas.pay, &answer).await;
        schemas.close().await;
        for args in [
            &[&["--generate", "8", "--target", &grpc][..], &faults].concat()[..],
            &[&["--generate", "8", "--target", &rest, "--slow", "1"][..], &faults].concat(),
            &["--from-shop", data_dir, "--target", &grpc],
            &["--from-shop", data_dir, "--audit"],
        ] {
            let output = replay(dir.path(), &[args, &["--channel", channel, "--keys", keys, "--json"]].concat()).await;
            let report = report(&output);
            assert_eq!((output.status.code(), &report["failures"]), (Some(0), &json!([])), "{args:?}: {report:#}");
        }
        up.kill().await;
        simulator.kill().await;
    }
}

#[tokio::test]
async fn what_nobody_can_sign_is_refused() {
    let dir = tempdir().unwrap();
    let (file, empty) = (dir.path().join("r.jsonl"), dir.path().join("empty"));
    let (path, empty) = (file.to_str().unwrap(), empty.to_str().unwrap());
    let [(_, _), (wechat, _)] = both_sides();
    let body = String::from_utf8(wechat.notification(&TRADE).unwrap()).unwrap();
    let line: Value = json!({ "channel": "wechat", "body": body, "sign": { "key": "ours" }, "expect": "accepted" });
    write(&file, &[HEAD, &line.to_string()]);
    for (args, said) in [
        (
            vec!["--generate", "1", "--channel", "alipay", "--target", "127.0.0.1:1"],
            "only the provider can sign for alipay",
        ),
        (
            vec!["--generate", "1", "--channel", "wechat", "--keys", empty, "--target", "127.0.0.1:1"],
            "`shop sim wechat`",
        ),
        (vec!["--generate", "1", "--keys", empty], "those of the sandbox stand in the configuration"),
        (vec!["--generate", "1", "--channel", "nobody"], "invalid value 'nobody'"),
        (vec![path], "nothing can be signed for the channel \"wechat\"; --channel names it"),
        (vec![path, "--channel", "wechat"], "a notification of wechat was sealed under another key"),
    ] {
        let output = replay(dir.path(), &args).await;
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), ""), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{args:?}: {}", stderr(&output));
    }
    assert!(!Path::new(empty).exists(), "no keys are made for a target");
    write(&file, &[HEAD, &line.to_string().replace("accepted", "refused")]);
    let output = replay(dir.path(), &[path, "--channel", "wechat"]).await;
    assert_eq!(output.status.code(), Some(0), "what must be refused may be sealed as it likes: {}", stderr(&output));
}
