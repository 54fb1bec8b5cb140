//! Inputs that are refused before any service is asked.

use axum::body::Body;
use shop_proto::order::v1::ConfirmOrderRequest;

use crate::{
    fakes::USER,
    world::{Answer, World, request},
};

const CONFIRM: &str = "/order-web/order/confirm";
const ORDERS: &str = "/api/v1/orders";

/// Amounts that are none, as JSON literals.
const NO_MONEY: [&str; 20] = [
    "1.005",
    "0.001",
    "1e3",
    "1E+2",
    "1.0e-2",
    "\"NaN\"",
    "\"Infinity\"",
    "\"-inf\"",
    "\"nan\"",
    "\"1,000.00\"",
    "\"1 000\"",
    "\"１２\"",
    "\"٣\"",
    "\"0x10\"",
    "\"+5\"",
    "\".5\"",
    "\"5.\"",
    "\"00.10\"",
    "1e400",
    "true",
];

/// Ids that are none, as JSON literals.
const NO_ID: [&str; 12] = [
    "1.0",
    "1e3",
    "\"007\"",
    "\"+7\"",
    "\" 7\"",
    "\"\"",
    "9223372036854775808",
    "\"9223372036854775808\"",
    "true",
    "[7]",
    "{}",
    "\"x\"",
];

fn form(changes: &[(&str, &str)]) -> String {
    let mut fields = vec![("userId", "7"), ("goodsId", "7"), ("goodsNumber", "1")];
    for (name, literal) in changes {
        fields.retain(|(field, _)| field != name);
        fields.push((name, literal));
    }
    let fields: Vec<String> = fields.iter().map(|(name, literal)| format!("\"{name}\":{literal}")).collect();
    format!("{{{}}}", fields.join(","))
}

fn assert_unreadable(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 400, "{what}");
    let body = answer.json();
    assert_eq!((&body["success"], &body["code"]), (&false.into(), &10000.into()), "{what}");
}

