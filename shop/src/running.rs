//! A running shop: all services, broker and gateway in one process.

use std::{net::SocketAddr, sync::Arc};

use metrics_exporter_prometheus::PrometheusHandle;
use shop_common::{id::Generator, shutdown, time::Clock, worker::Claim};
use tonic::service::Routes;

use crate::{
    assemble::{Services, Shared, open_all},
    config::Config,
    exposure, gateway,
    process::{Process, StartError, Stopping, connect_bus, serve_public},
};

/// The public services by name, for health and reflection.
pub const PUBLIC_SERVICES: [&str; 5] = [
    "shop.order.v1.OrderService",
    "shop.pay.v1.PayService",
    "shop.goods.v1.GoodsService",
    "shop.coupon.v1.CouponService",
    "shop.user.v1.UserService",
];

/// What operators call, where they are served.
pub(crate) const OPERATORS_SERVICE: &str = "shop.pay.v1.RefundService";

/// A running shop.
pub struct Shop {
    /// Its services.
    pub services: Services,
    /// Where the public gRPC services listen.
    pub grpc: SocketAddr,
    /// Where the gateway listens.
    pub web: Vec<SocketAddr>,
    process: Process,
}

impl Shop {
    /// Starts everything; returns when clients can be served.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: &Config, metrics: Option<PrometheusHandle>) -> Result<Self, StartError> {
        exposure::check(config, &exposure::listeners(config))?;
        let schemas = open_all(config).await?;
        let ids = Arc::new(Generator::new(config.id.worker)?);
        let claims = vec![Claim::take(&schemas.order, &ids).await?, Claim::take(&schemas.pay, &ids).await?];
        let (broker, bus) = connect_bus(config).await?;
        let (switch, shutdown) = shutdown::channel();
        let shared = Shared { bus: Arc::clone(&bus), clock: Clock::system(), ids, shutdown: shutdown.clone() };
        let services = Services::build(config, schemas, shared, |routes| routes)?;
        services.listen();
        let mut tasks = services.start(config);
        let (mut public, mut named) = (Routes::builder(), PUBLIC_SERVICES.to_vec());
        services.add_public(&mut public);
        let with_operators = exposure::serves_operators(config, &exposure::listeners(config));
        if with_operators {
            services.pay.add_operators(&mut public);
            named.push(OPERATORS_SERVICE);
        }
        let public = serve_public(config, public, named, shutdown.clone()).await?;
        tasks.push(public.serving);
        let links = gateway::links_of_one(&services.link, with_operators);
        let buyer = gateway::buyer(config, &services.link);
        let (web, serving) = gateway::serve(config, links, buyer, metrics, shutdown).await?;
        tasks.push(serving);
        let stopping = Stopping { switch, health: public.health, config: config.shutdown };
        let process = Process { bus, broker, stopping, tasks, relays: services.relays().to_vec(), claims };
        Ok(Self { services, grpc: public.address, web, process })
    }

    /// Stops in order: not ready, no new work, running work finishes, then the bus, the broker and the databases.
    pub async fn stop(self) {
        self.process.stop().await;
        self.services.schemas.close().await;
    }
}
