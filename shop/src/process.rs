//! What every process of the shop has, whether it runs one role or all: the bus, the listeners, the tasks, the stop.

use std::{io, net::SocketAddr};

use shop_broker::{Broker, BrokerConfig, BrokerError};
use shop_common::{
    db::Failure,
    id::BadWorker,
    mq::{
        PublishError, SharedBus,
        rocketmq::{RocketMqBus, RocketMqConfig},
    },
    service::serve_grpc,
    shutdown::{Shutdown, Switch},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::service::RoutesBuilder;
use tonic_health::ServingStatus;

use crate::{config::Config, exposure::NotAllowed};

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
    /// The payment channels.
    #[error(transparent)]
    Channel(#[from] shop_pay::BadConfig),
    /// Something that is only good on loopback would be reachable from outside.
    #[error(transparent)]
    Exposed(#[from] NotAllowed),
    /// Reflection.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
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
    pub(crate) switch: Switch,
    pub(crate) tasks: Vec<JoinHandle<()>>,
}

impl Process {
    /// Stops in order: no new work, running work finishes, then the bus and the broker.
    pub(crate) async fn stop(self) {
        self.switch.stop();
        self.bus.stop_consumers().await;
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::warn!(%error, "a task did not end well");
            }
        }
        self.bus.shutdown().await;
        if let Some(broker) = self.broker {
            broker.shutdown().await;
        }
    }
}

/// The bus over the configured name server, or over a broker inside this process.
pub(crate) async fn connect_bus(config: &Config) -> Result<(Option<Broker>, SharedBus), StartError> {
    let mq_dir = config.data_dir.join("mq");
    let (broker, name_server) = if config.mq.name_server.is_empty() {
        let broker = Broker::start(BrokerConfig::new(mq_dir.join("broker"))).await?;
        let name_server = broker.name_server();
        (Some(broker), name_server)
    } else {
        (None, config.mq.name_server.clone())
    };
    let bus = RocketMqBus::connect(RocketMqConfig::new(name_server, mq_dir.join("client"))).await?;
    Ok((broker, bus))
}

/// Serves what clients may call, with health and reflection.
pub(crate) async fn serve_public(
    listen: SocketAddr,
    mut routes: RoutesBuilder,
    services: &[&'static str],
    shutdown: Shutdown,
) -> Result<(SocketAddr, JoinHandle<()>), StartError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    for service in services {
        reporter.set_service_status(*service, ServingStatus::Serving).await;
    }
    routes.add_service(health);
    routes.add_service(reflection().build_v1()?);
    routes.add_service(reflection().build_v1alpha()?);
    let (going, services) = (shutdown.clone(), services.to_vec());
    tokio::spawn(async move {
        going.stopped().await;
        for service in services {
            reporter.set_service_status(service, ServingStatus::NotServing).await;
        }
    });
    serve(listen, routes, shutdown).await
}

/// Serves `routes` on `listen` until it is stopped.
pub(crate) async fn serve(
    listen: SocketAddr,
    routes: RoutesBuilder,
    shutdown: Shutdown,
) -> Result<(SocketAddr, JoinHandle<()>), StartError> {
    let listener = bind(listen).await?;
    let address = listener.local_addr().map_err(|error| at(&listen.to_string(), error))?;
    let serving = tokio::spawn(async move {
        if let Err(error) = serve_grpc(listener, routes.routes(), shutdown).await {
            tracing::error!(%error, "gRPC server ended");
        }
    });
    Ok((address, serving))
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(shop_proto::DESCRIPTORS)
}

/// Binds `address`.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|error| at(&address.to_string(), error))
}

pub(crate) fn at(what: &str, error: io::Error) -> StartError {
    StartError::Io(what.to_owned(), error)
}
