//! Logs: compact for people on a terminal, JSON otherwise. The W3C trace id stands in every line of a request.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// The client and broker crates log a line per second when idle, and errors that our adapter reports anyway.
const CHATTY: [&str; 12] = [
    "rocketmq_auth",
    "rocketmq_broker",
    "rocketmq_client_rust",
    "rocketmq_error",
    "rocketmq_model",
    "rocketmq_namesrv",
    "rocketmq_observability",
    "rocketmq_protocol",
    "rocketmq_runtime",
    "rocketmq_store",
    "rocketmq_store_local",
    "rocketmq_transport",
];

/// Installs the subscriber of the process; logs go to standard error. `RUST_LOG` wins over `filter`.
pub fn init(filter: &str) {
    let quiet = CHATTY.iter().fold(filter.to_owned(), |filter, name| format!("{filter},{name}=off"));
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(quiet));
    let registry = tracing_subscriber::registry().with(filter);
    let stderr = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let installed = if std::io::stderr().is_terminal() {
        registry.with(stderr.compact()).try_init()
    } else {
        registry.with(stderr.json().flatten_event(true)).try_init()
    };
    if installed.is_err() {
        tracing::debug!("a subscriber is installed already");
    }
}
