//! Daily reconciliation: a channel's statement against our books (F59, H7). The rules stand in [`gaps`], the formats in
//! [`statement`], what is done about a gap in [`Reconciler`].

pub mod gaps;
mod run;
pub mod statement;

pub use run::{Reconciler, Taken};
