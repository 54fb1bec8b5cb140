use proptest::prelude::*;
use shop_common::time::Millis;

use super::*;
use crate::channel::FoundRefund;

const PAY_ID: PayId = PayId::new(352_542_415_984_402_432);
const WANTED: Return = Return { refund_id: RefundId::new(7), pay_id: PAY_ID, amount: Fen::new(100) };
const PAID: &str = r#"{"appid":"wx1","mchid":"1230000109","out_trade_no":"352542415984402432","transaction_id":"4200000001",
    "trade_type":"NATIVE","trade_state":"SUCCESS","trade_state_desc":"支付成功","success_time":"2018-06-08T10:34:56+08:00",
    "amount":{"total":100,"payer_total":100,"currency":"CNY","payer_currency":"CNY"}}"#;
const REFUND: &str = r#"{"refund_id":"50000000382019052709732678859","out_refund_no":"7","transaction_id":"4200000001",
    "out_trade_no":"352542415984402432","channel":"ORIGINAL","user_received_account":"支付用户零钱",
    "create_time":"2020-12-01T16:18:12+08:00","status":"SUCCESS","amount":{"total":100,"refund":100,"currency":"CNY"}}"#;

fn us() -> Account {
    Account { appid: "wx1".into(), mchid: "1230000109".into() }
}

fn reply(status: u16, body: &str) -> Reply<'_> {
    Reply { status, body: body.as_bytes() }
}

fn error(code: &str) -> String {
    json!({ "code": code, "message": "because" }).to_string()
}

