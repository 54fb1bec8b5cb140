//! Notes what the channel said about refunds.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    id::{PayId, RefundId},
    time::Millis,
};

use crate::{payment::refund::Answer, store};

/// Note this answer; the first one stays.
#[derive(Clone, Debug)]
pub struct AnswerRefund {
    /// The refund.
    pub refund_id: RefundId,
    /// Of which payment.
    pub pay_id: PayId,
    /// What the channel said.
    pub answer: Answer,
}

impl Command for AnswerRefund {}

/// Load, decide, save.
pub async fn answer_refund(tx: &Tx, commands: &[AnswerRefund], now: Millis) -> Result<Vec<()>> {
    let mut view = store::load_refunds(tx, commands.iter().map(|command| command.pay_id.get()).collect()).await?;
    let outcomes = commands.iter().map(|command| view.answer_refund(command.refund_id, &command.answer, now)).collect();
    store::save(tx, &view, now).await?;
    Ok(outcomes)
}
