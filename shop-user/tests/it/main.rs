//! The user service on both engines: its bodies, its listeners, its gRPC.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is wrong"
)]

mod balance;
mod fences;
mod grpc;
mod points;
mod users;
