//! `shop retake`: takes again what confirmed orders should hold and a service has forgotten whose database was restored to
//! an earlier moment.
//!
//! Each order takes under its own id, by the very command of its saga: what is held, or was given back, stays as it is. So
//! it may run twice, and beside a running shop.

use std::{error::Error, fmt, future::Future, time::Duration};

use serde::Serialize;
use shop_common::{
    db::Db,
    link::{Link, call},
    service::Deps,
    shutdown,
    time::Clock,
};
use shop_coupon::Coupon;
use shop_goods::Goods;
use shop_proto::{
    common::v1::{DoOutcome, do_outcome::Kind},
    coupon::v1::{RedeemCouponRequest, redemption_service_client::RedemptionServiceClient},
    goods::v1::{ReserveStockRequest, stock_service_client::StockServiceClient},
    user::v1::{DebitBalanceRequest, balance_service_client::BalanceServiceClient},
};
use shop_user::User;
use tonic::{Status, service::Routes};

use crate::{
    audit::{Missing, Schemas},
    beside::deps,
    config::Config,
};

/// Commands of one call.
const BATCH: usize = 256;
/// Longest wait for one.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What was taken again, and what was not.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    taken: Vec<Row>,
    refused: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    /// As JSON has ids: a string.
    order_id: String,
    /// `stock`, `coupon` or `balance`.
    what: &'static str,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// Looks for what is missing in all `schemas`, and takes it.
///
/// # Errors
/// A database is away: what was taken until then stays taken, and the rest is found by the next run.
pub async fn retake(config: &Config, schemas: &Schemas, clock: &Clock) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let missing = Missing::find(schemas, clock.now()).await?;
    let link = services(config, schemas, clock);
    let (stock, coupons, balance) = (
        StockServiceClient::new(link.clone()),
        RedemptionServiceClient::new(link.clone()),
        BalanceServiceClient::new(link),
    );
    let mut report = Report::default();
    let reserve = async |commands| {
        let request = call(ReserveStockRequest { commands }, TIMEOUT);
        Ok(stock.clone().reserve_stock(request).await?.into_inner().outcomes)
    };
    report.take("stock", &missing.stock, |command| command.order_id, reserve).await?;
    let redeem = async |commands| {
        let request = call(RedeemCouponRequest { commands }, TIMEOUT);
        Ok(coupons.clone().redeem_coupon(request).await?.into_inner().outcomes)
    };
    report.take("coupon", &missing.coupons, |command| command.order_id, redeem).await?;
    let debit = async |commands| {
        let request = call(DebitBalanceRequest { commands }, TIMEOUT);
        Ok(balance.clone().debit_balance(request).await?.into_inner().outcomes)
    };
    report.take("balance", &missing.balance, |command| command.order_id, debit).await?;
    Ok(report)
}

/// The three that hold something for orders, reached without TCP.
fn services(config: &Config, schemas: &Schemas, clock: &Clock) -> Link {
    let (_switch, shutdown) = shutdown::channel();
    let deps = |db: &Db| Deps { clock: clock.clone(), ..deps(config, db, shutdown.clone()) };
    let mut routes = Routes::builder();
    Goods::new(&config.goods, deps(&schemas.goods)).add_internal(&mut routes);
    Coupon::new(&config.coupon, deps(&schemas.coupon)).add_internal(&mut routes);
    User::new(&config.user, deps(&schemas.user)).add_internal(&mut routes);
    Link::local(routes.routes())
}

impl Report {
    /// Whether every order holds what it should.
    pub fn is_clean(&self) -> bool {
        self.refused.is_empty()
    }

    async fn take<C: Clone, F>(
        &mut self,
        what: &'static str,
        commands: &[C],
        order_id: impl Fn(&C) -> i64,
        take: impl Fn(Vec<C>) -> F,
    ) -> Result<(), Status>
    where
        F: Future<Output = Result<Vec<DoOutcome>, Status>>,
    {
        for commands in commands.chunks(BATCH) {
            for (command, outcome) in commands.iter().zip(take(commands.to_vec()).await?) {
                let order_id = order_id(command);
                let why = refusal(&outcome);
                tracing::info!(order.id = order_id, what, refused = why, "{what} of order {order_id} is taken again");
                let rows = if why.is_none() { &mut self.taken } else { &mut self.refused };
                rows.push(Row { order_id: order_id.to_string(), what, why });
            }
        }
        Ok(())
    }
}

/// Why the order does not hold it now; none where it does.
fn refusal(outcome: &DoOutcome) -> Option<String> {
    match outcome.kind() {
        Kind::Done | Kind::Already => None,
        Kind::Cancelled => Some("it was given back meanwhile".to_owned()),
        Kind::Refused => outcome.refusal.as_ref().map(|refusal| refusal.reason.clone()),
        Kind::NotRun | Kind::Unknown | Kind::Unspecified => Some(format!("not known: {}", outcome.detail)),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Row { order_id, what, why } in self.taken.iter().chain(&self.refused) {
            match why {
                None => writeln!(f, "order {order_id} holds its {what} again")?,
                Some(why) => writeln!(f, "order {order_id} does not hold its {what}: {why}")?,
            }
        }
        write!(f, "{} taken again, {} not", self.taken.len(), self.refused.len())
    }
}
