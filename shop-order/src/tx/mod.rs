//! What the order service can do to its rows: one file, one use case, the body of one local transaction over a batch.
//! Nothing here begins a transaction.

mod begin_closing;
mod begin_payment;
mod cancel_order;
mod confirm_order;
mod create_order;
mod mark_paid;
mod settle_owed;

pub(crate) use begin_closing::{BeginClosing, begin_closing};
pub(crate) use begin_payment::{BeginPayment, begin_payment};
pub(crate) use cancel_order::{CancelOrder, cancel_order};
pub(crate) use confirm_order::{ConfirmOrder, confirm_order};
pub(crate) use create_order::{CreateOrder, Created, create_order};
pub(crate) use mark_paid::{MarkPaid, mark_paid};
pub(crate) use settle_owed::{SettleOwed, settle_owed};
