//! Refunds of `/api/v1`, for operators.

use shop_common::code::ShopCode;
use shop_proto::pay::v1::{ListRefundsRequest, RefundPaymentRequest, RetryRefundRequest};

use crate::{
    fakes::{PAYMENT, REFUND},
    world::{World, request},
};

#[tokio::test]
async fn a_payment_goes_back_in_part_or_whole() {
    let world = World::new();
    let path = format!("/api/v1/payments/{PAYMENT}/refunds");
    let body = r#"{"amount":"100.00","reason":"arrived broken","operator":"ann"}"#;
    let answer = world.post(&path, body).await;
    assert_eq!((answer.status.as_u16(), answer.json()["refundId"].as_str()), (201, Some("352542415984402433")));
    let mut expected = RefundPaymentRequest {
        pay_id: PAYMENT,
        request_id: "key-1".into(),
        amount_fen: Some(10_000),
        reason: "arrived broken".into(),
        operator: "ann".into(),
    };
    assert_eq!(world.fake.take::<RefundPaymentRequest>(), expected);
    world.post(&path, r#"{"reason":"arrived broken"}"#).await;
    (expected.amount_fen, expected.operator) = (None, String::new());
    assert_eq!(world.fake.take::<RefundPaymentRequest>(), expected);
}

#[tokio::test]
async fn a_refund_needs_a_key_and_a_strict_amount() {
    let world = World::new();
    let path = format!("/api/v1/payments/{PAYMENT}/refunds");
    let without_key = request("POST", &path).header("content-type", "application/json");
    let problem = world.send(without_key.body(r#"{"reason":"x"}"#.into()).unwrap()).await.problem();
    assert_eq!((problem.0, problem.2.as_deref()), (400, Some("Idempotency-Key")));
    for body in
        [r#"{"amount":100,"reason":"x"}"#, r#"{"amount":"1.5","reason":"x"}"#, "{}", r#"{"reason":"x","more":1}"#]
    {
        assert_eq!(world.post(&path, body).await.problem().0, 400, "{body}");
    }
    assert_eq!(world.fake.call_count(), 0);
    world.fake.refuse(ShopCode::RefundTooMuch.into());
    assert_eq!(world.post(&path, r#"{"reason":"x"}"#).await.problem().1, "SHOP_REFUND_TOO_MUCH");
}

#[tokio::test]
async fn refunds_are_listed_and_asked_for_again() {
    let world = World::new();
    let answer = world.get("/api/v1/refunds?status=REFUSED&pageSize=5&pageToken=9").await;
    assert_eq!((answer.status.as_u16(), answer.json()["nextPageToken"].as_str()), (200, Some("352542415984402433")));
    let expected = ListRefundsRequest { pay_id: 0, status: "REFUSED".into(), page_size: 5, page_token: "9".into() };
    assert_eq!(world.fake.take::<ListRefundsRequest>(), expected);
    world.get("/api/v1/refunds").await;
    assert_eq!(world.fake.take::<ListRefundsRequest>(), ListRefundsRequest::default());
    assert_eq!(world.get("/api/v1/refunds?state=REFUSED").await.problem().0, 400);

    let retried = world.post(&format!("/api/v1/refunds/{REFUND}/retry"), "").await;
    assert_eq!((retried.status.as_u16(), retried.json()["status"].as_str()), (200, Some("OPEN")));
    assert_eq!(world.fake.take::<RetryRefundRequest>(), RetryRefundRequest { refund_id: REFUND });
}

#[tokio::test]
async fn where_operators_are_not_served_there_is_nothing() {
    let world = World::without_operators();
    let pay = format!("/api/v1/payments/{PAYMENT}/refunds");
    for path in [&*pay, "/api/v1/refunds/7/retry"] {
        assert_eq!(world.post(path, r#"{"reason":"x"}"#).await.problem().0, 404, "{path}");
    }
    assert_eq!(world.get("/api/v1/refunds").await.problem().0, 404);
    assert_eq!(world.fake.call_count(), 0);
    let api = world.get("/openapi.json").await.text;
    assert!(!api.contains("/refunds\"") && api.contains("/api/v1/payments/{id}"));
}
