//! The sandbox as its buyers and its merchant see it.

use axum::body::Body;
use shop_proto::pay::v1::GetStatesRequest;

use crate::{
    fakes::{ORDER, PAYMENT},
    world::{Answer, CLOSED, World, request},
};

/// As a browser asks.
async fn browse(world: &World, method: &str, path: &str) -> Answer {
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    world.send(request(method, path).header("accept", accept).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn the_buyer_pays() {
    let world = World::new();
    let post = request("POST", &format!("/sandbox/pay/{PAYMENT}")).body(Body::empty()).unwrap();
    let answer = world.send(post).await;
    let expected = r#"{"payId":"352542415984402432","status":"SUCCESS"}"#;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, expected));
}

#[tokio::test]
async fn nobody_pays_what_is_not_there() {
    let world = World::new();
    let problem = world.post("/sandbox/pay/7", "").await.problem();
    assert_eq!(problem, (404, "SHOP_PAYMENT_NOT_FOUND".into(), Some("payId".into())));
}

#[tokio::test]
async fn a_browser_is_shown_what_there_is_to_pay_and_pays_without_script() {
    let world = World::new();
    let path = format!("/sandbox/pay/{PAYMENT}");
    let page = browse(&world, "GET", &path).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!(world.fake.take::<GetStatesRequest>(), GetStatesRequest { pay_ids: vec![PAYMENT] });
    for part in ["¥ 880.00", &ORDER.to_string(), &PAYMENT.to_string(), &*format!("method=\"post\" action=\"{path}\"")]
    {
        assert!(page.text.contains(part), "{part}: {}", page.text);
    }
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && policy.contains("form-action 'self'"));
    assert!(!policy.contains("script") && !page.text.contains("<script") && !page.text.contains("http"), "{policy}");

    let left = browse(&world, "GET", &format!("{path}/left")).await;
    assert!(left.text.contains("Nothing was paid") && !left.text.contains("<button"), "{}", left.text);

    let paid = browse(&world, "POST", &path).await;
    assert_eq!((paid.status.as_u16(), paid.header("location")), (303, &*path));
    let after = browse(&world, "GET", &path).await;
    assert!(after.text.contains("Paid.") && !after.text.contains("<button"), "{}", after.text);
}

#[tokio::test]
async fn the_page_says_what_is_over_and_knows_nothing_of_others() {
    let world = World::new();
    let path = format!("/sandbox/pay/{CLOSED}");
    assert_eq!(browse(&world, "POST", &path).await.header("location"), path, "the page says why");
    let page = browse(&world, "GET", &path).await;
    assert!(page.text.contains("closed") && !page.text.contains("<button"), "{}", page.text);
    assert_eq!(world.post(&path, "").await.problem().1, "SHOP_ORDER_NOT_PAYABLE", "a program is told by its code");
    for path in ["/sandbox/pay/7", "/sandbox/pay/7/left"] {
        assert_eq!(browse(&world, "GET", path).await.problem().1, "SHOP_PAYMENT_NOT_FOUND", "{path}");
    }
    assert_eq!(browse(&world, "GET", "/sandbox/pay/x").await.problem().0, 400);
}

#[tokio::test]
async fn the_page_needs_no_answer_about_the_order() {
    let world = World::new();
    world.fake.refuse(shop_common::code::ShopCode::Unavailable.into());
    let page = browse(&world, "GET", &format!("/sandbox/pay/{PAYMENT}")).await;
    assert!(page.text.contains("¥ 880.00") && !page.text.contains("Order"), "{}", page.text);
}

#[tokio::test]
async fn a_day_s_statement_is_downloaded() {
    let world = World::new();
    let answer = world.get("/sandbox/statement/2026-11-24").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/csv; charset=utf-8"));
    assert_eq!(answer.text, "at,kind,pay_id,refund_id,trade_no,amount\n");
    for day in ["today", "2026-11-24x", "%ff"] {
        let (status, _, field) = world.get(&format!("/sandbox/statement/{day}")).await.problem();
        assert_eq!((status, field.as_deref()), (400, Some("day")), "{day}");
    }
    let closed = World::without_sandbox();
    assert_eq!(closed.get("/sandbox/statement/2026-11-24").await.problem().0, 404);
}

#[tokio::test]
async fn without_a_sandbox_there_is_no_page() {
    let world = World::without_sandbox();
    assert_eq!(world.post(&format!("/sandbox/pay/{PAYMENT}"), "").await.problem().0, 404);
    let api = world.get("/openapi.json").await.json();
    assert!(api["paths"].get("/sandbox/pay/{pay_id}").is_none());
}
