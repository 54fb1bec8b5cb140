//! Serving connections: HTTP/1.1, a time limit on headers and on what is not read, a bound on connections and on their
//! buffers, a drain at the end.
//!
//! Not `axum::serve`: that sets no timer, so a client that sends its headers for ever would keep its connection.

use std::time::Duration;

use axum::{Extension, Router};
use futures::future::join_all;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use shop_common::{
    accept::{Connection, Places},
    shutdown::Shutdown,
};
use tokio::{net::TcpListener, time::timeout};

use crate::config::Config;

/// Longest time the headers of a request may take; also how long an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes of a request's line and headers.
const HEADER_BYTES: usize = 64 << 10;

/// Serves `router` on all `listeners` until it is stopped; then takes nothing new and finishes what runs. Event streams
/// end at the stop; what has not ended within `grace` is cut off.
pub async fn serve(config: &Config, listeners: Vec<TcpListener>, router: Router, grace: Duration, shutdown: Shutdown) {
    let router = router.layer(Extension(shutdown.clone()));
    let places = Places::new(config.max_connections);
    let served = listeners.into_iter().map(|listener| {
        let (router, places, shutdown) = (router.clone(), places.clone(), shutdown.clone());
        serve_one(listener, router, places, grace, shutdown)
    });
    join_all(served).await;
}

async fn serve_one(listener: TcpListener, router: Router, places: Places, grace: Duration, shutdown: Shutdown) {
    let connections = GracefulShutdown::new();
    while let Some(accepted) = shutdown.race(places.accept(&listener)).await {
        if let Ok(connection) = accepted {
            start(connection, router.clone(), &connections);
        }
    }
    drop(listener);
    if timeout(grace, connections.shutdown()).await.is_err() {
        tracing::warn!("requests were cut off: they did not end within the time to drain");
    }
}

fn start(connection: Connection, router: Router, connections: &GracefulShutdown) {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(HEADER_BYTES);
    let served = builder.serve_connection(TokioIo::new(connection), TowerToHyperService::new(router)).into_owned();
    let served = connections.watch(served);
    tokio::spawn(async move {
        if let Err(error) = served.await {
            tracing::debug!(%error, "connection ended");
        }
    });
}
