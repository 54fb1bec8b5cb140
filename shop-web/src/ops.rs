//! For operators: health, readiness, metrics. Never limited: an overloaded gateway is still alive.

use std::{fmt, sync::Arc};

use axum::extract::State;
use http::{StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What operators ask for.
#[derive(Clone)]
pub struct Ops {
    /// Whether the process can do its work now, for `/readyz`.
    pub is_ready: Arc<dyn Fn() -> bool + Send + Sync>,
    /// The recorder of the process, for `/metrics`; without one the page is empty.
    pub metrics: Option<PrometheusHandle>,
}

impl fmt::Debug for Ops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ops").finish_non_exhaustive()
    }
}

pub(crate) fn routes() -> OpenApiRouter<Ops> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// How the process is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Condition {
    /// `ok`, `ready` or `not ready`.
    status: &'static str,
}

/// Whether the process is alive.
#[utoipa::path(get, path = "/healthz", tag = "operations",
    responses((status = 200, description = "Alive", body = Condition)))]
pub(crate) async fn healthz() -> axum::Json<Condition> {
    axum::Json(Condition { status: "ok" })
}

/// Whether the process can do its work.
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses(
        (status = 200, description = "Ready", body = Condition),
        (status = 503, description = "Not ready", body = Condition),
    ))]
pub(crate) async fn readyz(State(ops): State<Ops>) -> (StatusCode, axum::Json<Condition>) {
    if (ops.is_ready)() {
        (StatusCode::OK, axum::Json(Condition { status: "ready" }))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, axum::Json(Condition { status: "not ready" }))
    }
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses((status = 200, description = "Metrics", body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(State(ops): State<Ops>) -> ([(header::HeaderName, &'static str); 1], String) {
    let page = ops.metrics.as_ref().map(PrometheusHandle::render);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page.unwrap_or_default())
}
