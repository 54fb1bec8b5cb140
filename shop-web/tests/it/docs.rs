//! The description of the API, and its page.

use crate::world::World;

/// Every route a client may call; a route that is added stands here too.
const ROUTES: [(&str, &str); 25] = [
    ("get", "/api/v1/coupons"),
    ("get", "/api/v1/goods"),
    ("get", "/api/v1/goods/{id}"),
    ("get", "/api/v1/orders"),
    ("get", "/api/v1/orders/{id}"),
    ("get", "/api/v1/orders/{id}/events"),
    ("get", "/api/v1/payments/{id}"),
    ("get", "/api/v1/refunds"),
    ("get", "/api/v1/users/me"),
    ("get", "/healthz"),
    ("get", "/metrics"),
    ("get", "/readyz"),
    ("get", "/sandbox/pay/{pay_id}"),
    ("get", "/sandbox/pay/{pay_id}/left"),
    ("get", "/sandbox/statement/{day}"),
    ("post", "/api/v1/callbacks/{channel}"),
    ("post", "/api/v1/orders"),
    ("post", "/api/v1/orders/{id}/cancel"),
    ("post", "/api/v1/orders/{id}/payments"),
    ("post", "/api/v1/payments/{id}/refunds"),
    ("post", "/api/v1/refunds/{id}/retry"),
    ("post", "/order-web/order/confirm"),
    ("post", "/pay-web/pay/callbackPayment"),
    ("post", "/pay-web/pay/createPayment"),
    ("post", "/sandbox/pay/{pay_id}"),
];

#[tokio::test]
async fn the_description_lists_every_route_and_every_route_is_served() {
    let world = World::new();
    let api = world.get("/openapi.json").await.json();
    assert!(api["openapi"].as_str().unwrap().starts_with("3."));
    let paths = api["paths"].as_object().unwrap();
    let mut listed: Vec<(String, String)> = paths
        .iter()
        .flat_map(|(path, item)| item.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())))
        .collect();
    listed.sort();
    assert_eq!(listed, ROUTES.map(|(method, path)| (method.to_owned(), path.to_owned())));
}

#[tokio::test]
async fn every_reference_of_the_description_leads_somewhere() {
    let world = World::new();
    let text = world.get("/openapi.json").await.text;
    let api: serde_json::Value = serde_json::from_str(&text).unwrap();
    let references: Vec<&str> = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(references.len() > 20);
    for reference in references {
        assert!(api.pointer(reference).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn ids_money_and_times_are_strings() {
    let world = World::new();
    let api = world.get("/openapi.json").await.json();
    let order = &api["components"]["schemas"]["Order"]["properties"];
    for name in ["orderId", "userId", "amountDue", "createdMs", "status"] {
        assert_eq!(order[name]["type"], "string", "{name}");
    }
    assert_eq!(order["createdMs"]["format"], "date-time");
}

#[tokio::test]
async fn the_page_is_served_without_the_outside_world() {
    let world = World::new();
    assert_eq!(world.get("/docs").await.header("location"), "/docs/");
    let page = world.get("/docs/").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html"));
    assert!(page.header("content-security-policy").starts_with("default-src 'self';"));
    let starter = world.get("/docs/swagger-initializer.js").await;
    for text in [&page.text, &starter.text] {
        assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("src=\"//"), "{text}");
    }
    assert!(starter.text.contains("/openapi.json") && starter.text.contains(r#""validatorUrl": "none""#));
    for asset in assets(&page.text) {
        let answer = world.get(&format!("/docs/{asset}")).await;
        assert_eq!(answer.status, 200, "{asset}");
        assert!(!answer.text.is_empty(), "{asset}");
    }
}

/// What the page loads.
fn assets(page: &str) -> Vec<&str> {
    let loads = page.split(['"', '\'']).filter(|part| part.starts_with("./") || *part == "index.css");
    let assets: Vec<&str> = loads.map(|asset| asset.trim_start_matches("./")).collect();
    assert!(assets.len() >= 4, "{page}");
    assets
}

#[tokio::test]
async fn nothing_but_the_page_s_files_is_served() {
    let world = World::new();
    for path in ["/docs/nope.js", "/docs/..%2f..%2fCargo.toml", "/docs/%00"] {
        assert_eq!(world.get(path).await.status, 404, "{path}");
    }
}
