//! What the goods service hears.

pub(crate) mod on_order_cancelled;
