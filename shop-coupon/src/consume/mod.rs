//! What the coupon service hears.

pub(crate) mod on_order_cancelled;
