//! Server-Sent Events of an order.

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use shop_common::code::ShopCode;
use shop_proto::order::v1::{Order, OrderStatus, PayStatus, WatchOrderRequest};
use shop_web::Config;
use tonic::Status;
use tower::ServiceExt;

use crate::{
    fakes::{ORDER, USER, order},
    world::{World, request},
};

fn watch() -> Request<Body> {
    request("GET", &format!("/api/v1/orders/{ORDER}/events")).header("x-user-id", USER).body(Body::empty()).unwrap()
}

fn watch_as(query: &str) -> Request<Body> {
    request("GET", &format!("/api/v1/orders/{ORDER}/events{query}")).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_browser_which_sends_no_header_says_in_the_query_who_watches() {
    let world = World::new();
    drop(world.fake.watched());
    assert_eq!(world.send(watch_as(&format!("?userId={USER}"))).await.status, 200);
    assert_eq!(world.fake.take::<WatchOrderRequest>(), WatchOrderRequest { order_id: ORDER, user_id: USER });
    for (query, field) in [("", "x-user-id"), ("?userId=x", "userId"), ("?userId=0", "userId")] {
        assert_eq!(world.send(watch_as(query)).await.problem().2.as_deref(), Some(field), "{query}");
    }
    let mut two = watch_as("?userId=1");
    two.headers_mut().insert("x-user-id", USER.into());
    assert_eq!(world.send(two).await.problem().0, 400, "whom should it believe?");
    assert_eq!(world.fake.call_count(), 0);
}

#[tokio::test]
async fn the_query_is_believed_no_more_than_the_header() {
    let world = World::with(&Config { allow_unauthenticated_user_header: Some(false), ..Config::default() });
    assert_eq!(world.send(watch_as(&format!("?userId={USER}"))).await.status, 401);
}

fn paid() -> Order {
    Order { pay_status: PayStatus::Paid.into(), ..order() }
}

async fn open(world: &World) -> Body {
    let response: Response<Body> = world.router.clone().oneshot(watch()).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body()
}

async fn next(body: &mut Body) -> String {
    let frame = body.frame().await.expect("the stream ended").unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn a_watcher_sees_every_state_and_the_end() {
    let world = World::new();
    let states = world.fake.watched();
    states.send(Ok(order())).await.unwrap();
    let mut body = open(&world).await;
    assert_eq!(world.fake.take::<WatchOrderRequest>(), WatchOrderRequest { order_id: ORDER, user_id: USER });
    let first = next(&mut body).await;
    let data = first.strip_prefix("event: order\ndata: ").and_then(|rest| rest.strip_suffix("\n\n")).unwrap();
    let event: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!((&event["orderId"], &event["payStatus"]), (&ORDER.to_string().into(), &"UNPAID".into()));
    states.send(Ok(paid())).await.unwrap();
    assert!(next(&mut body).await.contains("\"payStatus\":\"PAID\""));
    drop(states);
    let end = next(&mut body).await;
    assert_eq!(end.lines().collect::<Vec<_>>(), ["event: end", "id: end", "data: {}", ""]);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn the_answer_is_an_event_stream() {
    let world = World::new();
    drop(world.fake.watched());
    let answer = world.send(watch()).await;
    assert_eq!(answer.header("content-type"), "text/event-stream");
}

#[tokio::test]
async fn who_comes_again_sees_the_present_state() {
    let world = World::new();
    let states = world.fake.watched();
    states.send(Ok(Order { status: OrderStatus::Cancelled.into(), ..order() })).await.unwrap();
    drop(states);
    let mut again = watch();
    again.headers_mut().insert("last-event-id", "whatever".parse().unwrap());
    assert!(world.send(again).await.text.contains("\"status\":\"CANCELLED\""));
}

#[tokio::test]
async fn who_has_read_the_end_is_told_to_stop() {
    let world = World::new();
    let mut again = watch();
    again.headers_mut().insert("last-event-id", "end".parse().unwrap());
    assert_eq!(world.send(again).await.status, 204);
    assert_eq!(world.fake.call_count(), 0);
}

#[tokio::test]
async fn somebody_else_s_order_is_a_problem_and_no_stream() {
    let world = World::new();
    world.fake.refuse(ShopCode::OrderNotFound.into());
    assert_eq!(world.send(watch()).await.problem(), (404, "SHOP_ORDER_NO_EXIST".into(), None));
}

#[tokio::test]
async fn a_stream_that_breaks_says_so_and_does_not_end() {
    let world = World::new();
    let states = world.fake.watched();
    states.send(Err(Status::from(shop_common::error::ShopError::from(ShopCode::Unavailable)))).await.unwrap();
    let text = world.send(watch()).await.text;
    assert!(text.starts_with("event: error\ndata: {\"type\":\"urn:shop:problem:SHOP_UNAVAILABLE\""), "{text}");
    assert!(!text.contains("event: end"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled_every_fifteen_seconds() {
    let world = World::new();
    let states = world.fake.watched();
    states.send(Ok(order())).await.unwrap();
    let mut body = open(&world).await;
    next(&mut body).await;
    let silent_since = tokio::time::Instant::now();
    assert_eq!(next(&mut body).await, ":\n\n");
    assert_eq!(silent_since.elapsed().as_secs(), 15);
}

#[tokio::test]
async fn streams_are_bounded_and_give_their_place_back() {
    let world = World::with(&Config { max_event_streams: 1, ..Config::default() });
    let first = world.fake.watched();
    let body = open(&world).await;
    let busy = world.send(watch()).await;
    assert_eq!((busy.problem().1.as_str(), busy.header("retry-after")), ("SHOP_BUSY", "1"));
    drop((body, first));
    drop(world.fake.watched());
    assert_eq!(world.send(watch()).await.status, 200);
}
