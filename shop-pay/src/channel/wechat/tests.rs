use std::sync::LazyLock;

use shop_common::{code::ShopCode, config::Secret, id::PayId, money::Fen};
use shop_sim::{
    Outgoing, Provider,
    books::{Announcement, Books, Due},
    keys::Pair,
    wechat as sim,
};

use super::*;
use crate::channel::{Said, TradeStatus};

const NOW: Millis = Millis::new(1_700_000_000_000);
const API_V3_KEY: &str = "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb";
const PAY_ID: i64 = 352_542_415_984_402_432;

/// Ours, the provider's, and the one it changes to.
static PAIRS: LazyLock<[Pair; 3]> = LazyLock::new(|| [(); 3].map(|()| Pair::generate().unwrap()));

fn config() -> WechatConfig {
    let [ours, theirs, _] = &*PAIRS;
    WechatConfig {
        enabled: true,
        gateway: "http://127.0.0.1:9".into(),
        app_id: "wxd678efh567hg6787".into(),
        mchid: "1230000109".into(),
        notify_url: "http://127.0.0.1:9/api/v1/callbacks/wechat".into(),
        description: "shop".into(),
        merchant_serial: "5F1C72E2A8931B72A2E13AF8DEE92471EB397115".into(),
        private_key: Secret::new(ours.private.as_str()),
        api_v3_key: Secret::new(API_V3_KEY),
        platform_serial: "440024045C4A427599D09BB4E3DE0279F2E813FD".into(),
        platform_key: theirs.public.clone(),
        ..WechatConfig::default()
    }
}

/// The same while the provider goes over to another key.
fn changing() -> WechatConfig {
    let next_platform_key = PAIRS[2].public.clone();
    WechatConfig { next_platform_serial: "PUB_KEY_ID_0100000001".into(), next_platform_key, ..config() }
}

fn channel(config: &WechatConfig) -> Wechat {
    Wechat::new(config, Clock::manual(NOW)).unwrap()
}

fn provider() -> sim::Wechat {
    let (config, [ours, theirs, next]) = (changing(), &*PAIRS);
    let platform = [(config.platform_serial, theirs), (config.next_platform_serial, next)];
    let keys = sim::Keys {
        appid: config.app_id,
        mchid: config.mchid,
        api_v3_key: API_V3_KEY.into(),
        merchant_serial: config.merchant_serial,
        merchant_key: ours.public.clone(),
        platform: platform.map(|(serial, pair)| (serial, pair.private.clone())).into(),
    };
    sim::Wechat::new(keys).unwrap()
}

/// What the provider has to tell: of a payment, and of its refund.
fn told() -> Vec<Due> {
    let mut books = Books::default();
    let new = Announcement {
        out_trade_no: PAY_ID.to_string(),
        amount: Fen::new(88_000),
        subject: "shop".into(),
        notify_url: String::new(),
    };
    books.announce(new, NOW).unwrap();
    books.pay(&PAY_ID.to_string(), NOW).unwrap();
    books.refund("7", &PAY_ID.to_string(), Fen::new(1_000), NOW).unwrap();
    books.due(NOW)
}

