//! Takes stock for orders.

use std::time::Duration;

use shop_common::{
    batch::{Command, Weight},
    db::{Result, Tx},
    hold::Done,
    id::OrderId,
    time::Millis,
};

use crate::{stock::Line, store};

/// Take every line for `order_id`, or none.
#[derive(Clone, Debug)]
pub struct ReserveStock {
    /// The order; the key of idempotency.
    pub order_id: OrderId,
    /// What it takes, each goods once.
    pub lines: Vec<Line>,
}

impl Command for ReserveStock {
    fn weight(&self) -> Weight {
        Weight { rows: self.lines.len().saturating_mul(2).saturating_add(1), bytes: 0 }
    }
}

/// Load, decide, save. A hold may stand for `hold_timeout` before its order is asked for.
pub async fn reserve_stock(
    tx: &Tx,
    commands: &[ReserveStock],
    hold_timeout: Duration,
    now: Millis,
) -> Result<Vec<Done>> {
    let orders = commands.iter().map(|command| command.order_id.get()).collect();
    let goods = commands.iter().flat_map(|command| &command.lines).map(|line| line.goods_id.get()).collect();
    let mut stock = store::load_to_reserve(tx, orders, goods).await?;
    let until = now.after(hold_timeout);
    let outcomes = commands.iter().map(|command| stock.reserve(command.order_id, &command.lines, until)).collect();
    store::save(tx, &stock, now).await?;
    Ok(outcomes)
}
