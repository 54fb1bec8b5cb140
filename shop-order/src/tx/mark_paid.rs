//! Binds a successful payment to its order, or says why it cannot be bound.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    id::{OrderId, PayId},
    money::Fen,
    time::Millis,
};

use crate::{order::Marked, store};

/// Judge the payment `pay_id` of `amount` for the order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MarkPaid {
    pub(crate) order_id: OrderId,
    pub(crate) pay_id: PayId,
    pub(crate) amount: Fen,
}

impl Command for MarkPaid {}

/// Load, decide, save. An order that is bound owes the close of its other payments at once.
pub(crate) async fn mark_paid(tx: &Tx, commands: &[MarkPaid], now: Millis) -> Result<Vec<Marked>> {
    let mut orders = store::load(tx, commands.iter().map(|command| command.order_id.get()).collect()).await?;
    let outcomes = commands
        .iter()
        .map(|command| match orders.get_mut(command.order_id) {
            Some(order) => order.mark_paid(command.pay_id, command.amount, now, now),
            None => Marked::NotFound,
        })
        .collect();
    store::save(tx, &orders).await?;
    Ok(outcomes)
}
