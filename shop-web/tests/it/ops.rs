//! Health, readiness, metrics.

use std::sync::{Arc, atomic::Ordering};

use axum::body::Body;
use metrics_exporter_prometheus::PrometheusBuilder;
use shop_web::{Config, Ops};

use crate::{
    fakes::Fake,
    world::{World, links, request, send},
};

#[tokio::test]
async fn health_and_readiness_are_two_questions() {
    let world = World::new();
    let alive = world.get("/healthz").await;
    assert_eq!((alive.status.as_u16(), alive.text.as_str()), (200, r#"{"status":"ok"}"#));
    let ready = world.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), ready.text.as_str()), (200, r#"{"status":"ready"}"#));
    world.is_ready.store(false, Ordering::SeqCst);
    let not_ready = world.get("/readyz").await;
    assert_eq!((not_ready.status.as_u16(), not_ready.text.as_str()), (503, r#"{"status":"not ready"}"#));
    assert_eq!(world.get("/healthz").await.status, 200);
}

#[test]
fn requests_are_counted_by_route_and_never_by_path() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let ops = Ops { is_ready: Arc::new(|| true), metrics: Some(recorder.handle()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let page = metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let router = shop_web::router(&Config::default(), links(&Fake::new()), None, ops);
            let get = |path: &str| request("GET", path).header("x-user-id", 1).body(Body::empty()).unwrap();
            send(&router, get("/api/v1/orders/4711")).await;
            send(&router, get("/wp-admin")).await;
            send(&router, request("BREW", "/api/v1/goods").body(Body::empty()).unwrap()).await;
            send(&router, get("/metrics")).await
        })
    });
    assert_eq!(page.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        r#"shop_http_requests_total{method="GET",route="/api/v1/orders/{id}",status="200"} 1"#,
        r#"shop_http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"shop_http_requests_total{method="other",route="/api/v1/goods",status="405"} 1"#,
        "shop_http_request_seconds_count{method=\"GET\",route=\"/api/v1/orders/{id}\"} 1",
    ] {
        assert!(page.text.contains(line), "{line}\n{}", page.text);
    }
    assert!(!page.text.contains("4711") && !page.text.contains("wp-admin"));
}
