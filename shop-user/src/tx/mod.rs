//! What the user service can do: one file, one use case, the body of one local transaction over a batch.
//! Nothing here begins a transaction.

mod award_points;
mod debit_balance;
mod refund_balance;
mod reverse_points;

pub use award_points::{AwardPoints, award_points};
pub use debit_balance::{DebitBalance, debit_balance};
pub use refund_balance::{RefundBalance, refund_balance};
pub use reverse_points::{ReversePoints, reverse_points};
