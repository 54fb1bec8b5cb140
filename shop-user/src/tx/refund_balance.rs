//! Gives the balance of orders back.

use shop_common::{
    batch::Command,
    db::{Failure, Result, Tx},
    hold::Undone,
    id::OrderId,
    time::Millis,
};

use crate::store;

/// Give back what `order_id` took; keep a late debit out.
#[derive(Clone, Copy, Debug)]
pub struct RefundBalance {
    /// The order.
    pub order_id: OrderId,
}

impl Command for RefundBalance {}

/// Load, decide, save.
///
/// # Errors
/// [`Failure::Rollback`] also when a balance would not fit.
pub async fn refund_balance(tx: &Tx, commands: &[RefundBalance], now: Millis) -> Result<Vec<Undone>> {
    let orders = commands.iter().map(|command| command.order_id.get()).collect();
    let mut view = store::load_to_refund(tx, orders).await?;
    let outcomes: Option<_> = commands.iter().map(|command| view.refund(command.order_id)).collect();
    let outcomes = outcomes.ok_or_else(|| Failure::guard("a balance"))?;
    store::save_balances(tx, &view, now).await?;
    Ok(outcomes)
}
