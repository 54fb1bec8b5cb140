//! What every process of the shop has, whether it runs one role or all: the bus, the listeners, the tasks, the stop.

use std::{io, net::SocketAddr};

use futures::future::join_all;
use prost::{DecodeError, Message};
use prost_types::FileDescriptorSet;
use shop_broker::{Broker, BrokerError};
use shop_common::{
    db::Failure,
    id::BadWorker,
    mq::{
        PublishError, SharedBus,
        rocketmq::{RocketMqBus, RocketMqConfig},
    },
    outbox::Relay,
    service::{ServerLimits, serve_grpc},
    shutdown::{Shutdown, Switch},
    time::Clock,
    worker::{Claim, NotClaimed},
};
use tokio::{
    net::TcpListener,
    task::{AbortHandle, JoinHandle},
    time::{Instant, sleep, timeout, timeout_at},
};
use tonic::service::RoutesBuilder;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    config::{Config, ShutdownConfig},
    exposure::NotAllowed,
};

/// Why a process did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A directory or a listener.
    #[error("{0}: {1}")]
    Io(String, io::Error),
    /// A database or its schema.
    #[error("database: {0}")]
    Database(#[from] Failure),
    /// The embedded broker.
    #[error("broker: {0}")]
    Broker(#[from] BrokerError),
    /// The client of the broker.
    #[error("message bus: {0}")]
    Bus(#[from] PublishError),
    /// The id generator.
    #[error(transparent)]
    Worker(#[from] BadWorker),
    /// The claim of the worker number.
    #[error(transparent)]
    Claim(#[from] NotClaimed),
    /// The payment channels.
    #[error(transparent)]
    Channel(#[from] shop_pay::BadConfig),
    /// Something that is only good on loopback would be reachable from outside.
    #[error(transparent)]
    Exposed(#[from] NotAllowed),
    /// Reflection.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The descriptors that reflection shows.
    #[error("descriptors: {0}")]
    Descriptors(#[from] DecodeError),
    /// Where another service is found.
    #[error("internal.{0} is no address like http://host:port")]
    Address(&'static str),
    /// A role of its own has no broker inside.
    #[error("mq.name_server must be set: a single role has no broker inside")]
    NoNameServer,
}

/// The running parts of a process.
pub(crate) struct Process {
    pub(crate) bus: SharedBus,
    pub(crate) broker: Option<Broker>,
    pub(crate) stopping: Stopping,
    pub(crate) tasks: Vec<JoinHandle<()>>,
    pub(crate) relays: Vec<Relay>,
    /// Of the worker number, for as long as it runs.
    #[expect(dead_code, reason = "they are held")]
    pub(crate) claims: Vec<Claim>,
}

/// How a process stops: first it says so, then it takes nothing new, then it finishes what runs.
pub(crate) struct Stopping {
    pub(crate) switch: Switch,
    pub(crate) health: Option<Health>,
    pub(crate) config: ShutdownConfig,
}

/// The health of the public services.
pub(crate) struct Health {
    reporter: HealthReporter,
    services: Vec<&'static str>,
}

/// A listener with the public services.
pub(crate) struct Public {
    pub(crate) address: SocketAddr,
    pub(crate) serving: JoinHandle<()>,
    pub(crate) health: Option<Health>,
}

impl Process {
    /// Stops in order: not ready, no new work, running work finishes, what it owes is sent, then the bus and the broker.
    pub(crate) async fn stop(mut self) {
        self.stopping.stop().await;
        let give_up = Instant::now() + self.stopping.config.grace();
        let tasks = std::mem::take(&mut self.tasks);
        let deaf = timeout_at(give_up, self.bus.stop_consumers());
        let (deaf, ()) = tokio::join!(deaf, self.stopping.finish(tasks));
        if deaf.is_err() {
            tracing::warn!("message handlers were cut off: they did not end within the time to drain");
        }
        for relay in &self.relays {
            match timeout_at(give_up, relay.run_once(Clock::system().now())).await {
                Ok(Ok(sent)) => tracing::debug!(sent, "outbox flushed"),
                Ok(Err(error)) => tracing::warn!(%error, "outbox not flushed; it is sent after the next start"),
                Err(_) => tracing::warn!("outbox not flushed in time; it is sent after the next start"),
            }
        }
        self.bus.shutdown().await;
        if let Some(broker) = self.broker {
            broker.shutdown().await;
        }
    }
}

impl Stopping {
    /// Not ready, for as long as whoever sends work here needs to see it; then everything that watches stops.
    pub(crate) async fn stop(&self) {
        self.switch.leave();
        if let Some(Health { reporter, services }) = &self.health {
            for service in services.iter().chain(&[""]) {
                reporter.set_service_status(*service, ServingStatus::NotServing).await;
            }
        }
        sleep(self.config.notice()).await;
        self.switch.stop();
    }

    /// Waits for `tasks` and cuts off what has not ended in time: rows say what is owed.
    pub(crate) async fn finish(&self, tasks: Vec<JoinHandle<()>>) {
        let aborts: Vec<AbortHandle> = tasks.iter().map(JoinHandle::abort_handle).collect();
        let Ok(ended) = timeout(self.config.grace(), join_all(tasks)).await else {
            tracing::warn!("what still ran was cut off: it did not end within the time to drain");
            return aborts.iter().for_each(AbortHandle::abort);
        };
        for error in ended.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "a task did not end well");
        }
    }
}

/// The bus over the configured name server, or over a broker inside this process.
pub(crate) async fn connect_bus(config: &Config) -> Result<(Option<Broker>, SharedBus), StartError> {
    let mq_dir = config.data_dir.join("mq");
    let (broker, name_server) = if config.mq.name_server.is_empty() {
        let broker = Broker::start(config.mq.broker(&config.data_dir)).await?;
        let name_server = broker.name_server();
        (Some(broker), name_server)
    } else {
        (None, config.mq.name_server.clone())
    };
    let bus = RocketMqBus::connect(RocketMqConfig::new(name_server, mq_dir.join("client"))).await?;
    Ok((broker, bus))
}

/// Serves what clients may call, with health and reflection of `services`.
pub(crate) async fn serve_public(
    config: &Config,
    mut routes: RoutesBuilder,
    services: Vec<&'static str>,
    shutdown: Shutdown,
) -> Result<Public, StartError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    for service in &services {
        reporter.set_service_status(*service, ServingStatus::Serving).await;
    }
    routes.add_service(health);
    routes.add_service(reflection(&services)?.build_v1()?);
    routes.add_service(reflection(&services)?.build_v1alpha()?);
    let (address, serving) = serve(config.grpc.listen, routes, config.grpc.limits(), shutdown).await?;
    Ok(Public { address, serving, health: Some(Health { reporter, services }) })
}

/// Serves `routes` on `listen` until it is stopped.
pub(crate) async fn serve(
    listen: SocketAddr,
    routes: RoutesBuilder,
    limits: ServerLimits,
    shutdown: Shutdown,
) -> Result<(SocketAddr, JoinHandle<()>), StartError> {
    let listener = bind(listen).await?;
    let address = listener.local_addr().map_err(|error| at(&listen.to_string(), error))?;
    let serving = tokio::spawn(async move {
        if let Err(error) = serve_grpc(listener, routes.routes(), limits, shutdown).await {
            tracing::error!(%error, "gRPC server ended");
        }
    });
    Ok((address, serving))
}

/// Describes what this listener serves; the internal services stand in the same files and are not on it.
fn reflection(services: &[&str]) -> Result<tonic_reflection::server::Builder<'static>, DecodeError> {
    let mut files = FileDescriptorSet::decode(shop_proto::DESCRIPTORS)?;
    for file in &mut files.file {
        let package = file.package().to_owned();
        file.service.retain(|service| services.contains(&format!("{package}.{}", service.name()).as_str()));
    }
    Ok(tonic_reflection::server::Builder::configure()
        .register_file_descriptor_set(files)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET))
}

/// Binds `address`.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| at(&address.to_string(), error))
}

pub(crate) fn at(what: &str, error: io::Error) -> StartError {
    StartError::Io(what.to_owned(), error)
}
