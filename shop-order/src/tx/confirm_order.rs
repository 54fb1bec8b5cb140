//! 0 → 1, with the message that says so, and the one that looks after the payments of the whole batch.

use std::time::Duration;

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    id::OrderId,
    outbox::{self, Message},
    time::Millis,
    trace::TraceParent,
};
use shop_proto::{
    event::{OrderConfirmed, TIMEOUT_ORDERS_MAX, VERSION},
    topic::ORDER_CONFIRM,
};

use crate::{
    order::{Confirmed, Order},
    store,
    timeout_hint::timeout_hint,
};

/// Confirm an order whose stock, coupon and balance are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConfirmOrder {
    pub(crate) order_id: OrderId,
    /// How long it may stay unpaid.
    pub(crate) pay_timeout: Duration,
    pub(crate) trace: TraceParent,
}

impl Command for ConfirmOrder {}

/// Load, decide, save. Answers with the order as it is then; none where there is no such order.
pub(crate) async fn confirm_order(
    tx: &Tx,
    commands: &[ConfirmOrder],
    now: Millis,
) -> Result<Vec<(Confirmed, Option<Order>)>> {
    let mut orders = store::load(tx, commands.iter().map(|command| command.order_id.get()).collect()).await?;
    let (mut outcomes, mut messages) = (Vec::with_capacity(commands.len()), Vec::new());
    let mut unpaid = Vec::new();
    for command in commands {
        let Some(order) = orders.get_mut(command.order_id) else {
            outcomes.push((Confirmed::TooLate, None));
            continue;
        };
        let outcome = order.confirm(now, now.after(command.pay_timeout));
        if outcome == Confirmed::Now {
            let (order_id, user_id) = (command.order_id.get(), order.user_id.get());
            let body = OrderConfirmed { version: VERSION, order_id, user_id, pay_amount: order.amount_due.to_string() };
            messages.push(Message::new(ORDER_CONFIRM, order_id, &body, command.trace)?);
            unpaid.extend(order.awaited_until().map(|deadline| (deadline, order_id, command.trace)));
        }
        outcomes.push((outcome, Some(order.clone())));
    }
    for together in unpaid.chunks(TIMEOUT_ORDERS_MAX) {
        let order_ids = together.iter().map(|(_, order_id, _)| *order_id).collect();
        let Some((deadline, _, trace)) = together.first().copied() else { continue };
        messages.extend(timeout_hint(order_ids, deadline, trace, now)?);
    }
    store::save(tx, &orders).await?;
    outbox::append(tx, &messages, now).await?;
    Ok(outcomes)
}
