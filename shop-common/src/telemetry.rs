//! Logs: compact for people on a terminal, JSON otherwise. The W3C trace id stands in every line of a request.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// What is logged unless `RUST_LOG` says otherwise: the embedded broker is chatty.
const DEFAULT_FILTER: &str = "info,rocketmq=off,rocketmq_=off,sqlx=warn";

/// Installs the subscriber of the process; logs go to standard error.
///
/// `quiet` keeps everything below a warning out, for commands whose output is the point.
pub fn init(quiet: bool) {
    let default = if quiet { "warn,sqlx=error" } else { DEFAULT_FILTER };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(silence_broker(default)));
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

/// The client and broker crates log one line per second when idle, and errors that our adapter reports anyway.
fn silence_broker(filter: &str) -> String {
    const CRATES: [&str; 12] = [
        "rocketmq_broker",
        "rocketmq_client_rust",
        "rocketmq_namesrv",
        "rocketmq_store",
        "rocketmq_transport",
        "rocketmq_runtime",
        "rocketmq_protocol",
        "rocketmq_model",
        "rocketmq_store_local",
        "rocketmq_auth",
        "rocketmq_observability",
        "rocketmq_error",
    ];
    CRATES.iter().fold(filter.replace(",rocketmq=off,rocketmq_=off", ""), |filter, name| format!("{filter},{name}=off"))
}
