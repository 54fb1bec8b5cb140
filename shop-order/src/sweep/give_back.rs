//! Gives back what cancelled and refunded orders owe, and closes the other payments of those that were paid.

use std::collections::BTreeMap;

use shop_common::{
    error::ShopError,
    id::{OrderId, PayId},
    link::{BETWEEN_SERVICES, call},
};
use shop_proto::{
    common::v1::{DoOutcome, UndoOutcome, do_outcome, undo_outcome},
    coupon::v1::{ReinstateCouponCommand, ReinstateCouponRequest},
    goods::v1::{ReleaseStockCommand, ReleaseStockRequest},
    pay::v1::{ClosePaymentsCommand, ClosePaymentsRequest, RefundOrderCommand, RefundOrderRequest},
    user::v1::{RefundBalanceCommand, RefundBalanceRequest},
};
use tonic::Status as RpcStatus;

use super::OrderSweep;
use crate::order::{Order, Owed};

/// Orders that owe something.
type Owing = BTreeMap<OrderId, Order>;

/// What a participant says of one order.
enum Given {
    /// It holds nothing of it any more.
    Back,
    /// Nobody knows: it is asked again.
    NotYet(String),
    /// It does not, and asking again will hardly change that.
    Not(String),
}

impl OrderSweep {
    /// Asks each participant for what is owed and takes off what it answers for.
    pub(super) async fn give_back(&self, owing: &Owing) {
        let stock = ask(Owed::STOCK, owing, |orders| async {
            let commands =
                orders.into_iter().map(|(order_id, _)| ReleaseStockCommand { context: None, order_id }).collect();
            let request = call(ReleaseStockRequest { commands }, BETWEEN_SERVICES);
            let answer = self.goods_retries.ask(self.stock.clone().release_stock(request)).await?;
            Ok(answer.into_inner().outcomes.iter().map(undone).collect())
        });
        let coupon = ask(Owed::COUPON, owing, |orders| async {
            let commands =
                orders.into_iter().map(|(order_id, _)| ReinstateCouponCommand { context: None, order_id }).collect();
            let request = call(ReinstateCouponRequest { commands }, BETWEEN_SERVICES);
            let answer = self.coupon_retries.ask(self.coupons.clone().reinstate_coupon(request)).await?;
            Ok(answer.into_inner().outcomes.iter().map(undone).collect())
        });
        let balance = ask(Owed::BALANCE, owing, |orders| async {
            let commands =
                orders.into_iter().map(|(order_id, _)| RefundBalanceCommand { context: None, order_id }).collect();
            let request = call(RefundBalanceRequest { commands }, BETWEEN_SERVICES);
            let answer = self.user_retries.ask(self.balance.clone().refund_balance(request)).await?;
            Ok(answer.into_inner().outcomes.iter().map(undone).collect())
        });
        let close = ask(Owed::CLOSE, owing, |orders| async {
            let commands =
                orders.into_iter().map(|(order_id, _)| ClosePaymentsCommand { context: None, order_id }).collect();
            let request = call(ClosePaymentsRequest { commands }, BETWEEN_SERVICES);
            let answer = self.pay_retries.ask(self.payments.clone().close_payments(request)).await?;
            Ok(answer.into_inner().outcomes.iter().map(done).collect())
        });
        // What was paid through a channel goes back: the payment that the order has bound, and no other.
        let refund = ask(Owed::REFUND, owing, |orders| async {
            let commands =
                orders.into_iter().map(|(order_id, pay_id)| RefundOrderCommand { context: None, order_id, pay_id });
            let request = call(RefundOrderRequest { commands: commands.collect() }, BETWEEN_SERVICES);
            let answer = self.pay_retries.ask(self.payments.clone().refund_order(request)).await?;
            Ok(answer.into_inner().outcomes.iter().map(done).collect())
        });
        let (stock, coupon, balance, close, refund) = tokio::join!(stock, coupon, balance, close, refund);
        self.take_off(owing, [stock, coupon, balance, close, refund].into_iter().flatten()).await;
    }

    /// Notes what was given back; what cannot be noted is asked for once more.
    async fn take_off(&self, owing: &Owing, given: impl Iterator<Item = (OrderId, Owed)>) {
        let mut settled: BTreeMap<OrderId, Owed> = BTreeMap::new();
        for (order_id, bit) in given {
            let owed = settled.entry(order_id).or_default();
            *owed = *owed | bit;
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
}

/// Asks about the orders that owe `bit`, each as its id and the id of the payment it has bound (0 for none): those that
/// owe it no more. The answers come in the order of the commands.
async fn ask<Asked>(bit: Owed, owing: &Owing, ask: impl FnOnce(Vec<(i64, i64)>) -> Asked) -> Vec<(OrderId, Owed)>
where
    Asked: Future<Output = Result<Vec<Given>, RpcStatus>>,
{
    let orders: Vec<(&OrderId, &Order)> = owing.iter().filter(|(_, order)| order.owed.contains(bit)).collect();
    if orders.is_empty() {
        return Vec::new();
    }
    let ids = orders.iter().map(|(order_id, order)| (order_id.get(), order.pay_id.map_or(0, PayId::get)));
    let answers = match ask(ids.collect()).await {
        Ok(answers) => answers,
        Err(status) => {
            let error = ShopError::from_status(&status);
            tracing::warn!(owed = %bit, orders = orders.len(), %error, "cannot give back yet; trying again later");
            return Vec::new();
        }
    };
    let mut given = Vec::with_capacity(answers.len());
    for ((order_id, _), answer) in orders.into_iter().zip(answers) {
        match answer {
            Given::Back => given.push((*order_id, bit)),
            Given::NotYet(why) => tracing::warn!(order.id = %order_id, owed = %bit, why, "cannot give back yet"),
            Given::Not(why) => {
                tracing::error!(order.id = %order_id, owed = %bit, why, "order {order_id} still owes its {bit}");
            }
        }
    }
    given
}

fn undone(outcome: &UndoOutcome) -> Given {
    use undo_outcome::Kind;
    match outcome.kind() {
        Kind::Undone | Kind::NeverDone | Kind::AlreadyUndone => Given::Back,
        Kind::NotRun | Kind::Unknown => Given::NotYet(format!("{outcome:?}")),
        Kind::Unspecified => Given::Not(format!("{outcome:?}")),
    }
}

fn done(outcome: &DoOutcome) -> Given {
    use do_outcome::Kind;
    match outcome.kind() {
        Kind::Done | Kind::Already => Given::Back,
        Kind::NotRun | Kind::Unknown => Given::NotYet(format!("{outcome:?}")),
        Kind::Cancelled | Kind::Refused | Kind::Unspecified => Given::Not(format!("{outcome:?}")),
    }
}
