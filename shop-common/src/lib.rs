//! What every service of the shop is built on.
#![recursion_limit = "512"]

pub mod batch;
pub mod cancelled;
pub mod code;
pub mod config;
pub mod consume;
pub mod db;
pub mod dead;
pub mod due;
pub mod error;
pub mod hold;
pub mod id;
pub mod link;
pub mod migrate;
pub mod money;
pub mod mq;
pub mod outbox;
pub mod page;
pub mod parked;
pub mod service;
pub mod shutdown;
pub mod sql;
pub mod telemetry;
pub mod time;
pub mod trace;
