//! Makes payments, one open payment for each order and channel.

use shop_common::{
    batch::Command,
    db::{Result, Tx},
    error::ShopError,
    time::Millis,
};

use crate::{
    payment::{NewPayment, Payment},
    store,
};

/// Make this payment, or find the one that is open already.
#[derive(Clone, Debug)]
pub struct CreatePayment(pub NewPayment);

impl Command for CreatePayment {}

/// Load, decide, save.
pub async fn create_payment(
    tx: &Tx,
    commands: &[CreatePayment],
    now: Millis,
) -> Result<Vec<Result<Payment, ShopError>>> {
    let orders = commands.iter().map(|CreatePayment(new)| new.order_id.get()).collect();
    let mut view = store::load_orders(tx, orders).await?;
    let outcomes = commands.iter().map(|CreatePayment(new)| view.create(new, now)).collect();
    store::save(tx, &view, now).await?;
    Ok(outcomes)
}
