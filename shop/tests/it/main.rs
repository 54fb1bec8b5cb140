//! The whole shop: what its commands promise, and what holds when things go wrong.
#![recursion_limit = "512"]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is wrong"
)]

mod audit;
mod audit_under_load;
mod bad_inputs;
mod cancel_suite;
mod child;
mod cli;
mod crash;
mod hang_up;
mod idempotency;
mod lost_commit;
mod paid_suite;
mod races;
mod replay;
mod saga_table;
mod traps;
mod world;
