use shop_common::{money::Fen, time::Clock};

use super::*;
use crate::{books::Announcement, faults::Faults, keys::Pair};

const NOW: Millis = Millis::new(1_700_000_000_000);

/// The provider, the merchant's key, and the clock of both.
fn simulated() -> (Arc<Sim<Wechat>>, Signer, Clock) {
    let (merchant, platform) = (Pair::generate().unwrap(), Pair::generate().unwrap());
    let keys = Keys {
        appid: "wx1".into(),
        mchid: "1230000109".into(),
        api_v3_key: "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb".into(),
        merchant_serial: "5F1C".into(),
        merchant_key: merchant.public,
        platform: vec![("4400".into(), platform.private)],
    };
    let clock = Clock::manual(NOW);
    // Nobody listens there.
    let nowhere = Some("http://127.0.0.1:9/".to_owned());
    let sim =
        Sim::new(Wechat::new(keys).unwrap(), clock.clone(), Faults::none(), "http://127.0.0.1:9", nowhere).unwrap();
    (sim, Signer::read(&merchant.private).unwrap(), clock)
}

fn announce(sim: &Sim<Wechat>) {
    let (out_trade_no, amount) = ("352542415984402432".to_owned(), Fen::new(88_000));
    let new = Announcement { out_trade_no, amount, subject: "a, b".into(), notify_url: String::new() };
    sim.books().announce(new, NOW).unwrap();
}

#[test]
fn notifications_come_for_a_day_and_four_minutes() {
    let all: Duration = Wechat::GAPS.iter().sum();
    assert_eq!((Wechat::GAPS.len(), all), (15, Duration::from_mins(24 * 60 + 4)));
}

#[tokio::test]
async fn what_nobody_acknowledges_comes_again_as_published_and_then_no_more() {
    let (sim, _, clock) = simulated();
    announce(&sim);
    sim.pay("352542415984402432").unwrap();
    assert_eq!(sim.run_once(clock.now()).await, 1);
    for gap in Wechat::GAPS {
        clock.advance(gap.checked_sub(Duration::from_millis(1)).unwrap());
        assert_eq!(sim.run_once(clock.now()).await, 0, "{gap:?}");
        clock.advance(Duration::from_millis(1));
        assert_eq!(sim.run_once(clock.now()).await, 1, "{gap:?}");
    }
    clock.advance(Duration::from_hours(1000));
    assert_eq!((sim.run_once(clock.now()).await, sim.books().to_send()), (0, 0));
}

#[test]
fn only_the_merchant_s_own_request_is_believed() {
    let (sim, merchant, _) = simulated();
    let (target, nonce, seconds) = ("/v3/pay/transactions/native", "593BEC0C930BF1AFEB40B4A08C8FB242", 1_700_000_000);
    let header = |mchid: &str, serial: &str, seconds: i64, body: &str| {
        let signature = merchant.sign(format!("POST\n{target}\n{seconds}\n{nonce}\n{body}\n").as_bytes()).unwrap();
        format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"{mchid}\",nonce_str=\"{nonce}\",timestamp=\"{seconds}\",\
             serial_no=\"{serial}\",signature=\"{signature}\""
        )
    };
    let asked = |header: &str, method, target, body: &[u8]| {
        sim.provider.authentic(Some(header), method, target, body, NOW).is_ok()
    };
    let good = header("1230000109", "5F1C", seconds, "{}");
    assert!(asked(&good, "POST", target, b"{}"));
    assert!(!asked(&good, "GET", target, b"{}"));
    assert!(!asked(&good, "POST", "/v3/pay/transactions/native?a", b"{}"));
    assert!(!asked(&good, "POST", target, b"{ }"));
    assert!(!asked(&header("1230000108", "5F1C", seconds, "{}"), "POST", target, b"{}"));
    assert!(!asked(&header("1230000109", "5F1D", seconds, "{}"), "POST", target, b"{}"));
    assert!(!asked(&header("1230000109", "5F1C", seconds - 301, "{}"), "POST", target, b"{}"));
    assert!(!asked(&good.replace("SHA256-RSA2048", "SM2-WITH-SM3"), "POST", target, b"{}"));
    assert!(sim.provider.authentic(None, "POST", target, b"{}", NOW).is_err());
}

#[test]
fn a_refund_is_worked_on_until_it_is_told() {
    let (sim, _, _) = simulated();
    announce(&sim);
    sim.pay("352542415984402432").unwrap();
    let state = || {
        let books = sim.books();
        let (refund, trade) = (books.refund_of("7").unwrap(), books.trade("352542415984402432").unwrap());
        sim.provider.refund(trade, refund, "status")["status"].clone()
    };
    sim.provider.next_refund_ends(Ending::Closed);
    sim.books().refund("7", "352542415984402432", Fen::new(1), NOW).unwrap();
    assert_eq!(state(), "PROCESSING");
    for due in sim.books().due(NOW) {
        assert!(sim.provider.notification(&due, NOW).is_some());
    }
    assert_eq!(state(), "CLOSED");
}

#[test]
fn a_bill_has_as_many_values_as_columns() {
    let (sim, _, _) = simulated();
    announce(&sim);
    sim.pay("352542415984402432").unwrap();
    sim.books().refund("7", "352542415984402432", Fen::new(1), NOW).unwrap();
    let bill = String::from_utf8(sim.bill((NOW, Millis::new(NOW.get() + 1)))).unwrap();
    let columns: Vec<usize> = bill.lines().map(|line| line.split(',').count()).collect();
    assert_eq!(columns, [27, 27, 27, 7, 7]);
    assert!(bill.lines().last().unwrap().starts_with("`2,`880.00,`0.01,"), "{bill}");
}
