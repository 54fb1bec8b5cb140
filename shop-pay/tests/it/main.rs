//! The pay service on both engines, with fakes of the services it asks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where something is wrong"
)]

mod alipay;
mod callback;
mod create;
mod fakes;
mod fences;
mod refunds;
mod sandbox;
mod silence;
mod sweep;
mod wechat;
mod world;
