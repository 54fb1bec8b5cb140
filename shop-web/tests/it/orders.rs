//! Orders of `/api/v1`.

use axum::body::Body;
use shop_common::{code::ShopCode, error::ShopError};
use shop_proto::order::v1::{CancelOrderRequest, ConfirmItem, ConfirmOrderRequest, GetOrderRequest, ListOrdersRequest};
use shop_web::Config;

use crate::{
    fakes::{COUPON, GOODS, ORDER, USER},
    world::{World, request},
};

const NEW_ORDER: &str = r#"{"items":[{"goodsId":"345959443973935104","quantity":1,"expectedPrice":"1000.00"}],
    "couponId":345988230098857984,"balanceUsed":"100.00","expectedShipping":"0.00","expectedTotal":"1000.00",
    "address":"北京","consignee":"zs","phone":"18888888888"}"#;

const ORDER_JSON: &str = concat!(
    r#"{"orderId":"352537369385242624","userId":"345963634385633280","requestId":"key-1","status":"CONFIRMED","#,
    r#""payStatus":"UNPAID","items":[{"goodsId":"345959443973935104","quantity":1,"price":"1000.00"}],"#,
    r#""itemsTotal":"1000.00","shipping":"0.00","orderTotal":"1000.00","couponId":"345988230098857984","#,
    r#""couponDiscount":"20.00","balanceUsed":"100.00","amountDue":"880.00","cancelReason":"","#,
    r#""createdMs":"2026-11-21T07:00:00.000Z","confirmedMs":"2026-11-21T07:00:00.007Z","#,
    r#""payDeadlineMs":"2026-11-21T07:30:00.000Z"}"#,
);

#[tokio::test]
async fn an_order_is_placed() {
    let world = World::new();
    let answer = world.post("/api/v1/orders", NEW_ORDER).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (201, ORDER_JSON));
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("location"), format!("/api/v1/orders/{ORDER}"));
    let expected = ConfirmOrderRequest {
        request_id: "key-1".into(),
        user_id: USER,
        items: vec![ConfirmItem { goods_id: GOODS, quantity: 1, expected_price_fen: Some(100_000) }],
        coupon_id: Some(COUPON),
        balance_used_fen: 10_000,
        expected_shipping_fen: Some(0),
        expected_total_fen: Some(100_000),
        address: "北京".into(),
        consignee: "zs".into(),
        phone: "18888888888".into(),
    };
    assert_eq!(world.fake.take::<ConfirmOrderRequest>(), expected);
}

#[tokio::test]
async fn only_the_items_are_required() {
    let world = World::new();
    let answer = world.post("/api/v1/orders", r#"{"items":[{"goodsId":7,"quantity":2}],"couponId":null}"#).await;
    assert_eq!(answer.status, 201);
    let asked: ConfirmOrderRequest = world.fake.take();
    assert_eq!(asked.items, [ConfirmItem { goods_id: 7, quantity: 2, expected_price_fen: None }]);
    assert_eq!((asked.coupon_id, asked.balance_used_fen, asked.expected_total_fen), (None, 0, None));
}

#[tokio::test]
async fn an_order_is_read() {
    let world = World::new();
    let answer = world.get(&format!("/api/v1/orders/{ORDER}")).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ORDER_JSON));
    assert_eq!(world.fake.take::<GetOrderRequest>(), GetOrderRequest { order_id: ORDER, user_id: USER });
}

