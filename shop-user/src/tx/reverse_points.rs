//! Takes the points of payments back.

use shop_common::{
    batch::Command,
    db::{Failure, Result, Tx},
    hold::Undone,
    id::PayId,
    time::Millis,
};

use crate::store;

/// Take back what `pay_id` earned; keep a late credit out.
#[derive(Clone, Copy, Debug)]
pub struct ReversePoints {
    /// The payment.
    pub pay_id: PayId,
}

impl Command for ReversePoints {}

/// Load, decide, save.
///
/// # Errors
/// [`Failure::Rollback`] also when a score would fall below zero.
pub async fn reverse_points(tx: &Tx, commands: &[ReversePoints], now: Millis) -> Result<Vec<Undone>> {
    let payments = commands.iter().map(|command| command.pay_id.get()).collect();
    let mut view = store::load_to_reverse(tx, payments).await?;
    let outcomes: Option<_> = commands.iter().map(|command| view.reverse(command.pay_id)).collect();
    let outcomes = outcomes.ok_or_else(|| Failure::guard("a score"))?;
    store::save_points(tx, &view, now).await?;
    Ok(outcomes)
}
