//! Finishes what a crash, a lost message or somebody's absence left: orders never confirmed, and what is still owed.
//! The broker is not needed for any of it.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use shop_common::{
    db::{Db, Failure},
    due::{Backoff, Sweep},
    error::ShopError,
    id::OrderId,
    link::{Link, call},
    retry::Retries,
    time::Millis,
};
use shop_proto::{
    common::v1::{DoOutcome, UndoOutcome, do_outcome, undo_outcome},
    coupon::v1::{ReinstateCouponCommand, ReinstateCouponRequest, redemption_service_client::RedemptionServiceClient},
    goods::v1::{ReleaseStockCommand, ReleaseStockRequest, stock_service_client::StockServiceClient},
    pay::v1::{ClosePaymentsCommand, ClosePaymentsRequest, payment_state_service_client::PaymentStateServiceClient},
    user::v1::{RefundBalanceCommand, RefundBalanceRequest, balance_service_client::BalanceServiceClient},
};
use tonic::Status as RpcStatus;

use crate::{
    order::{Cause, Order, Owed, Status},
    saga::participants::Links,
    store,
    transitions::Transitions,
};

const BATCH: u32 = 256;
const TIMEOUT: Duration = Duration::from_secs(5);

/// The sweeper of orders.
pub(crate) struct OrderSweep {
    db: Db,
    transitions: Transitions,
    stock: StockServiceClient<Link>,
    coupons: RedemptionServiceClient<Link>,
    balance: BalanceServiceClient<Link>,
    payments: PaymentStateServiceClient<Link>,
    goods_retries: Retries,
    coupon_retries: Retries,
    user_retries: Retries,
    pay_retries: Retries,
}

#[async_trait]
impl Sweep for OrderSweep {
    fn name(&self) -> &'static str {
        "order"
    }

    async fn run_once(&self, now: Millis) -> Result<usize, Failure> {
        if !store::any_due(self.db.read(), now).await? {
            return Ok(0);
        }
        let claimed =
            self.db.write_tx(async |tx| store::DUE.claim::<i64>(tx, BATCH, Backoff::default(), now).await).await?;
        let rows = store::rows(self.db.read(), claimed.iter().map(|(order_id, _)| *order_id).collect()).await?;
        let (mut stale, mut owing) = (Vec::new(), BTreeMap::new());
        for row in &rows {
            let (order_id, order) = (OrderId::new(row.order_id), Order::try_from(row)?);
            if order.status == Status::Unconfirmed {
                stale.push(order_id);
            } else {
                owing.insert(order_id, order);
            }
        }
        futures::future::join(self.recover(&stale), self.give_back(&owing)).await;
        Ok(claimed.len())
    }
}

impl OrderSweep {
    pub(crate) fn new(db: Db, transitions: Transitions, links: &Links) -> Self {
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

    /// Asks each participant for what is owed and takes off what it answers for.
    async fn give_back(&self, owing: &BTreeMap<OrderId, Order>) {
        let of = |bit| {
            owing.iter().filter(|(_, order)| order.owed.contains(bit)).map(|(id, _)| *id).collect::<Vec<OrderId>>()
        };
        let (stock, coupon, balance, close) = (of(Owed::STOCK), of(Owed::COUPON), of(Owed::BALANCE), of(Owed::CLOSE));
        let answers =
            tokio::join!(self.release(&stock), self.reinstate(&coupon), self.refund(&balance), self.close(&close));
        let answers = [
            (Owed::STOCK, stock, answers.0),
            (Owed::COUPON, coupon, answers.1),
            (Owed::BALANCE, balance, answers.2),
            (Owed::CLOSE, close, answers.3),
        ];
        let mut settled: BTreeMap<OrderId, Owed> = BTreeMap::new();
        for (bit, asked, answer) in answers {
            match answer {
                Ok(done) => asked.into_iter().zip(done).filter(|(_, done)| *done).for_each(|(order_id, _)| {
                    let owed = settled.entry(order_id).or_default();
                    *owed = *owed | bit;
                }),
                Err(status) => {
                    let error = ShopError::from_status(&status);
                    tracing::warn!(owed = %bit, orders = asked.len(), %error, "cannot give back yet; trying again later");
                }
            }
        }
        let settles = settled.into_iter().filter_map(|(order_id, bits)| {
            let asked_in = owing.get(&order_id)?.status;
            Some(self.transitions.settle(order_id, bits, asked_in))
        });
        for outcome in futures::future::join_all(settles).await {
            if let Err(error) = outcome {
                tracing::warn!(%error, "what was given back is asked for once more");
            }
        }
    }

    async fn release(&self, orders: &[OrderId]) -> Result<Vec<bool>, RpcStatus> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let commands = orders.iter().map(|id| ReleaseStockCommand { context: None, order_id: id.get() }).collect();
        let mut client = self.stock.clone();
        let request = call(ReleaseStockRequest { commands }, TIMEOUT);
        let answer = self.goods_retries.ask(client.release_stock(request)).await?;
        Ok(answer.into_inner().outcomes.iter().map(undone).collect())
    }

    async fn reinstate(&self, orders: &[OrderId]) -> Result<Vec<bool>, RpcStatus> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let commands = orders.iter().map(|id| ReinstateCouponCommand { context: None, order_id: id.get() }).collect();
        let mut client = self.coupons.clone();
        let request = call(ReinstateCouponRequest { commands }, TIMEOUT);
        let answer = self.coupon_retries.ask(client.reinstate_coupon(request)).await?;
        Ok(answer.into_inner().outcomes.iter().map(undone).collect())
    }

    async fn refund(&self, orders: &[OrderId]) -> Result<Vec<bool>, RpcStatus> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let commands = orders.iter().map(|id| RefundBalanceCommand { context: None, order_id: id.get() }).collect();
        let mut client = self.balance.clone();
        let request = call(RefundBalanceRequest { commands }, TIMEOUT);
        let answer = self.user_retries.ask(client.refund_balance(request)).await?;
        Ok(answer.into_inner().outcomes.iter().map(undone).collect())
    }

    async fn close(&self, orders: &[OrderId]) -> Result<Vec<bool>, RpcStatus> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let commands = orders.iter().map(|id| ClosePaymentsCommand { context: None, order_id: id.get() }).collect();
        let mut client = self.payments.clone();
        let request = call(ClosePaymentsRequest { commands }, TIMEOUT);
        let answer = self.pay_retries.ask(client.close_payments(request)).await?;
        Ok(answer.into_inner().outcomes.iter().map(closed).collect())
    }
}

fn undone(outcome: &UndoOutcome) -> bool {
    use undo_outcome::Kind;
    matches!(outcome.kind(), Kind::Undone | Kind::NeverDone | Kind::AlreadyUndone)
}

fn closed(outcome: &DoOutcome) -> bool {
    use do_outcome::Kind;
    matches!(outcome.kind(), Kind::Done | Kind::Already)
}
