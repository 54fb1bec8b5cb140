//! Promises payments back whose orders were refunded.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    error::ShopError,
    id::{OrderId, PayId, RefundId},
    time::Millis,
};

use crate::{payment::refund::Started, store};

/// Promise all of `pay_id` back, which `order_id` had bound.
#[derive(Clone, Copy, Debug)]
pub struct RefundOrder {
    /// The refund's number, should there be one.
    pub refund_id: RefundId,
    /// The order.
    pub order_id: OrderId,
    /// The payment.
    pub pay_id: PayId,
}

impl Command for RefundOrder {}

/// Load, decide, save.
pub async fn refund_order(tx: &Tx, commands: &[RefundOrder], now: Millis) -> Result<Vec<Result<Started, ShopError>>> {
    let mut view = store::load_payments(tx, commands.iter().map(|command| command.pay_id.get()).collect()).await?;
    let refund = |command: &RefundOrder| view.refund_order(command.refund_id, command.order_id, command.pay_id, now);
    let outcomes = commands.iter().map(refund).collect();
    store::save(tx, &view, now).await?;
    Ok(outcomes)
}
