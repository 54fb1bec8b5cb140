//! The REST gateway of this process.

use std::{net::SocketAddr, sync::Arc};

use metrics_exporter_prometheus::PrometheusHandle;
use shop_common::{error::ShopError, id::PayId, link::Link, shutdown::Shutdown};
use shop_pay::channel::sandbox::Sandbox;
use shop_web::{Buyer, Links, Ops};
use tokio::task::JoinHandle;

use crate::{
    assemble::Services,
    config::Config,
    process::{StartError, at, bind},
};

/// Binds the gateway's addresses and serves them.
pub(crate) async fn serve(
    config: &Config,
    links: Links,
    buyer: Option<Arc<dyn Buyer>>,
    metrics: Option<PrometheusHandle>,
    shutdown: Shutdown,
) -> Result<(Vec<SocketAddr>, JoinHandle<()>), StartError> {
    let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
    for address in &config.web.listen {
        let listener = bind(*address).await?;
        addresses.push(listener.local_addr().map_err(|error| at("web.listen", error))?);
        listeners.push(listener);
    }
    let ready = shutdown.clone();
    let ops = Ops { is_ready: Arc::new(move || ready.is_ready()), metrics };
    let router = shop_web::router(&config.web, links, buyer, ops);
    let (web, grace) = (config.web.clone(), config.shutdown.grace());
    let serving = tokio::spawn(async move { shop_web::serve(&web, listeners, router, grace, shutdown).await });
    Ok((addresses, serving))
}

/// The buyer's page, where the sandbox is in this process.
pub(crate) fn buyer(services: &Services) -> Option<Arc<dyn Buyer>> {
    services.pay.sandbox().map(|sandbox| -> Arc<dyn Buyer> { Arc::new(SandboxBuyer(sandbox)) })
}

/// All services behind one link.
pub(crate) fn links_of_one(all: &Link) -> Links {
    Links {
        orders: all.clone(),
        order_state: all.clone(),
        payments: all.clone(),
        payment_state: all.clone(),
        goods: all.clone(),
        coupons: all.clone(),
        users: all.clone(),
    }
}

struct SandboxBuyer(Sandbox);

#[async_trait::async_trait]
impl Buyer for SandboxBuyer {
    async fn pay(&self, pay_id: PayId) -> Result<(), ShopError> {
        self.0.pay_like_a_buyer(pay_id).await
    }
}
