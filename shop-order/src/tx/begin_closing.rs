//! The first step of a time-out: an order that was not paid in time takes no new payment.

use std::time::Duration;

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    id::OrderId,
    time::Millis,
};

use crate::store;

/// How long the channel has before it is asked again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Begin to close the order, if it is overdue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BeginClosing {
    pub(crate) order_id: OrderId,
}

impl Command for BeginClosing {}

/// Load, decide, save. Answers since when it is being closed; none where it is not overdue.
pub(crate) async fn begin_closing(tx: &Tx, commands: &[BeginClosing], now: Millis) -> Result<Vec<Option<Millis>>> {
    let mut orders = store::load(tx, commands.iter().map(|command| command.order_id.get()).collect()).await?;
    let outcomes = commands
        .iter()
        .map(|command| orders.get_mut(command.order_id)?.begin_closing(now, now.after(LOOK_AGAIN)))
        .collect();
    store::save(tx, &orders).await?;
    Ok(outcomes)
}
