//! The REST gateway of this process.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use shop_common::{
    code::ShopCode,
    error::ShopError,
    id::PayId,
    link::{Link, call},
    money::Fen,
    shutdown::Shutdown,
};
use shop_proto::pay::v1::{
    GetStatementRequest, GetTradeRequest, PayLikeABuyerRequest, PaymentStatus,
    sandbox_service_client::SandboxServiceClient,
};
use shop_web::{Buyer, Links, Ops, Standing, Trade};
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
    let router = shop_web::router(&config.web, links, buyer, ops(&shutdown, metrics));
    let (web, grace) = (config.web.clone(), config.shutdown.grace());
    let serving = tokio::spawn(async move { shop_web::serve(&web, listeners, router, grace, shutdown).await });
    Ok((addresses, serving))
}

/// Serves health, readiness and metrics alone on `listen`.
pub(crate) async fn serve_operations(
    config: &Config,
    listen: SocketAddr,
    metrics: Option<PrometheusHandle>,
    shutdown: Shutdown,
) -> Result<(SocketAddr, JoinHandle<()>), StartError> {
    let listener = bind(listen).await?;
    let address = listener.local_addr().map_err(|error| at("ops.listen", error))?;
    let router = shop_web::operations(ops(&shutdown, metrics));
    let (web, grace) = (config.web.clone(), config.shutdown.grace());
    let serving = tokio::spawn(async move { shop_web::serve(&web, vec![listener], router, grace, shutdown).await });
    Ok((address, serving))
}

fn ops(shutdown: &Shutdown, metrics: Option<PrometheusHandle>) -> Ops {
    let ready = shutdown.clone();
    Ops { is_ready: Arc::new(move || ready.is_ready()), metrics }
}

/// The buyer's page, where the sandbox is on; `pay` is where its books are.
pub(crate) fn buyer(config: &Config, pay: &Link) -> Option<Arc<dyn Buyer>> {
    let buyer = || SandboxBuyer { sandbox: SandboxServiceClient::new(pay.clone()), timeout: config.web.call_timeout() };
    config.pay.sandbox.enabled.then(|| -> Arc<dyn Buyer> { Arc::new(buyer()) })
}

/// All services behind one link.
pub(crate) fn links_of_one(all: &Link, with_operators: bool) -> Links {
    Links {
        orders: all.clone(),
        order_state: all.clone(),
        payments: all.clone(),
        payment_state: all.clone(),
        refunds: with_operators.then(|| all.clone()),
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
    async fn look(&self, pay_id: PayId) -> Result<Trade, ShopError> {
        let request = call(GetTradeRequest { pay_id: pay_id.get() }, self.timeout);
        let trade = self.sandbox.clone().get_trade(request).await.map_err(|status| ShopError::from_status(&status))?;
        let trade = trade.into_inner();
        let standing = match trade.status() {
            PaymentStatus::Paying => Standing::Waiting,
            PaymentStatus::Paid => Standing::Paid,
            PaymentStatus::Unpaid => Standing::Closed,
        };
        Ok(Trade { amount: Fen::new(trade.amount_fen), status: standing })
    }

    async fn pay(&self, pay_id: PayId) -> Result<(), ShopError> {
        let request = call(PayLikeABuyerRequest { pay_id: pay_id.get() }, self.timeout);
        let paid = self.sandbox.clone().pay_like_a_buyer(request).await;
        paid.map(drop).map_err(|status| ShopError::from_status(&status))
    }

    async fn statement(&self, day: &str) -> Result<String, ShopError> {
        let request = call(GetStatementRequest { day: day.to_owned() }, self.timeout);
        let answer = self.sandbox.clone().get_statement(request).await;
        let csv = answer.map_err(|status| ShopError::from_status(&status))?.into_inner().csv;
        String::from_utf8(csv).map_err(|_| ShopCode::Internal.into())
    }
}
