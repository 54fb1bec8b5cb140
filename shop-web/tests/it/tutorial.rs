//! The course's clients, unchanged.

use shop_common::{code::ShopCode, error::ShopError};
use shop_proto::{
    order::v1::{ConfirmItem, ConfirmOrderRequest, GetStatesRequest},
    pay::v1::{CreatePaymentRequest, HintPaidRequest},
};
use shop_web::Config;
use tonic::{Code, Status};

use crate::{
    fakes::{COUPON, GOODS, ORDER, PAYMENT, USER},
    world::{World, request},
};

const CONFIRM: &str = "/order-web/order/confirm";
const CREATE: &str = "/pay-web/pay/createPayment";
const CALLBACK: &str = "/pay-web/pay/callbackPayment";

/// What the course's test class makes of a `TradeOrder`: the whole row, unset columns null.
const COURSE_ORDER: &str = r#"{"orderId":null,"userId":345963634385633280,"orderStatus":null,"payStatus":null,
    "shippingStatus":null,"address":"北京","consignee":null,"goodsId":345959443973935104,"goodsNumber":1,
    "goodsPrice":1000,"goodsAmount":null,"shippingFee":0,"orderAmount":1000,"couponId":345988230098857984,
    "couponPaid":null,"moneyPaid":100,"payAmount":null,"addTime":null,"confirmTime":null,"payTime":null}"#;

fn course_request(request_id: String) -> ConfirmOrderRequest {
    ConfirmOrderRequest {
        request_id,
        user_id: USER,
        items: vec![ConfirmItem { goods_id: GOODS, quantity: 1, expected_price_fen: Some(100_000) }],
        coupon_id: Some(COUPON),
        balance_used_fen: 10_000,
        expected_shipping_fen: Some(0),
        expected_total_fen: Some(100_000),
        address: "北京".into(),
        consignee: String::new(),
        phone: String::new(),
    }
}

#[tokio::test]
async fn the_course_confirms_its_order() {
    let world = World::new();
    let answer = world.post_as_nobody(CONFIRM, COURSE_ORDER).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.text, r#"{"success":true,"message":"正确","code":1,"orderId":"352537369385242624"}"#);
    let asked: ConfirmOrderRequest = world.fake.take();
    assert_eq!(asked.request_id.len(), 32);
    assert_eq!(asked, course_request(asked.request_id.clone()));
}

#[tokio::test]
async fn ids_and_money_may_be_strings_too() {
    let world = World::new();
    let body = r#"{"userId":"345963634385633280","goodsId":"345959443973935104","goodsNumber":"1","goodsPrice":"1000.00",
        "shippingFee":"0","orderAmount":"1000.0","moneyPaid":"100.00","couponId":"345988230098857984","address":"北京"}"#;
    assert_eq!(world.post_as_nobody(CONFIRM, body).await.status, 200);
    let asked: ConfirmOrderRequest = world.fake.take();
    assert_eq!(asked, course_request(asked.request_id.clone()));
}

