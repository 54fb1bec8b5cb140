//! What every service is given and how it is served.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shop_proto::common::v1::{CommandContext, DoOutcome, UndoOutcome, do_outcome, undo_outcome};
use tokio::{net::TcpListener, time::Instant};
use tonic::{
    service::Routes,
    transport::{Error, Server, server::TcpIncoming},
};

use crate::{
    batch::NotDone,
    db::Db,
    error::ShopError,
    hold::{Done, Undone},
    link::ServeLayer,
    mq::SharedBus,
    shutdown::Shutdown,
    time::Clock,
};

/// Largest message on a public port.
pub const PUBLIC_MESSAGE_BYTES: usize = 64 << 10;
/// Largest message between services.
pub const INTERNAL_MESSAGE_BYTES: usize = 4 << 20;
/// Most commands in one internal call.
pub const COMMANDS_PER_CALL: PerCall = PerCall(1000);

/// How many commands one internal call may carry.
#[derive(Clone, Copy, Debug)]
pub struct PerCall(pub usize);

impl PerCall {
    /// Refuses a call of more.
    ///
    /// # Errors
    /// `SHOP_REQUEST_PARAMETER_VALID`.
    pub fn check(self, commands: usize) -> Result<(), ShopError> {
        if commands > self.0 { Err(ShopError::invalid("commands", "too many commands in one call")) } else { Ok(()) }
    }
}

/// What every service is given.
#[derive(Clone)]
pub struct Deps {
    /// Its own database.
    pub db: Db,
    /// The message bus.
    pub bus: SharedBus,
    /// The time.
    pub clock: Clock,
    /// Name of this instance: stable over restarts, unique among the instances of a service.
    pub instance: String,
    /// When to stop.
    pub shutdown: Shutdown,
}

/// How often sweepers look.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweeperConfig {
    /// Pause between two rounds that find nothing, in milliseconds.
    pub interval_ms: u64,
}

impl SweeperConfig {
    /// The pause.
    pub const fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }
}

/// Serves `routes` on `listener` until it is stopped; then finishes what runs.
///
/// # Errors
/// The transport's.
pub async fn serve_grpc(listener: TcpListener, routes: Routes, shutdown: Shutdown) -> Result<(), Error> {
    // An answer is several small writes; the last one must not wait for the caller's acknowledgement of the first.
    let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
    Server::builder()
        .layer(ServeLayer)
        .max_concurrent_streams(256)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .add_routes(routes)
        .serve_with_incoming_shutdown(connections, shutdown.stopped())
        .await
}

/// Until when the caller of a command waits.
pub fn deadline_of(context: Option<&CommandContext>) -> Option<Instant> {
    let remaining = u64::try_from(context?.remaining_ms).ok().filter(|remaining| *remaining > 0)?;
    Some(Instant::now() + Duration::from_millis(remaining))
}

/// A do as it is answered.
pub fn answer_do(outcome: Result<Done, NotDone>) -> DoOutcome {
    match outcome {
        Ok(done) => done.into(),
        Err(not_done) => {
            let kind = match not_done {
                NotDone::Busy | NotDone::Expired => do_outcome::Kind::NotRun,
                NotDone::Unknown(_) => do_outcome::Kind::Unknown,
            };
            DoOutcome { kind: kind.into(), refusal: None, detail: not_done.to_string() }
        }
    }
}

/// An undo as it is answered.
pub fn answer_undo(outcome: Result<Undone, NotDone>) -> UndoOutcome {
    match outcome {
        Ok(undone) => undone.into(),
        Err(not_done) => {
            let kind = match not_done {
                NotDone::Busy | NotDone::Expired => undo_outcome::Kind::NotRun,
                NotDone::Unknown(_) => undo_outcome::Kind::Unknown,
            };
            UndoOutcome { kind: kind.into(), detail: not_done.to_string() }
        }
    }
}
