//! The coupon service on both engines: its bodies, its listener, its gRPC.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is wrong"
)]

mod coupon;
mod fences;
mod grpc;
