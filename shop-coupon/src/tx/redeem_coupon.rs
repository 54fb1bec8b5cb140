//! Spends coupons on orders.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    hold::Done,
    id::OrderId,
    time::Millis,
};

use crate::{coupon::Redemption, store};

/// Spend a coupon on `order_id`.
#[derive(Clone, Copy, Debug)]
pub struct RedeemCoupon {
    /// The order; the key of idempotency.
    pub order_id: OrderId,
    /// What it spends, and on what terms.
    pub redemption: Redemption,
}

impl Command for RedeemCoupon {}

/// Load, decide, save.
pub async fn redeem_coupon(tx: &Tx, commands: &[RedeemCoupon], now: Millis) -> Result<Vec<Done>> {
    let orders = commands.iter().map(|command| command.order_id.get()).collect();
    let coupons = commands.iter().map(|command| command.redemption.coupon_id.get()).collect();
    let mut view = store::load_to_redeem(tx, orders, coupons).await?;
    let outcomes = commands.iter().map(|command| view.redeem(command.order_id, &command.redemption, now)).collect();
    store::save(tx, &view, now).await?;
    Ok(outcomes)
}