#[test]
fn requests_are_written_as_the_provider_says() {
    let trade = Trade { pay_id: PAY_ID, amount: Fen::new(100) };
    let native = us().native(trade, "a \"phone\" 手机", "https://shop.example/api/v1/callbacks/wechat");
    assert_eq!((&native.method, native.target.as_str()), (&Method::POST, "/v3/pay/transactions/native"));
    let body: Value = serde_json::from_str(&native.body).unwrap();
    assert_eq!(
        body,
        json!({
            "appid": "wx1", "mchid": "1230000109", "description": "a \"phone\" 手机", "out_trade_no": "352542415984402432",
            "notify_url": "https://shop.example/api/v1/callbacks/wechat", "amount": { "total": 100, "currency": "CNY" },
        })
    );
    let query = us().query(PAY_ID);
    let target = "/v3/pay/transactions/out-trade-no/352542415984402432?mchid=1230000109";
    assert_eq!(query, Ask { method: Method::GET, target: target.into(), body: String::new() });
    let close = us().close(PAY_ID);
    assert_eq!(close.target, "/v3/pay/transactions/out-trade-no/352542415984402432/close");
    assert_eq!(close.body, r#"{"mchid":"1230000109"}"#);
    let refund = refund(WANTED, Fen::new(300), "https://shop.example/n");
    assert_eq!(refund.target, "/v3/refund/domestic/refunds");
    let body: Value = serde_json::from_str(&refund.body).unwrap();
    assert_eq!(body["amount"], json!({ "refund": 100, "total": 300, "currency": "CNY" }));
    assert_eq!((&body["out_trade_no"], &body["out_refund_no"]), (&json!("352542415984402432"), &json!("7")));
    assert_eq!(query_refund(WANTED.refund_id).target, "/v3/refund/domestic/refunds/7");
}

#[test]
fn a_trade_is_paid_only_where_the_provider_says_so() {
    let found = |status, body: &str| reply(status, body).found(PAY_ID, &us());
    let paid =
        Paid { channel_trade_no: "4200000001".into(), amount: Fen::new(100), at: Millis::new(1_528_425_296_000) };
    assert_eq!(found(200, PAID), Ok(Found::Paid(paid.clone())));
    assert_eq!(found(200, &PAID.replace(r#""SUCCESS""#, r#""REFUND""#)), Ok(Found::Paid(paid)));
    for state in ["NOTPAY", "CLOSED", "USERPAYING", "PAYERROR", "REVOKED"] {
        assert_eq!(found(200, &PAID.replace(r#""SUCCESS""#, &format!("\"{state}\""))), Ok(Found::NotPaid), "{state}");
    }
    assert_eq!(found(404, &error("ORDER_NOT_EXIST")), Ok(Found::NotPaid));
}

#[test]
fn what_is_not_definite_is_not_known() {
    let unlike = [
        PAID.replace("352542415984402432", "352542415984402433"),
        PAID.replace("1230000109", "1230000108"),
        PAID.replace("wx1", "wx2"),
        PAID.replace(r#""currency":"CNY""#, r#""currency":"USD""#),
        PAID.replace(r#""total":100"#, r#""total":"100""#),
        PAID.replace(r#""transaction_id""#, r#""id""#),
        PAID.replace(r#""success_time""#, r#""time""#),
        PAID.replace(r#""SUCCESS""#, r#""PAID""#),
        "<html>404</html>".to_owned(),
        String::new(),
    ];
    for body in unlike {
        assert!(reply(200, &body).found(PAY_ID, &us()).is_err(), "{body}");
    }
    for (status, body) in [
        (404, ""),
        (404, "<html>"),
        (404, &error("NOT_FOUND")),
        (401, &error("SIGN_ERROR")),
        (400, &error("ORDER_NOT_EXIST")),
    ] {
        assert!(reply(status, body).found(PAY_ID, &us()).is_err(), "{status} {body}");
        assert!(reply(status, body).found_refund(WANTED).is_err(), "{status} {body}");
        assert!(reply(status, body).refunded(WANTED).is_err(), "{status} {body}");
        assert!(reply(status, body).registered().is_err(), "{status} {body}");
    }
    for (status, code) in
        [(500, ShopCode::Unknown), (502, ShopCode::Unknown), (429, ShopCode::Busy), (302, ShopCode::Unknown)]
    {
        let body = error("SYSTEM_ERROR");
        let reply = reply(status, &body);
        let all = [
            reply.found(PAY_ID, &us()).map(drop),
            reply.closed().map(drop),
            reply.refunded(WANTED).map(drop),
            reply.found_refund(WANTED).map(drop),
            reply.registered().map(drop),
        ];
        assert!(all.iter().all(|answer| answer.as_ref().is_err_and(|error| error.code == code)), "{status}");
    }
}

#[test]
fn a_trade_is_closed_only_where_nobody_can_pay_it() {
    assert_eq!(reply(204, "").closed(), Ok(Closed::Yes));
    assert_eq!(reply(400, &error("ORDER_CLOSED")).closed(), Ok(Closed::Yes));
    assert_eq!(reply(404, &error("ORDER_NOT_EXIST")).closed(), Ok(Closed::Yes));
    for (status, code) in [(202, "USERPAYING"), (400, "ORDERPAID"), (400, "INVALID_REQUEST"), (403, "TRADE_ERROR")] {
        assert_eq!(reply(status, &error(code)).closed(), Ok(Closed::No), "{code}");
    }
    assert!(reply(404, "").closed().is_err());
}

#[test]
fn a_refund_that_is_taken_in_is_not_yet_paid_back() {
    let refunded = |status: &str| reply(200, &REFUND.replace("SUCCESS", status)).refunded(WANTED).unwrap();
    assert_eq!(refunded("SUCCESS"), FoundRefund::Answered(Answer::Done));
    assert_eq!(refunded("PROCESSING"), FoundRefund::Working);
    assert_eq!(refunded("ABNORMAL"), FoundRefund::Working);
    assert!(matches!(refunded("CLOSED"), FoundRefund::Answered(Answer::Refused(_))));
    assert_eq!(reply(200, REFUND).found_refund(WANTED), Ok(FoundRefund::Answered(Answer::Done)));
    assert_eq!(reply(404, &error("RESOURCE_NOT_EXISTS")).found_refund(WANTED), Ok(FoundRefund::Unheard));
}

#[test]
fn a_refund_is_refused_only_for_good() {
    for (status, code) in [(400, "INVALID_REQUEST"), (403, "USER_ACCOUNT_ABNORMAL")] {
        let refused = reply(status, &error(code)).refunded(WANTED);
        assert_eq!(refused, Ok(FoundRefund::Answered(Answer::Refused(format!("{code}: because")))));
    }
    let wordy = json!({ "code": "INVALID_REQUEST", "message": "退".repeat(500) }).to_string();
    let Ok(FoundRefund::Answered(Answer::Refused(why))) = reply(400, &wordy).refunded(WANTED) else { panic!() };
    assert_eq!(why.chars().count(), WHY_MAX);
    for (status, code) in [
        (403, "NOT_ENOUGH"),
        (404, "RESOURCE_NOT_EXISTS"),
        (400, "PARAM_ERROR"),
        (404, "MCH_NOT_EXISTS"),
        (403, "REQUEST_BLOCKED"),
    ] {
        assert!(reply(status, &error(code)).refunded(WANTED).is_err(), "{code}");
    }
}

#[test]
fn a_refund_of_the_same_number_about_something_else_is_refused() {
    for (from, to) in [("352542415984402432", "352542415984402433"), (r#""refund":100"#, r#""refund":99"#)] {
        let answer = reply(200, &REFUND.replace(from, to)).found_refund(WANTED);
        assert!(matches!(answer, Ok(FoundRefund::Answered(Answer::Refused(_)))), "{to}");
    }
    assert!(
        reply(200, &REFUND.replace(r#""out_refund_no":"7""#, r#""out_refund_no":"8""#)).found_refund(WANTED).is_err()
    );
}

#[test]
fn the_buyer_scans_what_the_provider_answers() {
    let url = "weixin://wxpay/bizpayurl?pr=JyC91EIz1";
    let answer = format!(r#"{{"code_url":"{url}"}}"#);
    assert_eq!(reply(200, &answer).registered(), Ok(Registered::At(url.to_owned())));
    assert!(reply(200, "{}").registered().is_err());
    for (status, code) in [(400, "ORDERPAID"), (400, "ORDER_CLOSED"), (403, "OUT_TRADE_NO_USED")] {
        assert_eq!(reply(status, &error(code)).registered(), Ok(Registered::Over), "{code}");
    }
    assert!(reply(400, &error("INVALID_REQUEST")).registered().is_err());
}

proptest! {
    #[test]
    fn no_answer_upsets_it(status in any::<u16>(), body in any::<Vec<u8>>()) {
        let reply = Reply { status, body: &body };
        prop_assert!(reply.found(PAY_ID, &us()).is_err());
        prop_assert!(reply.refunded(WANTED).is_err());
        prop_assert!(reply.found_refund(WANTED).is_err());
        prop_assert!(reply.registered().is_err());
        let closed = reply.closed();
        prop_assert_eq!(closed == Ok(Closed::Yes), matches!(status, 200 | 204));
    }
}
