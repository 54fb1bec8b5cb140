//! Rows of the pay schema.

#![expect(unreachable_pub, reason = "sea-orm derives public items for public rows")]

pub(crate) mod pay;
pub(crate) mod pay_log;
pub(crate) mod pay_notify;
pub(crate) mod pay_order;
pub(crate) mod pay_rejected;
pub(crate) mod refund;
