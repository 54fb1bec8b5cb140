//! Promises payments back, whole or in part, because an operator says so.

use shop_common::{
    batch::{Command, Weight},
    db::{Result, Tx},
    error::ShopError,
    time::Millis,
};

use crate::{
    payment::refund::{NewRefund, Refund},
    store,
};

/// Promise this back, or find the refund that is there under its key.
#[derive(Clone, Debug)]
pub struct RefundPayment(pub NewRefund);

impl Command for RefundPayment {
    fn weight(&self) -> Weight {
        Weight { rows: 4, bytes: 512 }
    }
}

/// Load, decide, save.
pub async fn refund_payment(
    tx: &Tx,
    commands: &[RefundPayment],
    now: Millis,
) -> Result<Vec<Result<Refund, ShopError>>> {
    let mut view =
        store::load_refunds(tx, commands.iter().map(|RefundPayment(new)| new.pay_id.get()).collect()).await?;
    let outcomes = commands.iter().map(|RefundPayment(new)| view.refund_payment(new, now)).collect();
    store::save(tx, &view, now).await?;
    Ok(outcomes)
}
