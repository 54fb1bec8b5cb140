//! The message bus: one trait, two implementations ([`rocketmq`] and [`memory`]), one contract suite for both.
//!
//! A message is a hint. Nothing here promises delivery: what a message owes also stands in a row with `due_ms`.

pub mod memory;
pub mod rocketmq;
mod rules;

pub use rules::{check_instance, delay_within, retry_after};

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::BoxFuture;
use shop_proto::topic::Delivery;

/// A message on its way to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Producer group, for the broker's own records.
    pub group: String,
    /// Topic.
    pub topic: String,
    /// Tag.
    pub tag: String,
    /// Business key: the order or payment it is about.
    pub key: String,
    /// Body, UTF-8 JSON.
    pub body: String,
    /// W3C `traceparent` of the request that caused it; empty = none.
    pub traceparent: String,
    /// Deliver not before this long from now. RocketMQ rounds up to one of its 18 levels.
    pub delay: Option<Duration>,
}

/// A message as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The broker's id of it; a resend of the same event has another.
    pub msg_id: String,
    /// Topic.
    pub topic: String,
    /// Tag.
    pub tag: String,
    /// Business key; empty if the sender gave none.
    pub key: String,
    /// Body, byte for byte.
    pub body: Vec<u8>,
    /// W3C `traceparent`; empty = none.
    pub traceparent: String,
    /// 1 for the first delivery.
    pub attempt: u32,
}

/// Why a message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// This very message can never be accepted (too large, illegal topic): park it.
    #[error("rejected: {0}")]
    Rejected(String),
    /// Not accepted now, or not known to be: send it again later. Never a reason to park.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

/// Why a handler could not handle a delivery. Clustering: delivered again later. Broadcasting: dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotHandled {
    /// Why.
    pub why: String,
    /// Which messages of the delivery, by position; empty = all of them.
    pub only: Vec<usize>,
}

impl NotHandled {
    /// Nothing of the delivery was handled.
    pub fn all(why: impl Into<String>) -> Self {
        Self { why: why.into(), only: Vec::new() }
    }

    /// Whether the message at this position was not.
    pub fn is_about(&self, position: usize) -> bool {
        self.only.is_empty() || self.only.contains(&position)
    }
}

/// What a group does with what it receives: up to [`BATCH`] messages at once.
pub type Handler = Arc<dyn Fn(Vec<Incoming>) -> BoxFuture<'static, Result<(), NotHandled>> + Send + Sync>;

/// Most messages a handler gets at once.
pub const BATCH: usize = 32;

/// What a group wants to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Consumer group.
    pub group: String,
    /// Topic.
    pub topic: String,
    /// Tags, any of them; empty = all.
    pub tags: Vec<String>,
    /// To one member or to each.
    pub delivery: Delivery,
    /// Name of this member: stable over restarts and unique per process, or broadcasts are lost or doubled.
    pub instance: String,
}

/// The message bus.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Hands messages to the broker: one answer for each, in their order. `Ok` means the broker has stored it.
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>>;

    /// Starts to deliver to `handler` until [`Bus::stop_consumers`].
    ///
    /// # Errors
    /// [`PublishError::Unavailable`] when the broker cannot be reached: try again later.
    async fn subscribe(&self, subscription: Subscription, handler: Handler) -> Result<(), PublishError>;

    /// Stops delivering; waits for running handlers.
    async fn stop_consumers(&self);

    /// Stops all of it, after [`Bus::stop_consumers`].
    async fn shutdown(&self);
}

/// Refuses a message that no broker would ever accept, before it is owed.
///
/// # Errors
/// [`PublishError::Rejected`].
pub fn check(message: &Outgoing) -> Result<(), PublishError> {
    rules::message(message)
}

/// The bus as everybody holds it.
pub type SharedBus = Arc<dyn Bus>;
