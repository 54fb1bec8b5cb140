//! The routes with their description: a route is stated once, and stands in `/openapi.json` because it is served.

use axum::{Router, extract::Request, middleware, middleware::Next, response::Response};
use http::{HeaderValue, header};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::{api, app::App, sandbox, tutorial};

/// The page has styles of its own and draws icons from data; it loads nothing from elsewhere.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

/// The page about the gateway.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Shop",
        description = "Ids are strings, money is a decimal string of yuan, times are RFC 3339. \
                       Errors are application/problem+json with `code`, `number` and `field`.",
    ),
    tags(
        (name = "orders", description = "Orders of the acting user"),
        (name = "payments", description = "Payments of the acting user, and notifications of channels"),
        (name = "refunds", description = "Refunds, for operators; only where these are served"),
        (name = "catalogue", description = "Goods, coupons, the acting user"),
        (name = "tutorial", description = "The course's routes, unchanged"),
        (name = "sandbox", description = "The buyer's page and the statements of the sandbox channel; only where it is on"),
        (name = "operations", description = "Health and metrics"),
    ),
)]
struct About;

/// Everything a client may call.
pub(crate) fn served(app: &App) -> OpenApiRouter<App> {
    let router = OpenApiRouter::with_openapi(About::openapi()).merge(api::routes()).merge(tutorial::routes());
    let router = if app.has_refunds() { router.merge(api::refund_routes()) } else { router };
    if app.sandbox.is_some() { router.merge(sandbox::routes()) } else { router }
}

/// `/openapi.json` and `/docs`, whose files are part of the binary.
pub(crate) fn docs(api: utoipa::openapi::OpenApi) -> Router<App> {
    let page = SwaggerUi::new("/docs").url("/openapi.json", api).config(Config::default().validator_url("none"));
    Router::from(page).layer(middleware::from_fn(allow_own_files))
}

async fn allow_own_files(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let policy = HeaderValue::from_static(CONTENT_SECURITY_POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}
