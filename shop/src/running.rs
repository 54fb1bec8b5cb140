//! A running shop: all services, broker and gateway in one process.

use std::{fs, io, net::SocketAddr, sync::Arc};

use metrics_exporter_prometheus::PrometheusHandle;
use shop_broker::{Broker, BrokerConfig, BrokerError};
use shop_common::{
    db::Failure,
    id::{BadWorker, Generator},
    mq::{
        PublishError, SharedBus,
        rocketmq::{RocketMqBus, RocketMqConfig},
    },
    service::serve_grpc,
    shutdown::{self, Shutdown, Switch},
    time::Clock,
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::service::Routes;
use tonic_health::ServingStatus;

use crate::{
    assemble::{Services, Shared, open_all},
    config::Config,
    exposure::{self, NotAllowed},
    gateway,
};

/// The public services by name, for health and reflection.
pub const PUBLIC_SERVICES: [&str; 5] = [
    "shop.order.v1.OrderService",
    "shop.pay.v1.PayService",
    "shop.goods.v1.GoodsService",
    "shop.coupon.v1.CouponService",
    "shop.user.v1.UserService",
];

/// Why the shop did not start.
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
}

/// A running shop.
pub struct Shop {
    /// Its services.
    pub services: Services,
    /// Where the public gRPC services listen.
    pub grpc: SocketAddr,
    /// Where the gateway listens.
    pub web: Vec<SocketAddr>,
    bus: SharedBus,
    broker: Option<Broker>,
    switch: Switch,
    tasks: Vec<JoinHandle<()>>,
}

impl Shop {
    /// Starts everything; returns when clients can be served.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: &Config, metrics: Option<PrometheusHandle>) -> Result<Self, StartError> {
        let every_listener = exposure::listeners(config);
        exposure::check(config, &every_listener)?;
        fs::create_dir_all(&config.data_dir).map_err(|error| at(&config.data_dir.display().to_string(), error))?;
        let schemas = open_all(config).await?;
        let (broker, bus) = connect_bus(config).await?;
        let (switch, shutdown) = shutdown::channel();
        let ids = Arc::new(Generator::new(config.id.worker)?);
        let shared = Shared { bus: Arc::clone(&bus), clock: Clock::system(), ids, shutdown: shutdown.clone() };
        let services = Services::build(config, schemas, shared, |routes| routes)?;
        services.listen();
        let mut tasks = services.start(config);
        let (grpc, serving) = serve_public(config, &services, shutdown.clone()).await?;
        tasks.push(serving);
        let (web, serving) = gateway::serve(config, &services, metrics, shutdown).await?;
        tasks.push(serving);
        Ok(Self { services, grpc, web, bus, broker, switch, tasks })
    }

    /// Stops in order: no new work, running work finishes, then the bus and the broker.
    pub async fn stop(self) {
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
        self.services.schemas.close().await;
    }
}

async fn connect_bus(config: &Config) -> Result<(Option<Broker>, SharedBus), StartError> {
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

async fn serve_public(config: &Config, services: &Services, shutdown: Shutdown) -> Result<(SocketAddr, JoinHandle<()>), StartError> {
    let listener = bind(config.grpc.listen).await?;
    let address = listener.local_addr().map_err(|error| at("grpc.listen", error))?;
    let (reporter, health) = tonic_health::server::health_reporter();
    let mut routes = Routes::builder();
    services.add_public(&mut routes);
    routes.add_service(health);
    routes.add_service(reflection().build_v1()?);
    routes.add_service(reflection().build_v1alpha()?);
    let set_all = async |status| {
        for service in PUBLIC_SERVICES {
            reporter.set_service_status(service, status).await;
        }
    };
    set_all(ServingStatus::Serving).await;
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
