//! Gives the stock of orders back.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    hold::Undone,
    id::OrderId,
    time::Millis,
};

use crate::store;

/// Give back what `order_id` took; keep a late reservation out.
#[derive(Clone, Copy, Debug)]
pub struct ReleaseStock {
    /// The order.
    pub order_id: OrderId,
}

impl Command for ReleaseStock {}

/// Load, decide, save.
pub async fn release_stock(tx: &Tx, commands: &[ReleaseStock], now: Millis) -> Result<Vec<Undone>> {
    let mut stock = store::load_to_release(tx, commands.iter().map(|command| command.order_id.get()).collect()).await?;
    let outcomes = commands.iter().map(|command| stock.release(command.order_id)).collect();
    store::save(tx, &stock, now).await?;
    Ok(outcomes)
}
