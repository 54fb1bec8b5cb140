//! What the order service hears.

pub(crate) mod on_order_timeout;
pub(crate) mod on_payment_succeeded;
