//! What an empty gRPC call costs here: the yardstick by which figures of two machines can be compared.

use std::time::{Duration, Instant};

use tokio::{net::TcpListener, sync::oneshot};
use tonic::transport::{Channel, Server, server::TcpIncoming};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::super::{Outcome, usage::Usage};

/// Callers at once, over one connection.
const CALLERS: u64 = 64;
/// How long it is measured.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

/// The processor time of one empty call, of client and server together.
pub(super) async fn cost() -> Outcome<Duration> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let (_, health) = tonic_health::server::health_reporter();
    let server = Server::builder().add_service(health);
    let serving = tokio::spawn(server.serve_with_incoming_shutdown(TcpIncoming::from(listener), async {
        drop(stopped.await);
    }));
    let channel = Channel::from_shared(format!("http://{address}"))?.tcp_nodelay(true).connect().await?;
    let (before, started) = (Usage::of_process()?, Instant::now());
    let callers = (0..CALLERS).map(|_| tokio::spawn(call(channel.clone(), started)));
    let mut calls = 0_u64;
    for called in futures::future::join_all(callers).await {
        calls = calls.saturating_add(called??);
    }
    let used = Usage::of_process()?.since(before).cpu;
    drop((channel, stop));
    serving.await??;
    Ok(used / u32::try_from(calls)?.max(1))
}

async fn call(channel: Channel, started: Instant) -> Outcome<u64> {
    let (mut health, mut calls) = (HealthClient::new(channel), 0);
    while started.elapsed() < LONG_ENOUGH {
        health.check(HealthCheckRequest { service: String::new() }).await?;
        calls += 1;
    }
    Ok(calls)
}
