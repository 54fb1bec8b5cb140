//! Serves a provider over HTTP.

use std::{io, net::SocketAddr};

use axum::Router;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// A provider that listens; dropping it stops it.
#[derive(Debug)]
pub struct Served {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<io::Result<()>>,
}

/// Serves `routes` on `listener` until it is stopped.
///
/// # Errors
/// The listener has no address.
pub fn serve(routes: Router, listener: TcpListener) -> io::Result<Served> {
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = axum::serve(listener, routes).with_graceful_shutdown(async {
        // Whether it was told or dropped, it ends.
        drop(stopped.await);
    });
    let task = tokio::spawn(async move { serving.await });
    Ok(Served { address, stop: Some(stop), task })
}

impl Served {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops and waits until nothing is served any more.
    ///
    /// # Errors
    /// Serving ended with one.
    pub async fn stop(mut self) -> io::Result<()> {
        drop(self.stop.take());
        (&mut self.task).await.map_err(io::Error::other)?
    }
}
