//! The RocketMQ adapter.
