//! What the user service hears.

pub(crate) mod on_order_cancelled;
pub(crate) mod on_payment_succeeded;
