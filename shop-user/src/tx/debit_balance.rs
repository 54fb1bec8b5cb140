//! Takes money from balances for orders.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    hold::Done,
    id::{OrderId, UserId},
    money::Fen,
    time::Millis,
};

use crate::store;

/// Take `amount` for `order_id`.
#[derive(Clone, Copy, Debug)]
pub struct DebitBalance {
    /// The order; the key of idempotency.
    pub order_id: OrderId,
    /// Whose balance.
    pub user_id: UserId,
    /// How much, more than nothing.
    pub amount: Fen,
}

impl Command for DebitBalance {}

/// Load, decide, save.
pub async fn debit_balance(tx: &Tx, commands: &[DebitBalance], now: Millis) -> Result<Vec<Done>> {
    let orders = commands.iter().map(|command| command.order_id.get()).collect();
    let users = commands.iter().map(|command| command.user_id.get()).collect();
    let mut view = store::load_to_debit(tx, orders, users).await?;
    let outcomes =
        commands.iter().map(|command| view.debit(command.order_id, command.user_id, command.amount)).collect();
    store::save_balances(tx, &view, now).await?;
    Ok(outcomes)
}
