//! Promises payments back that their orders do not want.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    id::{PayId, RefundId},
    time::Millis,
};

use crate::{
    payment::refund::{Cause, Started},
    store,
};

/// Promise all of `pay_id` back, unless it has been judged before.
#[derive(Clone, Copy, Debug)]
pub struct StartRefund {
    /// The refund's number, should there be one.
    pub refund_id: RefundId,
    /// The payment.
    pub pay_id: PayId,
    /// What the order said.
    pub cause: Cause,
}

impl Command for StartRefund {}

/// Load, decide, save.
pub async fn start_refund(tx: &Tx, commands: &[StartRefund], now: Millis) -> Result<Vec<Started>> {
    let mut view = store::load_payments(tx, commands.iter().map(|command| command.pay_id.get()).collect()).await?;
    let start = |command: &StartRefund| view.start_refund(command.refund_id, command.pay_id, command.cause, now);
    let outcomes = commands.iter().map(start).collect();
    store::save(tx, &view, now).await?;
    Ok(outcomes)
}
