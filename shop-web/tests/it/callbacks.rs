//! Notifications of channels: handed on byte for byte.

use axum::body::Body;
use http::Request;
use shop_common::code::ShopCode;
use shop_proto::pay::v1::CallbackPaymentRequest;

use crate::world::{World, request};

const PATH: &str = "/api/v1/callbacks/sandbox";

fn notification(body: impl Into<Body>) -> Request<Body> {
    let post = request("POST", PATH).header("X-Shop-Signature", "t=1,kid=a,v1=00").header("content-type", "text/plain");
    post.body(body.into()).unwrap()
}

#[tokio::test]
async fn a_notification_is_handed_on_as_it_came() {
    let world = World::new();
    let body: &[u8] = b"{ \"amount_fen\" : 88000 }\r\n\xff\0";
    let answer = world.send(notification(body)).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "success"));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let asked: CallbackPaymentRequest = world.fake.take();
    assert_eq!((asked.channel.as_str(), asked.body.as_slice()), ("sandbox", body));
    assert_eq!(asked.headers["x-shop-signature"], "t=1,kid=a,v1=00");
    assert_eq!(asked.headers["content-type"], "text/plain");
}

#[tokio::test]
async fn a_header_sent_twice_is_one_that_no_signature_fits() {
    let world = World::new();
    let twice = request("POST", PATH).header("x-shop-signature", "a").header("x-shop-signature", "b");
    world.send(twice.header("x-other", "ü".as_bytes()).body(Body::empty()).unwrap()).await;
    let asked: CallbackPaymentRequest = world.fake.take();
    assert_eq!(asked.headers["x-shop-signature"], "a, b");
    assert!(!asked.headers.contains_key("x-other"));
}

#[tokio::test]
async fn a_refused_notification_reads_fail() {
    let world = World::new();
    for code in [
        ShopCode::SignatureInvalid,
        ShopCode::NotifyReplay,
        ShopCode::NotifyInvalid,
        ShopCode::AmountMismatch,
        ShopCode::PaymentNotFound,
        ShopCode::ChannelUnknown,
        ShopCode::Busy,
        ShopCode::Unavailable,
        ShopCode::Unknown,
        ShopCode::Internal,
    ] {
        world.fake.refuse(code.into());
        let answer = world.send(notification("{}")).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (code.row().http, "fail"), "{code:?}");
    }
}

#[tokio::test]
async fn a_notification_that_cannot_be_read_reads_fail() {
    let world = World::new();
    let zipped = request("POST", PATH).header("content-encoding", "gzip").body("x".into()).unwrap();
    let many_headers = (0..40).fold(request("POST", PATH), |post, n| post.header(format!("x-{n}"), "y".repeat(1600)));
    for (request, status) in [
        (zipped, 415),
        (notification("x".repeat(65_537)), 413),
        (notification("x".repeat(63 << 10)), 413),
        (many_headers.body(Body::empty()).unwrap(), 413),
        (request("POST", "/api/v1/callbacks/%ff").body(Body::empty()).unwrap(), 400),
    ] {
        let answer = world.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (status, "fail"));
    }
    assert_eq!(world.fake.call_count(), 0);
}

#[tokio::test]
async fn a_notification_is_a_post() {
    let world = World::new();
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"] {
        let answer = world.send(request(method, PATH).body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"), "{method}");
    }
    assert_eq!(world.fake.call_count(), 0);
}
