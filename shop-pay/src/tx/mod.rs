//! What the pay service can do: one file, one use case, the body of one local transaction over a batch.
//! Nothing here begins a transaction.

mod answer_refund;
mod clear_owed;
mod close_payments;
mod create_payment;
mod keep_pay_url;
mod refund_order;
mod refund_payment;
mod retry_refund;
mod settle_payment;
mod start_refund;

pub use answer_refund::{AnswerRefund, answer_refund};
pub use clear_owed::{ClearOwed, clear_owed};
pub use close_payments::{ClosePayments, close_payments};
pub use create_payment::{CreatePayment, create_payment};
pub use keep_pay_url::{KeepPayUrl, keep_pay_url};
pub use refund_order::{RefundOrder, refund_order};
pub use refund_payment::{RefundPayment, refund_payment};
pub use retry_refund::{RetryRefund, retry_refund};
pub use settle_payment::{SettlePayment, settle_payment};
pub use start_refund::{StartRefund, start_refund};
