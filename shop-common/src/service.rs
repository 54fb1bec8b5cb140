//! What every service is given and how it is served.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shop_proto::common::v1::{CommandContext, UndoOutcome, undo_outcome};
use tokio::{net::TcpListener, time::Instant};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    service::Routes,
    transport::{Error, Server},
};

use crate::{batch::NotDone, db::Db, link::ServeLayer, mq::SharedBus, shutdown::Shutdown, time::Clock};

/// Largest message on a public port.
pub const PUBLIC_MESSAGE_BYTES: usize = 64 << 10;
/// Largest message between services.
pub const INTERNAL_MESSAGE_BYTES: usize = 4 << 20;
/// Most commands in one internal call.
pub const COMMANDS_PER_CALL: usize = 1000;

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
    Server::builder()
        .layer(ServeLayer)
        .max_concurrent_streams(256)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .add_routes(routes)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), shutdown.stopped())
        .await
}

/// Until when the caller of a command waits.
pub fn deadline_of(context: Option<&CommandContext>) -> Option<Instant> {
    let remaining = u64::try_from(context?.remaining_ms).ok().filter(|remaining| *remaining > 0)?;
    Some(Instant::now() + Duration::from_millis(remaining))
}

/// How an undo that did not run is answered.
pub fn undo_not_done(not_done: &NotDone) -> UndoOutcome {
    let kind = match not_done {
        NotDone::Busy | NotDone::Expired => undo_outcome::Kind::NotRun,
        NotDone::Unknown(_) => undo_outcome::Kind::Unknown,
    };
    UndoOutcome { kind: kind.into(), detail: not_done.to_string() }
}
