//! Makes the coupons of orders usable again.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    hold::Undone,
    id::OrderId,
    time::Millis,
};

use crate::store;

/// Give back what `order_id` spent; keep a late redemption out.
#[derive(Clone, Copy, Debug)]
pub struct ReinstateCoupon {
    /// The order.
    pub order_id: OrderId,
}

impl Command for ReinstateCoupon {}

/// Load, decide, save.
pub async fn reinstate_coupon(tx: &Tx, commands: &[ReinstateCoupon], now: Millis) -> Result<Vec<Undone>> {
    let orders = commands.iter().map(|command| command.order_id.get()).collect();
    let mut view = store::load_to_reinstate(tx, orders).await?;
    let outcomes = commands.iter().map(|command| view.reinstate(command.order_id)).collect();
    store::save(tx, &view, now).await?;
    Ok(outcomes)
}
