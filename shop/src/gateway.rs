//! The REST gateway of this process.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use shop_common::{
    error::ShopError,
    id::PayId,
    link::{Link, call},
    shutdown::Shutdown,
};
use shop_proto::pay::v1::{PayLikeABuyerRequest, sandbox_service_client::SandboxServiceClient};
use shop_web::{Buyer, Links, Ops};
use tokio::task::JoinHandle;

use crate::{
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

/// The buyer's page, where the sandbox is on; `pay` is where its books are.
pub(crate) fn buyer(config: &Config, pay: &Link) -> Option<Arc<dyn Buyer>> {
    let buyer = || SandboxBuyer { sandbox: SandboxServiceClient::new(pay.clone()), timeout: config.web.call_timeout() };
    config.pay.sandbox.enabled.then(|| -> Arc<dyn Buyer> { Arc::new(buyer()) })
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

struct SandboxBuyer {
    sandbox: SandboxServiceClient<Link>,
    timeout: Duration,
}

#[async_trait::async_trait]
impl Buyer for SandboxBuyer {
    async fn pay(&self, pay_id: PayId) -> Result<(), ShopError> {
        let request = call(PayLikeABuyerRequest { pay_id: pay_id.get() }, self.timeout);
        let paid = self.sandbox.clone().pay_like_a_buyer(request).await;
        paid.map(drop).map_err(|status| ShopError::from_status(&status))
    }
}
