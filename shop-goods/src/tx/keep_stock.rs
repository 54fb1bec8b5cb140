//! Makes the stock of paid orders theirs for good.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    hold::Finished,
    id::OrderId,
    time::Millis,
};

use crate::store;

/// Keep what `order_id` took; a refund still gives it back.
#[derive(Clone, Copy, Debug)]
pub struct KeepStock {
    /// The order.
    pub order_id: OrderId,
}

impl Command for KeepStock {}

/// Load, decide, save.
pub async fn keep_stock(tx: &Tx, commands: &[KeepStock], now: Millis) -> Result<Vec<Finished>> {
    let orders = commands.iter().map(|command| command.order_id.get()).collect();
    let mut stock = store::load_to_keep(tx, orders).await?;
    let outcomes = commands.iter().map(|command| stock.keep(command.order_id)).collect();
    store::save(tx, &stock, now).await?;
    Ok(outcomes)
}
