//! The REST gateway: the course's routes unchanged, `/api/v1`, Server-Sent Events, OpenAPI, health and metrics.
//!
//! It turns HTTP into gRPC and back. No rule of the shop lives here, no row is written here, and only the services the
//! contract calls public are routed, apart from three questions to `OrderStateService` and `PaymentStateService`, and
//! `RefundService` where operators are served.

mod api;
mod app;
mod body;
mod config;
mod guard;
mod json;
mod openapi;
mod ops;
mod params;
mod problem;
mod sandbox;
mod serve;
mod tutorial;

pub use app::Links;
pub use config::{Config, NotAllowed};
pub use ops::Ops;
pub use sandbox::{Buyer, Standing, Trade};
pub use serve::serve;

use std::sync::Arc;

use axum::{Router, middleware};

use crate::app::App;

/// Health, readiness and metrics alone: of a process that serves no clients over HTTP.
pub fn operations(ops: Ops) -> Router {
    let (routes, _) = ops::routes().split_for_parts();
    routes
        .fallback(guard::not_found)
        .method_not_allowed_fallback(guard::method_not_allowed)
        .layer(middleware::from_fn(guard::observe))
        .with_state(ops)
}

/// All routes; the same on every port.
///
/// `sandbox` pays like a buyer where the sandbox channel is on; without it nothing below `/sandbox` exists. The routes of
/// refunds exist where `links` say where operators are served.
pub fn router(config: &Config, links: Links, sandbox: Option<Arc<dyn Buyer>>, ops: Ops) -> Router {
    let app = App::new(config, links, sandbox);
    let (served, api) = openapi::served(&app).split_for_parts();
    let (unlimited, ops_api) = ops::routes().split_for_parts();
    served
        .merge(tutorial::aliases())
        .layer(middleware::from_fn_with_state(app.clone(), guard::admit))
        .merge(unlimited.with_state(ops))
        .merge(openapi::docs(api.merge_from(ops_api)))
        .fallback(guard::not_found)
        .method_not_allowed_fallback(guard::method_not_allowed)
        .layer(middleware::from_fn(guard::observe))
        .with_state(app)
}
