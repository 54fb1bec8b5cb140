//! Gives back what cancelled and refunded orders owe, and closes the other payments of those that were paid.

use std::collections::BTreeMap;

use shop_common::{
    error::ShopError,
    id::{OrderId, PayId},
    link::call,
};
use shop_proto::{
    common::v1::{DoOutcome, UndoOutcome, do_outcome, undo_outcome},
    coupon::v1::{ReinstateCouponCommand, ReinstateCouponRequest},
    goods::v1::{ReleaseStockCommand, ReleaseStockRequest},
    pay::v1::{ClosePaymentsCommand, ClosePaymentsRequest, RefundOrderCommand, RefundOrderRequest},
    user::v1::{RefundBalanceCommand, RefundBalanceRequest},
};
use tonic::Status as RpcStatus;

use super::{OrderSweep, TIMEOUT};
use crate::order::{Order, Owed};

impl OrderSweep {
    /// Asks each participant for what is owed and takes off what it answers for.
    pub(super) async fn give_back(&self, owing: &BTreeMap<OrderId, Order>) {
        let of = |bit| {
            owing.iter().filter(|(_, order)| order.owed.contains(bit)).map(|(id, _)| *id).collect::<Vec<OrderId>>()
        };
        let (stock, coupon, balance) = (of(Owed::STOCK), of(Owed::COUPON), of(Owed::BALANCE));
        let (close, refund) = (of(Owed::CLOSE), of(Owed::REFUND));
        let answers = tokio::join!(
            self.release(&stock),
            self.reinstate(&coupon),
            self.refund_balance(&balance),
            self.close(&close),
            self.refund_payment(&refund, owing),
        );
        let answers = [
            (Owed::STOCK, stock, answers.0),
            (Owed::COUPON, coupon, answers.1),
            (Owed::BALANCE, balance, answers.2),
            (Owed::CLOSE, close, answers.3),
            (Owed::REFUND, refund, answers.4),
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

    async fn refund_balance(&self, orders: &[OrderId]) -> Result<Vec<bool>, RpcStatus> {
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
        Ok(answer.into_inner().outcomes.iter().map(done).collect())
    }

    /// What was paid through a channel goes back: the payment that the order has bound, and no other.
    async fn refund_payment(
        &self,
        orders: &[OrderId],
        owing: &BTreeMap<OrderId, Order>,
    ) -> Result<Vec<bool>, RpcStatus> {
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let bound = |id: &OrderId| owing.get(id).and_then(|order| order.pay_id).map_or(0, PayId::get);
        let command = |id: &OrderId| RefundOrderCommand { context: None, order_id: id.get(), pay_id: bound(id) };
        let commands = orders.iter().map(command).collect();
        let mut client = self.payments.clone();
        let request = call(RefundOrderRequest { commands }, TIMEOUT);
        let answer = self.pay_retries.ask(client.refund_order(request)).await?;
        let outcomes = answer.into_inner().outcomes;
        for (order_id, outcome) in orders.iter().zip(&outcomes).filter(|(_, outcome)| !done(outcome)) {
            tracing::error!(order.id = %order_id, ?outcome, "the payment of order {order_id} is not refunded yet");
        }
        Ok(outcomes.iter().map(done).collect())
    }
}

fn undone(outcome: &UndoOutcome) -> bool {
    use undo_outcome::Kind;
    matches!(outcome.kind(), Kind::Undone | Kind::NeverDone | Kind::AlreadyUndone)
}

fn done(outcome: &DoOutcome) -> bool {
    use do_outcome::Kind;
    matches!(outcome.kind(), Kind::Done | Kind::Already)
}
