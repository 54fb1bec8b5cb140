use proptest::prelude::*;
use serde_json::json;

use super::{super::resource::sealed, *};
use crate::channel::Said;

const KEY: &str = "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb";
/// The plain text of the page "payment notice", with our numbers.
const PAID: &str = r#"{"transaction_id":"1217752501201407033233368018","amount":{"payer_total":100,"total":100,
    "currency":"CNY","payer_currency":"CNY"},"mchid":"1230000109","trade_state":"SUCCESS","bank_type":"CMC",
    "promotion_detail":[],"success_time":"2018-06-08T10:34:56+08:00","payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
    "out_trade_no":"352542415984402432","appid":"wxd678efh567hg6787","trade_state_desc":"支付成功","trade_type":"NATIVE",
    "attach":"","device_info":""}"#;
/// The plain text of the page "refund result notice", with our numbers.
const REFUNDED: &str = r#"{"mchid":"1230000109","transaction_id":"1008450740201411110005820873",
    "out_trade_no":"352542415984402432","refund_id":"50200207182018070300011301001","out_refund_no":"7","refund_status":"SUCCESS",
    "success_time":"2018-06-08T10:34:56+08:00","user_received_account":"招商银行信用卡0403",
    "amount":{"total":999,"refund":998,"payer_total":999,"payer_refund":998}}"#;

fn us() -> Account {
    Account { appid: "wxd678efh567hg6787".into(), mchid: "1230000109".into() }
}

fn key() -> Apiv3Key {
    Apiv3Key::read(KEY).unwrap()
}

fn envelope(event_type: &str, text: &str) -> String {
    json!({
        "id": "EV-2018022511223320873",
        "create_time": "2018-06-08T10:34:56+08:00",
        "resource_type": "encrypt-resource",
        "event_type": event_type,
        "summary": "支付成功",
        "resource": {
            "original_type": "transaction",
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": sealed(&key(), "fdasflkja484", "transaction", text),
            "associated_data": "transaction",
            "nonce": "fdasflkja484",
        },
    })
    .to_string()
}

fn read_text(event_type: &str, text: &str) -> Result<Genuine> {
    read(envelope(event_type, text).as_bytes(), &key(), &us())
}

/// Where it is refused when `from` reads `to`.
fn changed(event_type: &str, good: &str, from: &str, to: &str) -> Option<(ShopCode, String)> {
    assert!(good.contains(from), "{from}");
    read_text(event_type, &good.replace(from, to)).err().map(place)
}

fn place(error: ShopError) -> (ShopCode, String) {
    (error.code, error.field.unwrap_or_default().into_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "it is held against what may be nothing")]
fn at(code: ShopCode, field: &str) -> Option<(ShopCode, String)> {
    Some((code, field.to_owned()))
}

#[test]
fn the_provider_s_example_of_a_payment_is_read() {
    let genuine = read_text("TRANSACTION.SUCCESS", PAID).unwrap();
    let said = Notification {
        notify_id: "EV-2018022511223320873".into(),
        pay_id: PayId::new(352_542_415_984_402_432),
        channel_trade_no: "1217752501201407033233368018".into(),
        amount: Fen::new(100),
        status: TradeStatus::Success,
        paid: Some(Millis::new(1_528_425_296_000)),
    };
    assert_eq!(genuine, Genuine::from(said));
}

