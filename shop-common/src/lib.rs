//! What every service of the shop is built on.

pub mod code;
pub mod error;
pub mod money;
pub mod mq;
