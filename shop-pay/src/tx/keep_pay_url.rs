//! Keeps where the buyer pays, which only the channel could say.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    id::PayId,
    time::Millis,
};

use crate::{payment::Payment, store};

/// The buyer of `pay_id` pays there.
#[derive(Clone, Debug)]
pub struct KeepPayUrl {
    /// The payment.
    pub pay_id: PayId,
    /// Where; at most 255 characters.
    pub pay_url: String,
}

impl Command for KeepPayUrl {}

/// Load, decide, save. Answers with the payment; none once it is closed or paid, which nobody is to be sent to.
pub async fn keep_pay_url(tx: &Tx, commands: &[KeepPayUrl], now: Millis) -> Result<Vec<Option<Payment>>> {
    let mut view = store::load_payments(tx, commands.iter().map(|command| command.pay_id.get()).collect()).await?;
    let outcomes = commands.iter().map(|command| view.keep_pay_url(command.pay_id, &command.pay_url)).collect();
    store::save(tx, &view, now).await?;
    Ok(outcomes)
}