#[tokio::test]
async fn every_spelling_of_the_routes_is_served() {
    let world = World::new();
    for path in [CONFIRM, "/order-web/order/confirmOrder", "/order/confirm", "/order/confirmOrder"] {
        assert_eq!(world.post_as_nobody(path, COURSE_ORDER).await.json()["success"], true, "{path}");
        assert_eq!(world.fake.take::<ConfirmOrderRequest>().user_id, USER);
    }
    for path in [CREATE, "/pay/createPayment"] {
        let body = format!(r#"{{"orderId":{ORDER},"payAmount":880}}"#);
        assert_eq!(world.post(path, body).await.json()["success"], true, "{path}");
        assert_eq!(world.fake.take::<CreatePaymentRequest>().order_id, ORDER);
    }
    world.fake.set_paid();
    for path in [CALLBACK, "/pay-web/pay/callBackPayment", "/pay/callbackPayment", "/pay/callBackPayment"] {
        let body = format!(r#"{{"payId":{PAYMENT},"isPaid":2}}"#);
        assert_eq!(world.post_as_nobody(path, body).await.json()["success"], true, "{path}");
        assert_eq!(world.fake.take::<HintPaidRequest>().pay_id, PAYMENT);
    }
}

#[tokio::test]
async fn every_confirm_without_a_key_gets_a_fresh_one() {
    let world = World::new();
    world.post_as_nobody(CONFIRM, COURSE_ORDER).await;
    world.post_as_nobody(CONFIRM, COURSE_ORDER).await;
    world.post(CONFIRM, COURSE_ORDER).await;
    let key = || world.fake.take::<ConfirmOrderRequest>().request_id;
    let (first, second, given) = (key(), key(), key());
    assert_ne!(first, second);
    assert_eq!(given, "key-1");
}

#[tokio::test]
async fn what_is_absent_is_not_expected() {
    let world = World::new();
    let body = format!(r#"{{"userId":{USER},"goodsId":{GOODS},"goodsNumber":3}}"#);
    world.post_as_nobody(CONFIRM, body).await;
    let asked: ConfirmOrderRequest = world.fake.take();
    assert_eq!((asked.items[0].quantity, asked.items[0].expected_price_fen), (3, None));
    assert_eq!((asked.expected_total_fen, asked.expected_shipping_fen, asked.coupon_id), (None, None, None));
    assert_eq!((asked.balance_used_fen, asked.address.as_str()), (0, ""));
}

#[tokio::test]
async fn the_acting_user_and_the_body_must_agree() {
    let world = World::new();
    let answer = world.post(CONFIRM, r#"{"userId":7,"goodsId":1,"goodsNumber":1}"#).await;
    let expected = r#"{"success":false,"message":"userId: not the acting user","code":10000}"#;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, expected));
    assert_eq!(world.fake.call_count(), 0);
    world.post(CONFIRM, r#"{"goodsId":1,"goodsNumber":1}"#).await;
    assert_eq!(world.fake.take::<ConfirmOrderRequest>().user_id, USER);
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let world = World::new();
    for (body, said) in [
        (r#"{"goodsId":1,"goodsNumber":1}"#.to_owned(), "userId: missing"),
        (format!(r#"{{"userId":{USER},"goodsNumber":1}}"#), "goodsId: missing"),
        (format!(r#"{{"userId":{USER},"goodsId":1,"goodsNumber":9223372036854775807}}"#), "goodsNumber: out of range"),
        (format!(r#"{{"userId":{USER},"goodsId":1,"goodsNumber":1,"address":7}}"#), "address: invalid type"),
    ] {
        let answer = world.post_as_nobody(CONFIRM, body.clone()).await;
        assert_eq!(answer.status.as_u16(), 400, "{body}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(said), "{body}: {message}");
    }
    assert_eq!(world.fake.call_count(), 0);
}

#[tokio::test]
async fn a_refusal_is_200_without_success() {
    let world = World::new();
    world.fake.refuse(ShopError::at(ShopCode::GoodsNotEnough, "items[0].quantity"));
    let answer = world.post_as_nobody(CONFIRM, COURSE_ORDER).await;
    let expected = r#"{"success":false,"message":"not enough stock","code":20003}"#;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, expected));
}

#[tokio::test]
async fn less_than_nothing_is_for_the_rules_to_refuse() {
    let world = World::new();
    let body = r#"{"userId":1,"goodsId":1,"goodsNumber":0,"moneyPaid":-1,"shippingFee":"-0.00"}"#;
    world.post_as_nobody(CONFIRM, body).await;
    let asked: ConfirmOrderRequest = world.fake.take();
    assert_eq!((asked.balance_used_fen, asked.expected_shipping_fen), (-100, Some(0)));
    assert_eq!(asked.items[0].quantity, 0);
}

#[tokio::test]
async fn what_the_system_cannot_do_is_no_200() {
    let world = World::new();
    for (code, status, retry_after) in [
        (ShopCode::Busy, 429, "1"),
        (ShopCode::Unavailable, 503, "1"),
        (ShopCode::Unknown, 504, ""),
        (ShopCode::Internal, 500, ""),
        (ShopCode::InProgress, 200, "1"),
    ] {
        world.fake.refuse(code.into());
        let answer = world.post_as_nobody(CONFIRM, COURSE_ORDER).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (status, retry_after), "{code:?}");
        assert_eq!((&answer.json()["success"], &answer.json()["code"]), (&false.into(), &code.row().number.into()));
    }
    world.fake.fail(Status::new(Code::Unavailable, "tcp connect error: 10.0.0.7:50061"));
    let answer = world.post_as_nobody(CONFIRM, COURSE_ORDER).await;
    assert_eq!(answer.status, 504);
    assert!(!answer.text.contains("10.0.0.7"), "{}", answer.text);
}

#[tokio::test]
async fn a_payment_is_made_for_the_owner_of_the_order() {
    let world = World::new();
    let body = format!(r#"{{"payId":null,"orderId":{ORDER},"payAmount":880,"isPaid":null}}"#);
    let answer = world.post_as_nobody(CREATE, body).await;
    let expected =
        r#"{"success":true,"message":"正确","code":1,"orderId":"352537369385242624","payId":"352542415984402432"}"#;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, expected));
    assert_eq!(world.fake.take::<GetStatesRequest>().order_ids, [ORDER]);
    let asked: CreatePaymentRequest = world.fake.take();
    let expected = CreatePaymentRequest { order_id: ORDER, user_id: USER, amount_fen: 88_000, channel: String::new() };
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_named_user_pays_himself() {
    let world = World::new();
    world.post(CREATE, format!(r#"{{"orderId":"{ORDER}","payAmount":"880.00"}}"#)).await;
    assert_eq!(world.fake.take::<CreatePaymentRequest>().user_id, USER);
}

#[tokio::test]
async fn a_payment_for_no_order_is_refused() {
    let world = World::new();
    let answer = world.post_as_nobody(CREATE, r#"{"orderId":7,"payAmount":880}"#).await;
    assert_eq!(answer.text, r#"{"success":false,"message":"no such order","code":10004}"#);
    assert_eq!(world.fake.take::<GetStatesRequest>().order_ids, [7]);
    assert_eq!(world.fake.call_count(), 0);
}

#[tokio::test]
async fn a_callback_is_only_a_hint() {
    let world = World::new();
    let body = format!(r#"{{"payId":{PAYMENT},"isPaid":2}}"#);
    let answer = world.post_as_nobody(CALLBACK, body.clone()).await;
    let expected = r#"{"success":false,"message":"the channel does not say that it is paid","code":70010,"orderId":"352537369385242624","payId":"352542415984402432"}"#;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, expected));
    world.fake.set_paid();
    let answer = world.post_as_nobody(CALLBACK, body).await;
    let expected =
        r#"{"success":true,"message":"正确","code":1,"orderId":"352537369385242624","payId":"352542415984402432"}"#;
    assert_eq!(answer.text, expected);
    let body = format!(r#"{{"payId":"{PAYMENT}","orderId":1,"isPaid":70002}}"#);
    assert_eq!(world.post_as_nobody(CALLBACK, body).await.json()["success"], true);
    for _ in 0..3 {
        assert_eq!(world.fake.take::<HintPaidRequest>().pay_id, PAYMENT);
    }
}

#[tokio::test]
async fn another_word_than_paid_asks_nobody() {
    let world = World::new();
    for is_paid in ["0", "1", "3", "-2", "\"7\""] {
        let answer = world.post_as_nobody(CALLBACK, format!(r#"{{"payId":{PAYMENT},"isPaid":{is_paid}}}"#)).await;
        let (status, body) = (answer.status.as_u16(), answer.json());
        assert_eq!((status, &body["success"], &body["code"]), (200, &false.into(), &10000.into()), "{is_paid}");
    }
    assert_eq!(world.fake.call_count(), 0);
}

#[tokio::test]
async fn where_nobody_is_believed_nobody_orders_or_pays() {
    let world = World::with(&Config { allow_unauthenticated_user_header: Some(false), ..Config::default() });
    for (path, body) in [(CONFIRM, COURSE_ORDER), (CREATE, r#"{"orderId":7,"payAmount":880}"#)] {
        let answer = world.post_as_nobody(path, body).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["success"]), (401, &false.into()), "{path}");
        assert_eq!(world.post(path, body).await.status, 401, "{path}");
    }
    assert_eq!(world.fake.call_count(), 0);
    world.fake.set_paid();
    let answer = world.post_as_nobody(CALLBACK, r#"{"payId":1,"isPaid":2}"#).await;
    assert_eq!(answer.json()["success"], true);
}

#[tokio::test]
async fn the_course_s_routes_take_post_only() {
    let world = World::new();
    for path in [CONFIRM, CREATE, CALLBACK, "/order/confirm"] {
        let get = request("GET", path).body(axum::body::Body::empty()).unwrap();
        let answer = world.send(get).await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "POST"), "{path}");
    }
}
