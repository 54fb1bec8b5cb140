//! Closes the payments of orders.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    hold::Done,
    id::OrderId,
    time::Millis,
};

use crate::store;

/// Close what is open of `order_id`; keep new payments out.
#[derive(Clone, Copy, Debug)]
pub struct ClosePayments {
    /// The order.
    pub order_id: OrderId,
}

impl Command for ClosePayments {}

/// Load, decide, save.
pub async fn close_payments(tx: &Tx, commands: &[ClosePayments], now: Millis) -> Result<Vec<Done>> {
    let mut view = store::load_orders(tx, commands.iter().map(|command| command.order_id.get()).collect()).await?;
    let outcomes = commands.iter().map(|command| view.close(command.order_id, now)).collect();
    store::save(tx, &view, now).await?;
    Ok(outcomes)
}