#[tokio::test]
async fn the_course_s_amounts_are_plain_decimals() {
    let world = World::new();
    for literal in NO_MONEY {
        for field in ["goodsPrice", "shippingFee", "orderAmount", "moneyPaid"] {
            let body = form(&[(field, literal)]);
            assert_unreadable(&world.post_as_nobody(CONFIRM, body.clone()).await, &body);
        }
        let body = format!(r#"{{"orderId":7,"payAmount":{literal}}}"#);
        assert_unreadable(&world.post_as_nobody("/pay-web/pay/createPayment", body.clone()).await, &body);
    }
    let digits = "9".repeat(400);
    assert_unreadable(&world.post_as_nobody(CONFIRM, form(&[("moneyPaid", &digits)])).await, "400 digits");
    assert_unreadable(&world.post_as_nobody(CONFIRM, form(&[("moneyPaid", "99999999999.00")])).await, "decimal(12,2)");
    assert_eq!(world.fake.call_count(), 0);
}

#[tokio::test]
async fn the_course_s_ids_are_integers() {
    let world = World::new();
    for literal in NO_ID {
        for field in ["userId", "goodsId", "couponId", "goodsNumber"] {
            let body = form(&[(field, literal)]);
            assert_unreadable(&world.post_as_nobody(CONFIRM, body.clone()).await, &body);
        }
        let body = format!(r#"{{"payId":{literal},"isPaid":2}}"#);
        assert_unreadable(&world.post_as_nobody("/pay-web/pay/callbackPayment", body.clone()).await, &body);
    }
    assert_unreadable(&world.post_as_nobody(CONFIRM, form(&[("goodsNumber", "2147483648")])).await, "beyond i32");
    assert_eq!(world.fake.call_count(), 0);
}

#[tokio::test]
async fn what_the_course_s_routes_need_is_named() {
    let world = World::new();
    for field in ["userId", "goodsId", "goodsNumber"] {
        let answer = world.post_as_nobody(CONFIRM, form(&[(field, "null")])).await;
        assert_unreadable(&answer, field);
    }
    for (path, body, field) in [
        (CONFIRM, r#"{"userId":1,"goodsNumber":1}"#, "goodsId"),
        ("/pay-web/pay/createPayment", r#"{"payAmount":1}"#, "orderId"),
        ("/pay-web/pay/createPayment", r#"{"orderId":1}"#, "payAmount"),
        ("/pay-web/pay/callbackPayment", r#"{"isPaid":2}"#, "payId"),
        ("/pay-web/pay/callbackPayment", r#"{"payId":1}"#, "isPaid"),
    ] {
        let answer = world.post_as_nobody(path, body).await;
        assert_unreadable(&answer, field);
        assert!(answer.text.contains(&format!("\"message\":\"{field}: missing\"")), "{}", answer.text);
    }
    assert_eq!(world.fake.call_count(), 0);
}

/// Bodies that are no JSON object of anything, some of them by one byte.
fn no_objects() -> Vec<Vec<u8>> {
    let texts = [
        "",
        " ",
        "{",
        "}",
        "[]",
        "null",
        "1",
        "\"{}\"",
        "{'a':1}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{a:1}",
        "/* */{}",
        "\u{feff}{}",
        "NaN",
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let good = form(&[]);
    all.extend([format!("{good} x"), format!("{good}{good}"), format!("[{good}]")].map(String::into_bytes));
    all.push(br#"["7","7","1",null,null,null,null,null,null,null]"#.to_vec());
    for bad in [&b"\"\xff\""[..], b"\"\xc0\x80\"", br#""\ud800""#] {
        all.push([good.trim_end_matches('}').as_bytes(), b",\"address\":", bad, b"}"].concat());
    }
    all.push([good.trim_end_matches('}').as_bytes(), b",\"ignored\":\"\xff\"}"].concat());
    all.push("[".repeat(60_000).into_bytes());
    all.push(form(&[("address", &"[".repeat(60_000))]).into_bytes());
    all.push(form(&[("ignored", &"{\"a\":".repeat(10_000))]).into_bytes());
    all
}

#[tokio::test]
async fn what_is_no_object_is_400_everywhere() {
    let world = World::new();
    for body in no_objects() {
        let shown = String::from_utf8_lossy(&body).chars().take(40).collect::<String>();
        assert_unreadable(&world.post_as_nobody(CONFIRM, body.clone()).await, &shown);
        assert_eq!(world.post(ORDERS, body).await.problem().0, 400, "{shown}");
    }
    assert_eq!(world.fake.call_count(), 0);
}

#[tokio::test]
async fn nothing_but_space_follows_the_object() {
    let world = World::new();
    let order = r#"{"items":[{"goodsId":"7","quantity":1}]}"#;
    assert_eq!(world.post(ORDERS, format!("{order} x")).await.problem().0, 400);
    assert_eq!(
        world.post(ORDERS, r#"[[{"goodsId":"7","quantity":1}],null,null,null,null,"","",""]"#).await.problem().0,
        400
    );
    assert_eq!(world.fake.call_count(), 0);
    assert_eq!(world.post(ORDERS, format!("{order}\r\n")).await.status, 201);
}

#[tokio::test]
async fn a_key_that_stands_there_twice_is_refused() {
    let world = World::new();
    let twice = r#"{"userId":7,"goodsId":7,"goodsNumber":1,"goodsNumber":2}"#;
    assert_unreadable(&world.post_as_nobody(CONFIRM, twice).await, twice);
    let escaped = r#"{"userId":7,"goodsId":7,"goodsNumber":1,"goods\u004eumber":2}"#;
    assert_unreadable(&world.post_as_nobody(CONFIRM, escaped).await, escaped);
    let twice = r#"{"items":[],"items":[{"goodsId":7,"quantity":1}]}"#;
    assert_eq!(world.post(ORDERS, twice).await.problem().0, 400);
    assert_eq!(world.fake.call_count(), 0);
}

#[tokio::test]
async fn the_course_may_send_more_than_is_read() {
    let world = World::new();
    let body =
        r#"{"userId":7,"goodsId":7,"goodsNumber":1,"orderStatus":1,"payStatus":2,"isPaid":2,"x":[{"y":[null]}],"x":1}"#;
    assert_eq!(world.post_as_nobody(CONFIRM, body).await.status, 200);
    let asked: ConfirmOrderRequest = world.fake.take();
    assert_eq!((asked.items.len(), asked.balance_used_fen), (1, 0));
}

#[tokio::test]
async fn api_v1_reads_exactly_what_it_knows() {
    let world = World::new();
    let item = r#"{"goodsId":"7","quantity":1}"#;
    let order = |extra: &str| format!(r#"{{"items":[{item}]{extra}}}"#);
    for (body, field) in [
        ("{}".to_owned(), Some("items")),
        (r#"{"items":null}"#.into(), Some("items")),
        (r#"{"items":{}}"#.into(), Some("items")),
        (r#"{"items":[["7",1]]}"#.into(), Some("items[0]")),
        (r#"{"items":[{"quantity":1}]}"#.into(), Some("items[0].goodsId")),
        (r#"{"items":[{"goodsId":"7"}]}"#.into(), Some("items[0].quantity")),
        (r#"{"items":[{"goodsId":"7","quantity":1.0}]}"#.into(), Some("items[0].quantity")),
        (r#"{"items":[{"goodsId":"7","quantity":"1"}]}"#.into(), Some("items[0].quantity")),
        (r#"{"items":[{"goodsId":"7","quantity":2147483648}]}"#.into(), Some("items[0].quantity")),
        (r#"{"items":[{"goodsId":"7","quantity":1,"expectedPrice":1}]}"#.into(), Some("items[0].expectedPrice")),
        (r#"{"items":[{"goodsId":null,"quantity":1}]}"#.into(), Some("items[0].goodsId")),
        (r#"{"items":[{"goodsId":"7","quantity":1,"price":"1.00"}]}"#.into(), Some("items[0].price")),
        (order(r#","userId":"7""#), Some("userId")),
        (order(r#","orderStatus":1"#), Some("orderStatus")),
        (order(r#","balance_used_fen":1"#), Some("balance_used_fen")),
        (order(r#","address":null"#), Some("address")),
        (order(r#","address":7"#), Some("address")),
    ] {
        let (status, code, named) = world.post(ORDERS, body.clone()).await.problem();
        assert_eq!((status, code.as_str()), (400, "SHOP_REQUEST_PARAMETER_VALID"), "{body}");
        assert_eq!(named.as_deref(), field, "{body}");
    }
    assert_eq!(world.fake.call_count(), 0);
}

#[tokio::test]
async fn api_v1_takes_money_as_a_strict_string_and_ids_exactly() {
    let world = World::new();
    let strict = ["1", "\"1\"", "\"1.0\"", "\"-1.00\"", "\"-0.00\"", "\"01.00\"", "\"10000000000.00\"", "0.1", "100"];
    for literal in NO_MONEY.iter().chain(&strict) {
        for field in ["balanceUsed", "expectedShipping", "expectedTotal"] {
            let body = format!(r#"{{"items":[],"{field}":{literal}}}"#);
            assert_eq!(world.post(ORDERS, body.clone()).await.problem().0, 400, "{body}");
        }
    }
    for literal in NO_ID {
        let body = format!(r#"{{"items":[{{"goodsId":{literal},"quantity":1}}]}}"#);
        assert_eq!(world.post(ORDERS, body.clone()).await.problem().0, 400, "{body}");
    }
    assert_eq!(world.fake.call_count(), 0);
    world.post(ORDERS, r#"{"items":[{"goodsId":9007199254740993,"quantity":1}]}"#).await;
    assert_eq!(world.fake.take::<ConfirmOrderRequest>().items[0].goods_id, 9_007_199_254_740_993);
}

#[tokio::test]
async fn text_arrives_as_it_was_sent() {
    let world = World::new();
    let texts = [
        "' OR 1=1 --",
        "\"; DROP TABLE",
        "%_\\",
        "\r\nSet-Cookie: a=b",
        "\u{202e}evil",
        "👨‍👩‍👧‍👦",
        "a\u{301}",
        "a\0b",
        "<script>",
    ];
    for text in texts {
        let body = serde_json::json!({"items": [], "address": text}).to_string();
        world.post(ORDERS, body).await;
        assert_eq!(world.fake.take::<ConfirmOrderRequest>().address, text);
    }
}

#[tokio::test]
async fn json_is_said_to_be_json_and_is_not_compressed() {
    let world = World::new();
    let body = r#"{"userId":7,"goodsId":7,"goodsNumber":1}"#;
    for content_type in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/grpc+proto",
        "application/jsonp",
        "multipart/form-data; boundary=x",
        "application/json; charset=gbk",
        "text/json+json",
    ] {
        for path in [CONFIRM, ORDERS] {
            let post = request("POST", path).header("content-type", content_type).header("x-user-id", USER);
            let answer = world.send(post.header("idempotency-key", "k").body(body.into()).unwrap()).await;
            assert_eq!(answer.status, 415, "{path} {content_type}");
        }
    }
    for encoding in ["gzip", "br", "deflate", "identity, gzip", "x"] {
        let post = request("POST", CONFIRM).header("content-type", "application/json");
        let answer = world.send(post.header("content-encoding", encoding).body(body.into()).unwrap()).await;
        assert_eq!(answer.status, 415, "{encoding}");
    }
    assert_eq!(world.fake.call_count(), 0);
    for content_type in ["application/json", "Application/JSON;charset=\"UTF-8\"", "application/problem+json"] {
        let post = request("POST", CONFIRM).header("content-type", content_type).header("content-encoding", "identity");
        assert_eq!(world.send(post.body(Body::from(body)).unwrap()).await.status, 200, "{content_type}");
    }
}