fn headers(outgoing: &Outgoing) -> Headers {
    outgoing.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn code(channel: &Wechat, outgoing: &Outgoing, now: Millis) -> Option<ShopCode> {
    channel.verify(&headers(outgoing), &outgoing.body, now).err().map(|error| error.code)
}

#[test]
fn what_the_provider_sends_is_read() {
    let (channel, provider, told) = (channel(&config()), provider(), told());
    let paid = provider.notification(&told[0], NOW).unwrap();
    let genuine = channel.verify(&headers(&paid), &paid.body, NOW).unwrap();
    let Said::Payment(said) = genuine.said else { panic!() };
    assert_eq!((said.pay_id, said.amount, said.status), (PayId::new(PAY_ID), Fen::new(88_000), TradeStatus::Success));
    assert_eq!((said.paid, genuine.refused), (Some(NOW), None));
    let back = provider.notification(&told[1], NOW).unwrap();
    let Said::Refund(said) = channel.verify(&headers(&back), &back.body, NOW).unwrap().said else { panic!() };
    assert_eq!((said.refund_id.get(), said.amount, said.answer), (7, Fen::new(1_000), Some(Answer::Done)));
}

/// F48: whatever bit of whatever was signed, or of the signature, is another one.
#[test]
fn one_bit_anywhere_and_it_is_a_forgery() {
    let (channel, provider) = (channel(&config()), provider());
    let good = provider.notification(&told()[0], NOW).unwrap();
    let good_headers = headers(&good);
    assert!(channel.verify(&good_headers, &good.body, NOW).is_ok());
    let flips = |bytes: &[u8]| {
        let all = bytes.to_vec();
        (0..all.len() * 8).map(move |bit| {
            let mut flipped = all.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            flipped
        })
    };
    let mut tried = 0;
    for body in flips(&good.body) {
        assert_eq!(channel.verify(&good_headers, &body, NOW).unwrap_err().code, ShopCode::SignatureInvalid);
        tried += 1;
    }
    for name in HEADERS {
        for value in flips(good_headers[name].as_bytes()) {
            let mut headers = good_headers.clone();
            headers.insert(name.to_owned(), value.iter().copied().map(char::from).collect());
            let refused = channel.verify(&headers, &good.body, NOW).unwrap_err();
            assert_eq!(refused.code, ShopCode::SignatureInvalid, "{name}: {value:?}");
            tried += 1;
        }
    }
    assert!(tried > 8_000, "{tried}");
}

/// F58: both keys while they are changed, afterwards the new one alone; an unknown serial never.
#[test]
fn keys_are_changed_without_a_gap() {
    let (before, during, provider, told) = (channel(&config()), channel(&changing()), provider(), told());
    let mut after = changing();
    (after.platform_serial, after.platform_key) = (after.next_platform_serial, after.next_platform_key);
    (after.next_platform_serial, after.next_platform_key) = Default::default();
    let after = channel(&after);
    let old = provider.notification(&told[0], NOW).unwrap();
    provider.sign_with("PUB_KEY_ID_0100000001");
    let new = provider.notification(&told[0], NOW).unwrap();
    let refused = Some(ShopCode::SignatureInvalid);
    assert_eq!((code(&before, &old, NOW), code(&before, &new, NOW)), (None, refused));
    assert_eq!((code(&during, &old, NOW), code(&during, &new, NOW)), (None, None));
    assert_eq!((code(&after, &old, NOW), code(&after, &new, NOW)), (refused, None));
    // The right serial with the other key is no way around.
    let mut mixed = old;
    for (name, value) in &mut mixed.headers {
        if *name == SERIAL {
            "PUB_KEY_ID_0100000001".clone_into(value);
        }
    }
    assert_eq!(code(&during, &mixed, NOW), refused);
}

/// F49: fresh for less than five minutes, by either clock.
#[test]
fn clocks_may_be_five_minutes_apart() {
    let (channel, provider) = (channel(&config()), provider());
    let sent = provider.notification(&told()[0], NOW).unwrap();
    for (seconds, refusal) in [
        (0, None),
        (299, None),
        (-299, None),
        (301, Some(ShopCode::NotifyReplay)),
        (-301, Some(ShopCode::NotifyReplay)),
        (25 * 3600, Some(ShopCode::NotifyReplay)),
    ] {
        assert_eq!(code(&channel, &sent, Millis::new(NOW.get() + seconds * 1000)), refusal, "{seconds}");
    }
}

#[test]
fn a_probe_of_the_provider_fails() {
    let (channel, provider, told) = (channel(&config()), provider(), told());
    provider.probe(1);
    let probe = provider.notification(&told[0], NOW).unwrap();
    assert_eq!(code(&channel, &probe, NOW), Some(ShopCode::SignatureInvalid));
    assert_eq!(code(&channel, &provider.notification(&told[0], NOW).unwrap(), NOW), None);
}

#[test]
fn a_resend_is_sealed_anew_and_says_the_same() {
    let (channel, provider, told) = (channel(&config()), provider(), told());
    let (first, again) = (provider.notification(&told[0], NOW).unwrap(), provider.notification(&told[0], NOW).unwrap());
    assert_ne!(first.body, again.body);
    let lasting = |sent: &Outgoing| channel.lasting(&headers(sent), &sent.body).into_owned();
    assert_eq!(lasting(&first), lasting(&again));
    assert_ne!(lasting(&first), lasting(&provider.notification(&told[1], NOW).unwrap()));
}

#[test]
fn a_configuration_that_cannot_work_is_named() {
    let refused = |change: fn(&mut WechatConfig)| {
        let mut config = changing();
        change(&mut config);
        match Wechat::new(&config, Clock::manual(NOW)).err() {
            Some(BadConfig::Channel { channel: NAME, key, .. }) => key,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(|config| config.app_id.clear()), "app_id");
    assert_eq!(refused(|config| config.mchid = "1 2".into()), "mchid");
    assert_eq!(refused(|config| config.merchant_serial.clear()), "merchant_serial");
    assert_eq!(refused(|config| config.description.clear()), "description");
    assert_eq!(refused(|config| config.notify_url = "https://shop.example/n?a=b".into()), "notify_url");
    assert_eq!(refused(|config| config.gateway = "http://api.mch.weixin.qq.com".into()), "gateway");
    assert_eq!(refused(|config| config.private_key = Secret::new("")), "private_key");
    assert_eq!(refused(|config| config.private_key = Secret::new("AAAA")), "private_key");
    assert_eq!(refused(|config| config.api_v3_key = Secret::new(&API_V3_KEY[1..])), "api_v3_key");
    assert_eq!(refused(|config| config.platform_key.clear()), "platform_key");
    assert_eq!(refused(|config| config.platform_key = PAIRS[0].public.clone()), "platform_key");
    assert_eq!(refused(|config| config.platform_serial.clear()), "platform_serial");
    assert_eq!(refused(|config| config.next_platform_serial.clear()), "next_platform_serial");
    assert_eq!(
        refused(|config| config.next_platform_serial.clone_from(&config.platform_serial)),
        "next_platform_serial"
    );
}

#[test]
fn a_header_that_stands_there_twice_is_none() {
    let mut headers = HeaderMap::new();
    for name in HEADERS {
        headers.append(name, "a".parse().unwrap());
    }
    assert_eq!(signed_by(&headers).len(), HEADERS.len());
    headers.append(SERIAL, "a".parse().unwrap());
    assert_eq!(signed_by(&headers).get(SERIAL), None);
}
