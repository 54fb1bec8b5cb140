//! What every service is given and how it is served.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use shop_proto::common::v1::{CommandContext, DoOutcome, UndoOutcome, do_outcome, undo_outcome};
use tokio::{net::TcpListener, time::Instant};
use tonic::{
    service::Routes,
    transport::{Error, Server},
};

use crate::{
    accept::Places,
    batch::{Batcher, Command, NotDone},
    config::at_least_one,
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

/// Calls at once on one connection.
const STREAMS_PER_CONNECTION: u32 = 256;
/// Largest headers of a call, as HTTP/2 counts them.
const HEADER_LIST_BYTES: u32 = 16 << 10;
/// How often a connection is asked whether it is alive.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// What every client says first, and how long it may take.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const GREETING_MAX: Duration = Duration::from_secs(30);
/// Calls of one connection that it had to be told off for: more end it (tonic would not count them).
const RESETS_PER_CONNECTION: usize = 1024;
/// Longest silence of a connection: one that is alive answers every ping.
const SILENCE_MAX: Duration = Duration::from_secs(60);

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
    #[serde(deserialize_with = "at_least_one")]
    pub interval_ms: u64,
}

impl SweeperConfig {
    /// The pause.
    pub const fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }
}

/// What one gRPC listener takes at most.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Calls at once over all connections; one more is answered `SHOP_BUSY`.
    pub max_in_flight: usize,
    /// Connections; more wait to be accepted.
    pub max_connections: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self { max_in_flight: 2048, max_connections: 4096 }
    }
}

/// Serves `routes` on `listener` until it is stopped; then finishes what runs.
///
/// # Errors
/// The transport's.
pub async fn serve_grpc(
    listener: TcpListener,
    routes: Routes,
    limits: ServerLimits,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let places = Places::new(limits.max_connections).silent_at_most(SILENCE_MAX);
    let places = places.greeted_within(GREETING.len(), GREETING_MAX);
    Server::builder()
        .layer(ServeLayer::at_most(limits.max_in_flight))
        .max_concurrent_streams(STREAMS_PER_CONNECTION)
        .http2_max_header_list_size(HEADER_LIST_BYTES)
        .http2_max_local_error_reset_streams(Some(RESETS_PER_CONNECTION))
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .add_routes(routes)
        .serve_with_incoming_shutdown(places.incoming(listener), shutdown.stopped())
        .await
}

/// Until when the caller of a command waits.
pub fn deadline_of(context: Option<&CommandContext>) -> Option<Instant> {
    let remaining = u64::try_from(context?.remaining_ms).ok().filter(|remaining| *remaining > 0)?;
    Some(Instant::now() + Duration::from_millis(remaining))
}

/// Runs the dos of one call, each with the deadline of its context and on its own terms; answers in their order.
///
/// # Errors
/// `SHOP_REQUEST_PARAMETER_VALID` for too many.
pub async fn do_all<P, C: Command + From<P>>(
    batcher: &Batcher<C, Done>,
    commands: Vec<P>,
    context: impl Fn(&P) -> Option<&CommandContext>,
) -> Result<Vec<DoOutcome>, ShopError> {
    COMMANDS_PER_CALL.check(commands.len())?;
    let commands = commands.into_iter().map(|command| {
        let deadline = deadline_of(context(&command));
        (command.into(), deadline)
    });
    Ok(batcher.run_all(commands).await.into_iter().map(answer_do).collect())
}

/// Runs the undos of one call; otherwise as [`do_all`]. None expires: what is to be given back is given back.
///
/// # Errors
/// As [`do_all`].
pub async fn undo_all<C: Command>(
    batcher: &Batcher<C, Undone>,
    commands: impl ExactSizeIterator<Item = C>,
) -> Result<Vec<UndoOutcome>, ShopError> {
    COMMANDS_PER_CALL.check(commands.len())?;
    let outcomes = batcher.run_all(commands.map(|command| (command, None))).await;
    Ok(outcomes.into_iter().map(answer_undo).collect())
}

/// A do as it is answered.
pub fn answer_do(outcome: Result<Done, NotDone>) -> DoOutcome {
    match outcome {
        Ok(done) => done.into(),
        Err(not_done) => {
            let kind = if not_done.is_not_run() { do_outcome::Kind::NotRun } else { do_outcome::Kind::Unknown };
            DoOutcome { kind: kind.into(), refusal: None, detail: not_done.to_string() }
        }
    }
}

fn answer_undo(outcome: Result<Undone, NotDone>) -> UndoOutcome {
    match outcome {
        Ok(undone) => undone.into(),
        Err(not_done) => {
            let kind = if not_done.is_not_run() { undo_outcome::Kind::NotRun } else { undo_outcome::Kind::Unknown };
            UndoOutcome { kind: kind.into(), detail: not_done.to_string() }
        }
    }
}
