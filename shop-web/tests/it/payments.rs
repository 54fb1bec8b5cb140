//! Payments of `/api/v1`.

use shop_common::code::ShopCode;
use shop_proto::pay::v1::{CreatePaymentRequest, GetPaymentRequest};

use crate::{
    fakes::{ORDER, PAYMENT, USER},
    world::World,
};

const PAYMENT_JSON: &str = concat!(
    r#"{"payId":"352542415984402432","orderId":"352537369385242624","amount":"880.00","channel":"sandbox","#,
    r#""status":"UNPAID","payUrl":"http://127.0.0.1:8080/sandbox/pay/352542415984402432","channelTradeNo":"","#,
    r#""createdMs":"2026-11-21T07:00:00.000Z","refunded":"0.00"}"#,
);
const REFUNDS_JSON: &str = concat!(
    r#""refunded":"100.00","refunds":[{"refundId":"352542415984402433","payId":"352542415984402432","#,
    r#""orderId":"352537369385242624","amount":"100.00","status":"OPEN","cause":"OPERATOR","#,
    r#""reason":"arrived broken","remark":"","createdMs":"2026-11-21T07:00:00.000Z"}]}"#,
);

#[tokio::test]
async fn a_payment_is_made() {
    let world = World::new();
    let path = format!("/api/v1/orders/{ORDER}/payments");
    let answer = world.post(&path, r#"{"amount":"880.00"}"#).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (201, PAYMENT_JSON));
    assert_eq!(answer.header("location"), format!("/api/v1/payments/{PAYMENT}"));
    let mut expected =
        CreatePaymentRequest { order_id: ORDER, user_id: USER, amount_fen: 88_000, channel: String::new() };
    assert_eq!(world.fake.take::<CreatePaymentRequest>(), expected);
    world.post(&path, r#"{"amount":"880.00","channel":"sandbox"}"#).await;
    expected.channel = "sandbox".into();
    assert_eq!(world.fake.take::<CreatePaymentRequest>(), expected);
}

#[tokio::test]
async fn a_payment_is_read() {
    let world = World::new();
    let answer = world.get(&format!("/api/v1/payments/{PAYMENT}")).await;
    let expected = PAYMENT_JSON.replace(r#""refunded":"0.00"}"#, REFUNDS_JSON);
    assert_eq!((answer.status.as_u16(), answer.text), (200, expected));
    assert_eq!(world.fake.take::<GetPaymentRequest>(), GetPaymentRequest { pay_id: PAYMENT, user_id: USER });
}

#[tokio::test]
async fn what_cannot_be_paid_is_a_problem() {
    let world = World::new();
    for (code, status) in [
        (ShopCode::AmountMismatch, 400),
        (ShopCode::OrderIsPaid, 409),
        (ShopCode::OrderNotPayable, 409),
        (ShopCode::OrderNotFound, 404),
    ] {
        world.fake.refuse(code.into());
        let answer = world.post("/api/v1/orders/7/payments", r#"{"amount":"880.00"}"#).await;
        assert_eq!(answer.problem(), (status, code.row().name.to_owned(), None));
    }
}

#[tokio::test]
async fn an_amount_is_a_strict_string() {
    let world = World::new();
    for amount in ["880", "880.00e0", "\"880\"", "\"880.0\"", "\"880.00 \"", "\"-1.00\"", "null", "[\"880.00\"]"] {
        let answer = world.post("/api/v1/orders/7/payments", format!(r#"{{"amount":{amount}}}"#)).await;
        let (status, _, field) = answer.problem();
        assert_eq!((status, field.as_deref()), (400, Some("amount")), "{amount}");
    }
    assert_eq!(world.fake.call_count(), 0);
}