#[tokio::test]
async fn orders_are_listed_by_page() {
    let world = World::new();
    let answer = world.get("/api/v1/orders?pageSize=1&pageToken=9").await;
    let expected = format!(r#"{{"orders":[{ORDER_JSON}],"nextPageToken":"{ORDER}"}}"#);
    assert_eq!((answer.status.as_u16(), answer.text), (200, expected));
    let asked: ListOrdersRequest = world.fake.take();
    assert_eq!(asked, ListOrdersRequest { user_id: USER, page_size: 1, page_token: "9".into() });
    world.get("/api/v1/orders").await;
    let asked: ListOrdersRequest = world.fake.take();
    assert_eq!(asked, ListOrdersRequest { user_id: USER, page_size: 0, page_token: String::new() });
    for query in ["pageSize=x", "pageSize=1&pageSize=2", "page_size=1", "pageSize=99999999999", "sort=price"] {
        let answer = world.get(&format!("/api/v1/orders?{query}")).await;
        assert_eq!(answer.problem().0, 400, "{query}");
    }
    assert_eq!(world.fake.call_count(), 0);
}

#[tokio::test]
async fn an_order_is_cancelled_with_or_without_a_reason() {
    let world = World::new();
    let path = format!("/api/v1/orders/{ORDER}/cancel");
    let answer = world.post(&path, r#"{"reason":"too dear"}"#).await;
    let body = answer.json();
    assert_eq!(
        (answer.status.as_u16(), &body["status"], &body["cancelReason"]),
        (200, &"CANCELLED".into(), &"too dear".into())
    );
    assert_eq!(body["cancelledMs"], "2026-11-21T07:00:00.000Z");
    let empty = request("POST", &path).header("x-user-id", USER).body(Body::empty()).unwrap();
    assert_eq!(world.send(empty).await.status, 200);
    let reasons = || world.fake.take::<CancelOrderRequest>();
    assert_eq!(reasons(), CancelOrderRequest { order_id: ORDER, user_id: USER, reason: "too dear".into() });
    assert_eq!(reasons(), CancelOrderRequest { order_id: ORDER, user_id: USER, reason: String::new() });
}

#[tokio::test]
async fn a_refusal_is_a_problem() {
    let world = World::new();
    world.fake.refuse(ShopError::at(ShopCode::GoodsPriceInvalid, "items[0].expected_price_fen"));
    let answer = world.post("/api/v1/orders", NEW_ORDER).await;
    assert_eq!(answer.status, 409);
    assert_eq!(
        answer.text,
        concat!(
            r#"{"type":"urn:shop:problem:SHOP_GOODS_PRICE_INVALID","title":"the price is not the one the shop charges","#,
            r#""status":409,"detail":"the price is not the one the shop charges","code":"SHOP_GOODS_PRICE_INVALID","#,
            r#""number":20002,"field":"items[0].expectedPrice"}"#
        )
    );
    assert_eq!(answer.problem().0, 409);
}

#[tokio::test]
async fn every_code_has_its_http_status() {
    let world = World::new();
    for row in shop_common::code::TABLE {
        world.fake.refuse(row.code.into());
        let answer = world.get("/api/v1/orders/1").await;
        assert_eq!(answer.problem(), (row.http, row.name.to_owned(), None));
    }
}

#[tokio::test]
async fn who_acts_must_be_said_once_and_be_an_id() {
    let world = World::new();
    let refused = ["", "0", "-1", "007", "+7", "1.0", "x", "9223372036854775808", "7, 8", "ü"];
    for text in refused {
        let get = request("GET", "/api/v1/orders").header("x-user-id", text.as_bytes()).body(Body::empty()).unwrap();
        let problem = world.send(get).await.problem();
        assert_eq!((problem.0, problem.2.as_deref()), (400, Some("x-user-id")), "{text}");
    }
    for headers in [vec![], vec!["7", "7"]] {
        let get = headers.iter().fold(request("GET", "/api/v1/orders"), |get, id| get.header("x-user-id", *id));
        assert_eq!(world.send(get.body(Body::empty()).unwrap()).await.problem().0, 400, "{headers:?}");
    }
    assert_eq!(world.fake.call_count(), 0);
}

#[tokio::test]
async fn where_nobody_is_believed_it_is_401() {
    let world = World::with(&Config { allow_unauthenticated_user_header: Some(false), ..Config::default() });
    for path in ["/api/v1/orders", "/api/v1/coupons", "/api/v1/users/me", "/api/v1/payments/1", "/api/v1/orders/1"] {
        assert_eq!(world.get(path).await.problem().0, 401, "{path}");
    }
    assert_eq!(world.post("/api/v1/orders", NEW_ORDER).await.problem().0, 401);
    assert_eq!(world.fake.call_count(), 0);
    assert_eq!(world.get("/api/v1/goods").await.status, 200);
}

#[tokio::test]
async fn a_key_is_required_once() {
    let world = World::new();
    let field = Some("Idempotency-Key");
    let post =
        || request("POST", "/api/v1/orders").header("x-user-id", USER).header("content-type", "application/json");
    let none = world.send(post().body(NEW_ORDER.into()).unwrap()).await.problem();
    assert_eq!((none.0, none.2.as_deref()), (400, field));
    let twice = post().header("idempotency-key", "a").header("idempotency-key", "b").body(NEW_ORDER.into()).unwrap();
    assert_eq!(world.send(twice).await.problem().0, 400);
    let foreign = post().header("idempotency-key", "ключ".as_bytes()).body(NEW_ORDER.into()).unwrap();
    assert_eq!(world.send(foreign).await.problem().0, 400);
    assert_eq!(world.fake.call_count(), 0);
    world.fake.refuse(ShopError::invalid("request_id", "1 to 64 visible ASCII characters"));
    let long = post().header("idempotency-key", "x".repeat(256)).body(NEW_ORDER.into()).unwrap();
    let refused = world.send(long).await.problem();
    assert_eq!((refused.0, refused.2.as_deref()), (400, field));
}
