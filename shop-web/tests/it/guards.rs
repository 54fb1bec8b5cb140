//! What surrounds every handler.

use std::{convert::Infallible, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use shop_proto::{
    order::v1::{GetOrderRequest, GetStatesRequest},
    pay::v1::CreatePaymentRequest,
};
use shop_web::Config;

use crate::{
    fakes::{ORDER, USER},
    world::{World, request, send},
};

#[tokio::test]
async fn every_call_has_a_deadline() {
    let world = World::with(&Config { call_timeout_ms: 2_500, ..Config::default() });
    world.get("/api/v1/orders/1").await;
    assert_eq!(world.fake.take_call().timeout, "2500000u");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_answer_is_504() {
    let world = World::new();
    world.fake.close();
    assert_eq!(world.get("/api/v1/orders/1").await.problem(), (504, "SHOP_UNKNOWN".into(), None));
}

#[tokio::test]
async fn the_trace_goes_on_to_the_services() {
    let world = World::new();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let get = request("GET", "/api/v1/goods").header("traceparent", parent).body(Body::empty()).unwrap();
    world.send(get).await;
    assert!(world.fake.take_call().traceparent.contains(trace));
    let get = request("GET", "/api/v1/goods").header("traceparent", "garbage").body(Body::empty()).unwrap();
    world.send(get).await;
    let started = world.fake.take_call().traceparent;
    assert!(started.starts_with("00-") && !started.contains(trace), "{started}");
}

#[tokio::test]
async fn a_client_that_hangs_up_stops_nothing() {
    let world = World::new();
    world.fake.close();
    let router = world.router.clone();
    let client = tokio::spawn(async move {
        let post = request("POST", "/pay-web/pay/createPayment").header("content-type", "application/json");
        let body = format!(r#"{{"orderId":{ORDER},"payAmount":880}}"#);
        send(&router, post.body(body.into()).unwrap()).await
    });
    world.fake.wait_for_calls(1).await;
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    world.fake.open();
    world.fake.wait_for_calls(2).await;
    assert_eq!(world.fake.take::<GetStatesRequest>().order_ids, [ORDER]);
    assert_eq!(world.fake.take::<CreatePaymentRequest>().user_id, USER);
}

#[tokio::test]
async fn one_request_too_many_is_429_and_health_is_not_counted() {
    let world = World::with(&Config { max_in_flight: 1, ..Config::default() });
    world.fake.close();
    let router = world.router.clone();
    let get = || request("GET", "/api/v1/goods").body(Body::empty()).unwrap();
    let first = tokio::spawn(async move { send(&router, get()).await });
    world.fake.wait_for_calls(1).await;
    let busy = world.send(get()).await;
    assert_eq!((busy.problem(), busy.header("retry-after")), ((429, "SHOP_BUSY".into(), None), "1"));
    assert_eq!(world.get("/healthz").await.status, 200);
    world.fake.open();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(world.send(get()).await.status, 200);
}

#[tokio::test]
async fn a_handler_that_panics_is_500() {
    let world = World::new();
    assert_eq!(world.post("/sandbox/pay/13", "").await.problem(), (500, "SHOP_INTERNAL".into(), None));
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    let world = World::new();
    for path in ["/", "/nope", "/api/v1", "/api/v2/orders", "/order-web", "/api/v1/orders/1/nope", "/%00", "//"] {
        let answer = world.get(path).await;
        assert_eq!(answer.problem().0, 404, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    }
}

#[tokio::test]
async fn other_methods_and_trace_are_refused_everywhere() {
    let world = World::new();
    for (method, path) in [
        ("DELETE", "/api/v1/orders/1"),
        ("PUT", "/api/v1/orders"),
        ("OPTIONS", "/api/v1/orders"),
        ("GET", "/api/v1/orders/1/cancel"),
        ("POST", "/healthz"),
        ("PROPFIND", "/api/v1/goods"),
        ("TRACE", "/api/v1/goods"),
        ("TRACE", "/nope"),
        ("TRACE", "/docs/"),
    ] {
        let answer = world.send(request(method, path).header("x-user-id", 1).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.problem().0, 405, "{method} {path}");
    }
    assert_eq!(world.fake.call_count(), 0);
}

#[tokio::test]
async fn ids_in_the_path_are_numbers_above_zero() {
    let world = World::new();
    for id in [
        "0",
        "-1",
        "007",
        "+7",
        "1.0",
        "1e3",
        "x",
        "%00",
        "%ff",
        "9223372036854775808",
        "..%2f..%2fadmin",
        "%2e%2e",
        "%252e%252e",
        "1%00",
        "1%20",
        "%EF%BC%91",
        "'%20OR%201=1",
    ] {
        for path in [format!("/api/v1/orders/{id}"), format!("/api/v1/goods/{id}"), format!("/api/v1/payments/{id}")] {
            let answer = world.get(&path).await;
            assert_eq!(
                answer.problem(),
                (400, "SHOP_REQUEST_PARAMETER_VALID".to_owned(), Some("id".to_owned())),
                "{path}"
            );
        }
        assert_eq!(world.post(&format!("/api/v1/orders/{id}/cancel"), "").await.problem().0, 400, "{id}");
        assert_eq!(world.post(&format!("/sandbox/pay/{id}"), "").await.problem().0, 400, "{id}");
    }
    assert_eq!(world.fake.call_count(), 0);
    world.get(&format!("/api/v1/orders/{}", i64::MAX)).await;
    assert_eq!(world.fake.take::<GetOrderRequest>().order_id, i64::MAX);
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit() {
    let world = World::with(&Config { body_limit_bytes: 100, ..Config::default() });
    let padded = |size: usize| format!("{:size$}", r#"{"reason":""}"#);
    assert_eq!(world.post("/api/v1/orders/1/cancel", padded(100)).await.status, 200);
    assert_eq!(world.post("/api/v1/orders/1/cancel", padded(101)).await.problem().0, 413);
    let chunks = stream::iter((0..11).map(|_| Ok::<_, Infallible>(Bytes::from("          "))));
    assert_eq!(world.post("/api/v1/orders/1/cancel", Body::from_stream(chunks)).await.problem().0, 413);
}

#[tokio::test]
async fn too_large_is_413_on_the_course_s_routes_too() {
    let world = World::new();
    let answer = world.post("/order-web/order/confirm", format!("{{\"address\":\"{}\"}}", "x".repeat(1 << 20))).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["success"]), (413, &false.into()));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_comes_is_408() {
    let world = World::new();
    let started = tokio::time::Instant::now();
    let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    assert_eq!(world.post("/api/v1/orders/1/cancel", body).await.problem().0, 408);
    assert_eq!(started.elapsed(), Duration::from_secs(10));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_400() {
    let world = World::new();
    let body = Body::from_stream(stream::once(async { Err::<Bytes, _>(std::io::Error::other("gone")) }));
    assert_eq!(world.post("/api/v1/orders/1/cancel", body).await.problem().0, 400);
}

#[tokio::test]
async fn a_slow_service_takes_no_more_than_its_calls() {
    let world = World::with(&Config { max_calls: 1, ..Config::default() });
    world.fake.close();
    let router = world.router.clone();
    let get = || request("GET", "/api/v1/goods").body(Body::empty()).unwrap();
    let first = tokio::spawn(async move { send(&router, get()).await });
    world.fake.wait_for_calls(1).await;
    let busy = world.send(get()).await;
    assert_eq!((busy.problem(), busy.header("retry-after")), ((429, "SHOP_BUSY".into(), None), "1"));
    world.fake.open();
    assert_eq!(first.await.unwrap().status, 200);
    assert_eq!(world.send(get()).await.status, 200);
}
