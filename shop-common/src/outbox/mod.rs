//! The outbox (`trade_mq_producer_temp`): a message is a row, written by the transaction that owes it, sent by a pool
//! of workers, deleted when the broker has stored it. The tutorial's shape, less its losses (traps 21, 43, 44, 45).

mod entity;
mod operator;
mod pool;
mod relay;

pub(crate) use operator::{WAITS, body, discard, letters, owe_again, resend, waits};
pub use relay::{Relay, RelayConfig};

use std::time::Duration;

use sea_orm::Set;
use serde::Serialize;
use shop_proto::topic::Kind;

use crate::{
    db::{Failure, Result, Tx},
    mq::Outgoing,
    sql,
    time::Millis,
    trace::TraceParent,
};

/// A message to be owed.
#[derive(Clone, Debug)]
pub struct Message {
    kind: Kind,
    key: i64,
    body: String,
    traceparent: TraceParent,
    deliver_at: Option<Millis>,
}

impl Message {
    /// A message of `kind` about the order or payment `key`.
    ///
    /// # Errors
    /// The body cannot be written as JSON.
    pub fn new(kind: Kind, key: i64, body: &impl Serialize, traceparent: TraceParent) -> Result<Self> {
        let body = serde_json::to_string(body).map_err(|error| Failure::Rollback(error.to_string().into()))?;
        Ok(Self { kind, key, body, traceparent, deliver_at: None })
    }

    /// As the bus takes it, past the outbox: what nobody owes need not be a row.
    pub fn outgoing(self, now: Millis) -> Outgoing {
        Outgoing {
            group: self.kind.producer.to_owned(),
            topic: self.kind.topic.to_owned(),
            tag: self.kind.tag.to_owned(),
            key: self.key.to_string(),
            body: self.body,
            traceparent: self.traceparent.to_string(),
            delay: delay(self.deliver_at, now),
        }
    }

    /// The same, delivered not before `deliver_at`.
    #[must_use]
    pub fn not_before(self, deliver_at: Millis) -> Self {
        Self { deliver_at: Some(deliver_at), ..self }
    }
}

/// What is left until `deliver_at`, if anything is.
fn delay(deliver_at: Option<Millis>, now: Millis) -> Option<Duration> {
    deliver_at.map(|at| at.since(now)).filter(|delay| !delay.is_zero())
}

/// Owes `messages`: they are sent once the transaction has committed, at least once each.
///
/// The row's id is `<tag>:<key>`: one message of a kind per business key.
pub async fn append(tx: &Tx, messages: &[Message], now: Millis) -> Result<()> {
    let rows = messages.iter().map(|message| entity::ActiveModel {
        id: Set(format!("{}:{}", message.kind.tag, message.key)),
        group_name: Set(message.kind.producer.to_owned()),
        msg_topic: Set(message.kind.topic.to_owned()),
        msg_tag: Set(message.kind.tag.to_owned()),
        msg_key: Set(message.key.to_string()),
        msg_body: Set(message.body.clone()),
        msg_status: Set(entity::TO_BE_SENT),
        traceparent: Set(message.traceparent.to_string()),
        create_ms: Set(now.get()),
        due_ms: Set(Some(now.get())),
        attempts: Set(0),
        remark: Set(None),
        deliver_at_ms: Set(message.deliver_at.map(Millis::get)),
    });
    sql::insert_many(tx, rows.collect()).await
}
