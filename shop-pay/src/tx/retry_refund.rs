//! Asks the channels anew for refunds that they refused, because an operator says so.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    id::{PayId, RefundId},
    time::Millis,
};

use crate::{payment::refund::Refund, store};

/// Ask anew for `refund_id`, if it was refused.
#[derive(Clone, Copy, Debug)]
pub struct RetryRefund {
    /// The refund.
    pub refund_id: RefundId,
    /// Of which payment.
    pub pay_id: PayId,
}

impl Command for RetryRefund {}

/// Load, decide, save.
pub async fn retry_refund(tx: &Tx, commands: &[RetryRefund], now: Millis) -> Result<Vec<Option<Refund>>> {
    let mut view = store::load_refunds(tx, commands.iter().map(|command| command.pay_id.get()).collect()).await?;
    let outcomes = commands.iter().map(|command| view.retry_refund(command.refund_id, now)).collect();
    store::save(tx, &view, now).await?;
    Ok(outcomes)
}
