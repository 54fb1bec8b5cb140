//! The buyer's page.

use crate::{
    fakes::PAYMENT,
    world::{World, request},
};

#[tokio::test]
async fn the_buyer_pays() {
    let world = World::new();
    let post = request("POST", &format!("/sandbox/pay/{PAYMENT}")).body(axum::body::Body::empty()).unwrap();
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
async fn without_a_sandbox_there_is_no_page() {
    let world = World::without_sandbox();
    assert_eq!(world.post(&format!("/sandbox/pay/{PAYMENT}"), "").await.problem().0, 404);
    let api = world.get("/openapi.json").await.json();
    assert!(api["paths"].get("/sandbox/pay/{pay_id}").is_none());
}
