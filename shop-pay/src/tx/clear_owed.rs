//! Clears what the others have answered.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    id::PayId,
    time::Millis,
};

use crate::{payment::owed::Owed, store};

/// `pay_id` owes this no more.
#[derive(Clone, Copy, Debug)]
pub struct ClearOwed {
    /// The payment.
    pub pay_id: PayId,
    /// What has been answered.
    pub answered: Owed,
}

impl Command for ClearOwed {}

/// Load, decide, save.
pub async fn clear_owed(tx: &Tx, commands: &[ClearOwed], now: Millis) -> Result<Vec<()>> {
    let mut view = store::load_payments(tx, commands.iter().map(|command| command.pay_id.get()).collect()).await?;
    let outcomes = commands.iter().map(|command| view.clear(command.pay_id, command.answered)).collect();
    store::save(tx, &view, now).await?;
    Ok(outcomes)
}
