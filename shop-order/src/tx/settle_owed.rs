//! Takes off an order what has been given back.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    id::OrderId,
    time::Millis,
};

use crate::{
    order::{Owed, Status},
    store,
};

/// `settled` was given back for the order while it was in status `asked_in`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SettleOwed {
    pub(crate) order_id: OrderId,
    pub(crate) settled: Owed,
    pub(crate) asked_in: Status,
}

impl Command for SettleOwed {}

/// Load, decide, save.
pub(crate) async fn settle_owed(tx: &Tx, commands: &[SettleOwed], _now: Millis) -> Result<Vec<()>> {
    let mut orders = store::load(tx, commands.iter().map(|command| command.order_id.get()).collect()).await?;
    for command in commands {
        if let Some(order) = orders.get_mut(command.order_id) {
            order.settle(command.settled, command.asked_in);
        }
    }
    store::save(tx, &orders).await?;
    Ok(vec![(); commands.len()])
}
