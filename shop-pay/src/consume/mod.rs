//! What the pay service hears.

pub(crate) mod on_order_cancelled;
