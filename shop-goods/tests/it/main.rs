//! The goods service on both engines: its bodies, its listener, its gRPC.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is wrong"
)]

mod fences;
mod grpc;
mod holds;
mod stock;
