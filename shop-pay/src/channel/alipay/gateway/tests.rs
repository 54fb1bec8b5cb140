use std::sync::OnceLock;

use shop_sim::keys::{Pair, Signer, Verifier};

use super::*;

const METHOD: &str = "alipay.trade.query";
const CONTENT: &str = r#"{"code":"10000","msg":"Success","out_trade_no":"7","qr_code":"https:\/\/qr.alipay.com\/x"}"#;

fn pair() -> &'static Pair {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    PAIR.get_or_init(|| Pair::generate().unwrap())
}

fn keys() -> Vec<VerifyingKey> {
    vec![VerifyingKey::read(&pair().public).unwrap()]
}

fn sign(text: &str) -> String {
    Signer::read(&pair().private).unwrap().sign(text.as_bytes()).unwrap()
}

fn answer(content: &str, signature: &str) -> String {
    format!(r#"{{"alipay_trade_query_response":{content},"sign":"{signature}"}}"#)
}

fn why(body: &str) -> String {
    read(METHOD, body.as_bytes(), &keys()).unwrap_err()
}

#[test]
fn an_answer_is_believed_by_the_bytes_that_came() {
    let Reply::Done(fields) = read(METHOD, answer(CONTENT, &sign(CONTENT)).as_bytes(), &keys()).unwrap() else {
        panic!("it is done")
    };
    assert_eq!((fields.get("out_trade_no"), fields.get("qr_code")), (Some("7"), Some("https://qr.alipay.com/x")));
    assert_eq!(fields.get("trade_no"), None);
    let spaced = CONTENT.replace(',', " , ");
    assert!(read(METHOD, answer(&spaced, &sign(&spaced)).as_bytes(), &keys()).is_ok());
    assert_eq!(why(&answer(&spaced, &sign(CONTENT))), "its signature is wrong", "the same in JSON, other bytes");
    let plain = CONTENT.replace("\\/", "/");
    assert!(read(METHOD, answer(CONTENT, &sign(&plain)).as_bytes(), &keys()).is_ok(), "slashes may be escaped later");
    assert_eq!(why(&answer(&plain, &sign(CONTENT))), "its signature is wrong");
}

#[test]
fn every_flipped_bit_of_the_content_is_noticed() {
    let signature = sign(CONTENT);
    for position in 0..CONTENT.len() * 8 {
        let mut flipped = CONTENT.as_bytes().to_vec();
        flipped[position / 8] ^= 1 << (position % 8);
        let mut body = b"{\"alipay_trade_query_response\":".to_vec();
        body.extend([&flipped[..], b",\"sign\":\"", signature.as_bytes(), b"\"}"].concat());
        assert!(read(METHOD, &body, &keys()).is_err(), "bit {position}");
    }
}

#[test]
fn an_answer_that_is_not_signed_is_not_known() {
    let failed = r#"{"code":"40004","sub_code":"ACQ.TRADE_NOT_EXIST","sub_msg":"-"}"#;
    assert_eq!(why(&format!(r#"{{"alipay_trade_query_response":{failed}}}"#)), "there is no sign");
    assert_eq!(why(r#"{"error_response":{"code":"40002"},"sign":"x"}"#), "there is no alipay_trade_query_response");
    assert_eq!(why(&answer(failed, "")), "its signature is wrong");
    let other = answer(CONTENT, &sign(CONTENT)).replace("query", "refund");
    assert_eq!(why(&other), "there is no alipay_trade_query_response", "the answer to another question");
    let stranger = VerifyingKey::read(&Pair::generate().unwrap().public).unwrap();
    assert!(read(METHOD, answer(CONTENT, &sign(CONTENT)).as_bytes(), std::slice::from_ref(&stranger)).is_err());
    let both = [stranger, keys().remove(0)];
    assert!(read(METHOD, answer(CONTENT, &sign(CONTENT)).as_bytes(), &both).is_ok(), "while keys are changed");
}

#[test]
fn a_member_that_stands_there_twice_is_refused() {
    let signature = sign(CONTENT);
    for twice in [
        format!(
            r#"{{"alipay_trade_query_response":{CONTENT},"alipay_trade_query_response":{{}},"sign":"{signature}"}}"#
        ),
        format!(r#"{{"alipay_trade_query_response":{CONTENT},"sign":"{signature}","sign":"{signature}"}}"#),
    ] {
        assert!(why(&twice).ends_with("stands there twice"), "{twice}");
    }
    for broken in ["", "[]", "{", "null", "<html>"] {
        assert!(why(broken).starts_with("no JSON object"), "{broken}");
    }
}

#[test]
fn only_a_refusal_of_the_business_is_a_refusal() {
    let with = |content: &str| read(METHOD, answer(content, &sign(content)).as_bytes(), &keys());
    let refused = with(r#"{"code":"40004","sub_code":"ACQ.TRADE_NOT_EXIST","sub_msg":"no such trade"}"#).unwrap();
    let expected = Refusal { code: "ACQ.TRADE_NOT_EXIST".to_owned(), text: "no such trade".to_owned() };
    assert_eq!(refused, Reply::Refused(expected));
    for content in [
        r#"{"code":"20000","sub_code":"isp.unknow-error"}"#,
        r#"{"code":"40002","sub_code":"isv.invalid-signature"}"#,
        r#"{"code":"10003"}"#,
        r#"{"code":10000}"#,
        r#"{"code":"40004"}"#,
        "{}",
    ] {
        assert!(with(content).is_err(), "{content}");
    }
}

#[test]
fn an_amount_that_is_a_number_is_no_field() {
    let content = r#"{"code":"10000","total_amount":88.88,"buyer_pay_amount":""}"#;
    let Reply::Done(fields) = read(METHOD, answer(content, &sign(content)).as_bytes(), &keys()).unwrap() else {
        panic!("it is done")
    };
    assert_eq!((fields.get("total_amount"), fields.get("buyer_pay_amount")), (None, None));
}

#[test]
fn a_request_signs_every_parameter_but_itself() {
    let ours = Pair::generate().unwrap();
    let gateway = Gateway {
        caller: Caller::new("https://openapi.alipay.com/gateway.do").unwrap(),
        clock: Clock::system(),
        app_id: "1".to_owned(),
        ours: SigningKey::read(&ours.private).unwrap(),
        theirs: keys(),
    };
    let content = serde_json::json!({ "out_trade_no": "7" });
    let form = gateway.request(METHOD, &content, "", Millis::new(1_795_492_800_000)).unwrap();
    let text = "app_id=1&biz_content={\"out_trade_no\":\"7\"}&charset=utf-8&format=JSON&method=alipay.trade.query&\
                sign_type=RSA2&timestamp=2026-11-24 12:00:00&version=1.0";
    assert_eq!(form.text(&["sign"]), text);
    assert!(Verifier::read(&ours.public).unwrap().is_signed(text.as_bytes(), form.get("sign").unwrap()));
}
