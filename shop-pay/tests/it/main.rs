//! The pay service on both engines, with fakes of the services it asks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is wrong"
)]

mod callback;
mod create;
mod fakes;
mod fences;
mod sandbox;
mod silence;
mod sweep;
mod world;
