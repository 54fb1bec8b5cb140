//! The gateway over services that are played: what comes in, what goes on, what is answered.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is wrong"
)]

mod bad_inputs;
mod callbacks;
mod catalogue;
mod docs;
mod events;
mod fakes;
mod guards;
mod ops;
mod orders;
mod payments;
mod refunds;
mod sandbox;
mod serve;
mod tutorial;
mod world;