#[test]
fn the_provider_s_example_of_a_refund_is_read() {
    let said = |answer| RefundNotice {
        notify_id: "EV-2018022511223320873".into(),
        refund_id: RefundId::new(7),
        pay_id: PayId::new(352_542_415_984_402_432),
        amount: Fen::new(998),
        answer,
    };
    assert_eq!(read_text("REFUND.SUCCESS", REFUNDED).unwrap(), Genuine::from(said(Some(Answer::Done))));
    let closed = REFUNDED.replace(r#""refund_status":"SUCCESS""#, r#""refund_status":"CLOSED""#);
    let Said::Refund(RefundNotice { answer, .. }) = read_text("REFUND.CLOSED", &closed).unwrap().said else { panic!() };
    assert!(matches!(answer, Some(Answer::Refused(_))), "{answer:?}");
    let abnormal = REFUNDED.replace(r#""refund_status":"SUCCESS""#, r#""refund_status":"ABNORMAL""#);
    assert_eq!(read_text("REFUND.ABNORMAL", &abnormal).unwrap(), Genuine::from(said(None)), "it may still end well");
    assert_eq!(read_text("REFUND.SUCCESS", &abnormal).err().map(place), at(ShopCode::NotifyInvalid, "refund_status"));
}

#[test]
fn what_is_for_somebody_else_is_read_and_says_so() {
    for (from, to, code, field) in [
        ("1230000109", "1230000108", ShopCode::NotifyInvalid, "mchid"),
        ("wxd678efh567hg6787", "wxd678efh567hg6788", ShopCode::NotifyInvalid, "appid"),
        (r#""currency":"CNY""#, r#""currency":"HKD""#, ShopCode::AmountMismatch, "amount.currency"),
        (r#""currency":"CNY""#, r#""other":"CNY""#, ShopCode::AmountMismatch, "amount.currency"),
    ] {
        let genuine = read_text("TRANSACTION.SUCCESS", &PAID.replace(from, to)).unwrap();
        assert_eq!(genuine.said, read_text("TRANSACTION.SUCCESS", PAID).unwrap().said);
        assert_eq!(genuine.refused.map(place), at(code, field), "{to}");
    }
    for mchid in [r#""mchid":"1230000108""#, r#""other":"1230000109""#] {
        let genuine = read_text("REFUND.SUCCESS", &REFUNDED.replace(r#""mchid":"1230000109""#, mchid)).unwrap();
        assert_eq!(genuine.refused.map(place), at(ShopCode::NotifyInvalid, "mchid"));
    }
}

#[test]
fn an_amount_is_an_integer_of_fen() {
    for wrong in [r#""100""#, "100.0", "1e2", "9223372036854775808", "null", "[100]"] {
        let total = format!(r#""total":{wrong},"#);
        let refused = changed("TRANSACTION.SUCCESS", PAID, r#""total":100,"#, &total);
        assert_eq!(refused, at(ShopCode::AmountMismatch, "amount.total"), "{wrong}");
        let refund = format!(r#""refund":{wrong},"#);
        let refused = changed("REFUND.SUCCESS", REFUNDED, r#""refund":998,"#, &refund);
        assert_eq!(refused, at(ShopCode::AmountMismatch, "amount.refund"), "{wrong}");
    }
}

#[test]
fn anything_else_is_refused_at_its_field() {
    for (from, to, field) in [
        ("352542415984402432", "0352542415984402432", "out_trade_no"),
        ("352542415984402432", "-1", "out_trade_no"),
        ("352542415984402432", "0", "out_trade_no"),
        ("352542415984402432", "9223372036854775808", "out_trade_no"),
        ("352542415984402432", "order-1", "out_trade_no"),
        (r#""transaction_id":"#, r#""other_id":"#, "transaction_id"),
        ("2018-06-08T10:34:56+08:00", "2018-06-08 10:34:56", "success_time"),
        ("2018-06-08T10:34:56+08:00", "2018-06-08T10:34:56", "success_time"),
        (r#""SUCCESS""#, r#""success""#, "resource"),
        (r#""mchid":"1230000109","#, r#""mchid":"1230000109","mchid":"1230000109","#, "resource"),
        (r#""amount":{"#, r#""amount":{"total":1,"#, "resource"),
        (r#""mchid":"1230000109","#, "", "resource"),
        (r#""attach""#, "attach", "resource"),
    ] {
        let refused = changed("TRANSACTION.SUCCESS", PAID, from, to);
        assert_eq!(refused, at(ShopCode::NotifyInvalid, field), "{to}");
    }
    assert_eq!(
        changed("REFUND.SUCCESS", REFUNDED, r#":"7""#, r#":"07""#),
        at(ShopCode::NotifyInvalid, "out_refund_no")
    );
    assert_eq!(
        changed("REFUND.SUCCESS", REFUNDED, "352542415984402432", "x"),
        at(ShopCode::NotifyInvalid, "out_trade_no")
    );
    for event_type in ["TRANSACTION.FAIL", "PAYSCORE.USER_OPEN_SERVICE", ""] {
        assert_eq!(read_text(event_type, PAID).err().map(place), at(ShopCode::NotifyInvalid, "event_type"));
    }
}

#[test]
fn the_envelope_is_read_strictly() {
    let good = envelope("TRANSACTION.SUCCESS", PAID);
    let refused = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        read(good.replacen(from, to, 1).as_bytes(), &key(), &us()).err().map(place)
    };
    for (from, to, field) in [
        ("AEAD_AES_256_GCM", "AEAD_SM4_GCM", "resource.algorithm"),
        ("AEAD_AES_256_GCM", "NONE", "resource.algorithm"),
        ("fdasflkja484", "fdasflkja485", "resource"),
        (r#""associated_data":"transaction""#, r#""associated_data":"refund""#, "resource"),
        (r#""associated_data":"transaction""#, r#""associated_data":null"#, "resource"),
        (r#""id":"#, r#""id":"EV-1","id":"#, "body"),
        (r#""event_type":"#, r#""event":"#, "body"),
        (r#""支付成功"}"#, r#""支付成功""#, "body"),
        (r#""支付成功"}"#, r#""支付成功"} {}"#, "body"),
    ] {
        assert_eq!(refused(from, to), at(ShopCode::NotifyInvalid, field), "{to}");
    }
    assert_eq!(refused(r#""summary":"#, r#""added one day":1,"summary":"#), None);
}

#[test]
fn where_a_trade_stands_is_told_apart() {
    for (state, status) in [
        ("SUCCESS", TradeStatus::Success),
        ("REFUND", TradeStatus::Success),
        ("NOTPAY", TradeStatus::Wait),
        ("USERPAYING", TradeStatus::Wait),
        ("PAYERROR", TradeStatus::Wait),
        ("CLOSED", TradeStatus::Closed),
        ("REVOKED", TradeStatus::Closed),
    ] {
        let text = PAID.replace(r#""SUCCESS""#, &format!("\"{state}\""));
        let Said::Payment(said) = read_text("TRANSACTION.SUCCESS", &text).unwrap().said else { panic!("{state}") };
        assert_eq!(said.status, status, "{state}");
    }
}

proptest! {
    #[test]
    fn no_body_upsets_it(body in any::<Vec<u8>>(), text in ".{0,200}") {
        prop_assert!(read(&body, &key(), &us()).is_err());
        for event_type in ["TRANSACTION.SUCCESS", "REFUND.SUCCESS"] {
            prop_assert!(read_text(event_type, &text).is_err());
        }
    }

    /// A genuine text cut short or with a byte changed is refused, or says what it then says; it upsets nothing.
    #[test]
    fn no_change_upsets_it(place in 0_usize..PAID.len(), byte in any::<u8>(), is_cut in any::<bool>()) {
        let mut bytes = PAID.as_bytes().to_vec();
        if is_cut { bytes.truncate(place) } else { bytes[place] = byte }
        let read = transaction("n".into(), &bytes, &us());
        prop_assert!(!is_cut || read.is_err());
    }
}
