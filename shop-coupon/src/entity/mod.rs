//! Rows of the coupon schema.

pub(crate) mod coupon;
