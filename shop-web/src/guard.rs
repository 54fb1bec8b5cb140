//! What surrounds every handler: trace, metrics, limits, a task of its own, security headers.

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, header};
use shop_common::{
    code::ShopCode,
    shed,
    trace::{self, TraceParent},
};
use tokio::time::Instant;
use tracing::Instrument;

use crate::{app::App, problem::Problem};

/// Nothing the gateway says is to be framed, sniffed, or load anything from elsewhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Puts the request under its trace, measures it, and adds the security headers.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let trace = TraceParent::from_header(traceparent);
    let method = known_method(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("http", method, route, trace_id = trace.trace_id());
    let started = Instant::now();
    let mut response = if request.method() == Method::TRACE {
        method_not_allowed().await.into_response()
    } else {
        trace.scope(next.run(request)).instrument(span).await
    };
    let status = response.status().as_str().to_owned();
    metrics::counter!("shop_http_requests_total", "method" => method, "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!("shop_http_request_seconds", "method" => method, "route" => route).record(started.elapsed());
    protect(&mut response);
    response
}

/// Lets a bounded number of requests work at once, each in a task of its own: axum drops a handler whose client hangs
/// up, and a handler must not be left half done.
pub(crate) async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    let place = match shed::place(&app.in_flight, "web") {
        Ok(place) => place,
        Err(busy) => return Problem::from(busy).into_response(),
    };
    let work = trace::spawn(async move {
        let response = next.run(request).await;
        drop(place);
        response
    });
    work.await.unwrap_or_else(|panic| {
        tracing::error!(%panic, "handler panicked");
        Problem::from(ShopCode::Internal).into_response()
    })
}

/// There is no such page.
pub(crate) async fn not_found() -> Problem {
    Problem::http(StatusCode::NOT_FOUND, "there is nothing at this path")
}

/// The page is there, but not for this method.
pub(crate) async fn method_not_allowed() -> Problem {
    Problem::http(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
}

/// A label of few values: clients may invent methods.
fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        _ => "other",
    }
}

fn protect(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
