//! What the coupon service can do: one file, one use case, the body of one local transaction over a batch.
//! Nothing here begins a transaction.

mod redeem_coupon;
mod reinstate_coupon;

pub use redeem_coupon::{RedeemCoupon, redeem_coupon};
pub use reinstate_coupon::{ReinstateCoupon, reinstate_coupon};
