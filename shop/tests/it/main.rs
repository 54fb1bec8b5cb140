//! The whole shop: what its commands promise, and what holds when things go wrong.
#![recursion_limit = "512"]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is wrong"
)]

mod alarms_page;
mod alipay;
mod audit;
mod audit_under_load;
mod bad_inputs;
mod bad_inputs_page;
mod bench;
mod broker;
mod cancel_suite;
mod chaos;
mod child;
mod cli;
mod clients;
mod crash;
#[cfg(debug_assertions)]
mod crash_points;
mod dead_letters;
mod dlq;
mod drain;
mod faults;
mod fleet;
mod hang_up;
mod idempotency;
mod lost_commit;
mod operator_suite;
mod overload;
mod page;
mod paid_suite;
mod races;
mod reconcile;
mod refund_command;
mod refund_suite;
mod replay;
mod restored;
mod retake_command;
mod roles;
mod saga_table;
mod sequences;
mod sim;
mod stuck_recovery;
mod timeout_hint;
mod timeout_suite;
mod traps;
mod undo_away;
mod unlock_suite;
mod wechat;
mod world;
