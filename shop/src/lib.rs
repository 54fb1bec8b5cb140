//! The shop in one binary: every service in one process, the gateway, the broker, and the commands around them.
#![recursion_limit = "512"]

pub mod assemble;
pub mod audit;
pub mod bench;
mod beside;
pub mod cli;
pub mod config;
pub mod demo;
mod dlq;
pub mod exposure;
mod gateway;
pub mod process;
pub mod reconcile;
mod refund;
pub mod replay;
pub mod retake;
pub mod role;
pub mod running;
mod say;
pub mod seed;
mod sim;
mod stop;
