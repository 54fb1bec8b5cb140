//! The one way an order ends early: a refused step, recovery after a crash, the buyer. Each cause has its own guard.

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
    event::{OrderCancelled, VERSION},
    topic::ORDER_CANCEL,
};

use crate::{
    order::{Cancelled, Cause, Status},
    store,
};

/// How long the broadcast has before the sweeper goes and gives back what is owed.
const HEAD_START: Duration = Duration::from_secs(1);

/// Cancel an order for `cause`.
#[derive(Clone, Debug)]
pub(crate) struct CancelOrder {
    pub(crate) order_id: OrderId,
    pub(crate) cause: Cause,
    pub(crate) trace: TraceParent,
}

impl Command for CancelOrder {}

/// Load, decide, save: the state, what it owes, and the message, in one transaction (traps 20, 21).
pub(crate) async fn cancel_order(tx: &Tx, commands: &[CancelOrder], now: Millis) -> Result<Vec<Cancelled>> {
    let mut orders = store::load(tx, commands.iter().map(|command| command.order_id.get()).collect()).await?;
    let (mut outcomes, mut messages) = (Vec::with_capacity(commands.len()), Vec::new());
    for command in commands {
        let Some(order) = orders.get_mut(command.order_id) else {
            outcomes.push(Cancelled::NotCancellable(Status::Invalid));
            continue;
        };
        let outcome = order.cancel(command.cause.clone(), now, now.after(HEAD_START));
        if outcome == Cancelled::Now {
            let (order_id, user_id) = (command.order_id.get(), order.user_id.get());
            let body = OrderCancelled { version: VERSION, order_id, user_id };
            messages.push(Message::new(ORDER_CANCEL, order_id, &body, command.trace)?);
        }
        outcomes.push(outcome);
    }
    store::save(tx, &orders).await?;
    outbox::append(tx, &messages, now).await?;
    Ok(outcomes)
}
