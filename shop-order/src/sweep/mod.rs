//! Finishes what a crash, a lost message or somebody's absence left: orders never confirmed, orders not paid in time, and
//! what is still owed. The broker is not needed for any of it.

mod give_back;
mod time_out;

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use shop_common::{
    db::{Db, Failure},
    due::{Backoff, Sweep},
    id::OrderId,
    link::Link,
    retry::Retries,
    time::Millis,
};
use shop_proto::{
    coupon::v1::redemption_service_client::RedemptionServiceClient,
    goods::v1::stock_service_client::StockServiceClient,
    pay::v1::payment_state_service_client::PaymentStateServiceClient,
    user::v1::balance_service_client::BalanceServiceClient,
};

use crate::{
    order::{Cause, Status},
    saga::participants::Links,
    store,
    transitions::Transitions,
};

const BATCH: u32 = 256;

/// The sweeper of orders.
pub(crate) struct OrderSweep {
    pub(crate) db: Db,
    transitions: Transitions,
    stock: StockServiceClient<Link>,
    coupons: RedemptionServiceClient<Link>,
    balance: BalanceServiceClient<Link>,
    payments: PaymentStateServiceClient<Link>,
    goods_retries: Retries,
    coupon_retries: Retries,
    user_retries: Retries,
    pay_retries: Retries,
    close_patience: Duration,
}

#[async_trait]
impl Sweep for OrderSweep {
    fn name(&self) -> &'static str {
        "order"
    }

    async fn run_once(&self, now: Millis) -> Result<usize, Failure> {
        let claimed = store::DUE.claim::<i64>(&self.db, BATCH, Backoff::default(), now).await?;
        if claimed.is_empty() {
            return Ok(0);
        }
        let orders = store::orders(self.db.read(), claimed.iter().map(|(order_id, _)| *order_id).collect()).await?;
        let (mut stale, mut unpaid, mut owing) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (order_id, order) in orders {
            if order.status == Status::Unconfirmed {
                stale.push(order_id);
            } else if order.is_unpaid() {
                unpaid.push(order_id);
            } else {
                owing.insert(order_id, order);
            }
        }
        futures::join!(self.recover(&stale), self.time_out(&unpaid, now), self.give_back(&owing));
        Ok(claimed.len())
    }
}

impl OrderSweep {
    /// `close_patience`: how long an order that was not paid in time waits for the channel's answer.
    pub(crate) fn new(db: Db, transitions: Transitions, links: &Links, close_patience: Duration) -> Self {
        Self {
            db,
            transitions,
            stock: StockServiceClient::new(links.goods.clone()),
            coupons: RedemptionServiceClient::new(links.coupon.clone()),
            balance: BalanceServiceClient::new(links.user.clone()),
            payments: PaymentStateServiceClient::new(links.pay.clone()),
            goods_retries: Retries::new("goods"),
            coupon_retries: Retries::new("coupon"),
            user_retries: Retries::new("user"),
            pay_retries: Retries::new("pay"),
            close_patience,
        }
    }

    /// Orders still in status 0 after their deadline: whatever was taken goes back.
    async fn recover(&self, stale: &[OrderId]) {
        let cancels = stale.iter().map(|order_id| async move {
            match self.transitions.cancel(*order_id, Cause::Recovery).await {
                Ok(cancelled) => tracing::warn!(order.id = %order_id, ?cancelled, "order was not confirmed in time"),
                Err(error) => {
                    tracing::warn!(order.id = %order_id, %error, "recovery not known to be done; trying again");
                }
            }
        });
        futures::future::join_all(cancels).await;
    }
}
