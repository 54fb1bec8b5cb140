//! Serving connections: HTTP/1.1, a time limit on headers, a bound on connections, a drain at the end.
//!
//! Not `axum::serve`: that sets no timer, so a client that sends its headers for ever would keep its connection.

use std::{io, sync::Arc, time::Duration};

use axum::{Extension, Router};
use futures::future::join_all;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use shop_common::shutdown::Shutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

use crate::config::Config;

/// Longest time the headers of a request may take; also how long an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time requests get to end after the stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// Pause after a failed accept: it fails again at once while the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `router` on all `listeners` until it is stopped; then takes nothing new and finishes what runs. Event streams
/// end at the stop.
pub async fn serve(config: &Config, listeners: Vec<TcpListener>, router: Router, shutdown: Shutdown) {
    let router = router.layer(Extension(shutdown.clone()));
    let places = Arc::new(Semaphore::new(config.max_connections));
    let served = listeners.into_iter().map(|listener| {
        let (router, places, shutdown) = (router.clone(), Arc::clone(&places), shutdown.clone());
        serve_one(listener, router, places, shutdown)
    });
    join_all(served).await;
}

async fn serve_one(listener: TcpListener, router: Router, places: Arc<Semaphore>, shutdown: Shutdown) {
    let connections = GracefulShutdown::new();
    while let Some(accepted) = shutdown.race(accept(&listener, &places)).await {
        match accepted {
            Ok((stream, place)) => start(stream, place, router.clone(), &connections),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if timeout(DRAIN_TIMEOUT, connections.shutdown()).await.is_err() {
        tracing::warn!("requests were cut off: they did not end within the time to drain");
    }
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, place))
}

fn start(stream: TcpStream, place: OwnedSemaphorePermit, router: Router, connections: &GracefulShutdown) {
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).into_owned();
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "connection ended");
        }
        drop(place);
    });
}
