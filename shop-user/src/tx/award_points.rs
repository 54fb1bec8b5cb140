//! Credits the points of payments.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    hold::Done,
    id::{PayId, UserId},
    money::Fen,
    time::Millis,
};

use crate::store;

/// Credit one point for each whole yuan of `paid`.
#[derive(Clone, Copy, Debug)]
pub struct AwardPoints {
    /// The payment; the key of idempotency.
    pub pay_id: PayId,
    /// Who earns.
    pub user_id: UserId,
    /// What was paid.
    pub paid: Fen,
}

impl Command for AwardPoints {}

/// Load, decide, save.
pub async fn award_points(tx: &Tx, commands: &[AwardPoints], now: Millis) -> Result<Vec<Done>> {
    let payments = commands.iter().map(|command| command.pay_id.get()).collect();
    let users = commands.iter().map(|command| command.user_id.get()).collect();
    let mut view = store::load_to_award(tx, payments, users).await?;
    let outcomes = commands.iter().map(|command| view.award(command.pay_id, command.user_id, command.paid)).collect();
    store::save_points(tx, &view, now).await?;
    Ok(outcomes)
}
