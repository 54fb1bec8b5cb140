//! The order's last word before a payment is made.

use shop_common::{
    batch::Command,
    code::ShopCode,
    db::{Result, Tx},
    error::ShopError,
    id::{OrderId, UserId},
    money::Fen,
    time::Millis,
};

use crate::{order::Begun, store};

/// Let a payment of `amount` be made for the order, if it is this user's and payable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BeginPayment {
    pub(crate) order_id: OrderId,
    pub(crate) user_id: UserId,
    pub(crate) amount: Fen,
}

impl Command for BeginPayment {}

/// Load, decide, save.
pub(crate) async fn begin_payment(tx: &Tx, commands: &[BeginPayment], now: Millis) -> Result<Vec<Begun>> {
    let mut orders = store::load(tx, commands.iter().map(|command| command.order_id.get()).collect()).await?;
    let outcomes = commands
        .iter()
        .map(|command| match orders.get_mut(command.order_id) {
            Some(order) => order.begin_payment(command.user_id, command.amount, now),
            None => Begun::Refused(ShopError::at(ShopCode::OrderNotFound, "order_id")),
        })
        .collect();
    store::save(tx, &orders).await?;
    Ok(outcomes)
}
