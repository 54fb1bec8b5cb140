//! The contract of the message bus, over both buses, and the embedded broker itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is wrong"
)]
// The types of the client are nested deeper than the default allows.
#![recursion_limit = "256"]

mod broker;
mod bus_contract;
mod child;
mod poison;
mod rocketmq;
mod world;
