//! A gateway that answers every notification as it was told to, whatever it says.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, routing::any};
use http::StatusCode;
use tokio::{net::TcpListener, task::JoinHandle};

pub(super) struct Deaf {
    address: SocketAddr,
    told: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Deaf {
    /// `answer` is told how many notifications have come, this one included.
    pub(super) async fn answering(
        answer: impl Fn(usize) -> (u16, &'static str) + Clone + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told: Arc<AtomicUsize> = Arc::default();
        let counted = Arc::clone(&told);
        let any = any(move || async move {
            let (status, text) = answer(counted.fetch_add(1, Ordering::SeqCst) + 1);
            (StatusCode::from_u16(status).unwrap(), text)
        });
        let router = Router::new().route("/api/v1/callbacks/{channel}", any);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, told, serving }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many notifications have come.
    pub(super) fn told(&self) -> usize {
        self.told.load(Ordering::SeqCst)
    }
}

impl Drop for Deaf {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
