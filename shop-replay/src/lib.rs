//! Payment notifications, recorded or generated, sent to a shop with faults; what it answers compared with what it must.
//!
//! [`plan`] (pure) says what happens to each notification, [`compose`] (pure) what goes over the wire, [`run`] sends it and
//! [`judge`] (pure) compares. A channel is a [`signer`]; a shop is a [`target`]. The manual is `docs/replay.md`.

pub mod compose;
pub mod effects;
pub mod fault;
pub mod generate;
pub mod judge;
pub mod notification;
pub mod plan;
pub mod rate;
pub mod recording;
pub mod report;
pub mod run;
pub mod signer;
pub mod store;
pub mod target;

pub use notification::Expect;
