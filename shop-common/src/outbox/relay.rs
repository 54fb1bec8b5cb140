//! Sends what is owed: claim, publish, delete. A crash anywhere leaves rows that come due again.

use std::{sync::Arc, time::Duration};

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Value};
use serde::{Deserialize, Serialize};
use tokio::{sync::Notify, time::timeout};

use super::{
    delay,
    entity::{Column, Entity},
    pool::Pool,
};
use crate::{
    config::at_least_one,
    db::{Db, Result, Row},
    due::{Backoff, Debt, Due, Owing},
    due_table,
    mq::{Outgoing, PublishError, SharedBus},
    shutdown::Shutdown,
    sql::{self, Update},
    time::{Clock, Millis},
};

const DUE: Due = due_table!(
    "trade_mq_producer_temp",
    "id",
    "id, group_name, msg_topic, msg_tag, msg_key, msg_body, traceparent, create_ms, deliver_at_ms, attempts",
    |row| {
        let id: String = row.get("id")?;
        let since = Millis::new(row.get("create_ms")?);
        Ok(Owing { row: format!("message {id}"), since, debts: vec![Debt::new("sending", "broker")] })
    }
);
/// A message waits longer for its broker than a sweeper for a service: every message is a hint.
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(5), cap: Duration::from_secs(60) };

const PARK: Update = Update {
    table: "trade_mq_producer_temp",
    values: &["k", "why"],
    set: "msg_status = 2, due_ms = NULL, remark = v.why",
    guard: "t.id = v.k",
};

/// Longest claim or sending: a database that vanished without a word is not waited for until TCP gives up on it.
const PATIENCE: Duration = Duration::from_mins(1);
/// As much of a reason as the column holds.
const REMARK_CHARS: usize = 500;

/// The pool that sends; the tutorial's figures.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayConfig {
    /// Workers that always run.
    #[serde(deserialize_with = "at_least_one")]
    pub core: usize,
    /// Workers while the queue is full.
    #[serde(deserialize_with = "at_least_one")]
    pub max: usize,
    /// Batches that may wait.
    #[serde(deserialize_with = "at_least_one")]
    pub queue: usize,
    /// Rows of one batch.
    #[serde(deserialize_with = "at_least_one")]
    pub batch: u32,
}

impl RelayConfig {
    /// For a service that owes no messages of its own: only what an operator resends is sent.
    pub const SMALL: Self = Self { core: 1, max: 1, queue: 1, batch: 64 };
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self { core: 4, max: 8, queue: 100, batch: 256 }
    }
}

/// Sends the outbox of one service.
#[derive(Clone)]
pub struct Relay {
    db: Db,
    bus: SharedBus,
    config: RelayConfig,
    wake: Arc<Notify>,
}

impl Relay {
    /// A relay of `db`'s outbox; nothing is sent before [`Relay::run`] or [`Relay::run_once`].
    pub fn new(db: Db, bus: SharedBus, config: RelayConfig) -> Self {
        Self { db, bus, config, wake: Arc::default() }
    }

    /// Says that something was committed; a poke that is lost costs one interval.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Sends everything that is due, in this task; how many rows left.
    pub async fn run_once(&self, now: Millis) -> Result<usize> {
        let mut sent = 0_usize;
        loop {
            let rows = self.claim(now).await?;
            if rows.is_empty() {
                return Ok(sent);
            }
            sent = sent.saturating_add(self.send(rows).await?);
        }
    }

    /// Sends until it is stopped.
    pub async fn run(self, interval: Duration, clock: Clock, shutdown: Shutdown) {
        let pool = Pool::new(self.config.core, self.config.max, self.config.queue);
        while !shutdown.is_stopped() {
            self.dispatch(&pool, &clock).await;
            let pause = async {
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(interval) => {}
                }
            };
            shutdown.race(pause).await;
        }
    }

    /// The place first: rows that are claimed for nobody would only wait for the end of their lease.
    async fn dispatch(&self, pool: &Pool, clock: &Clock) {
        while let Some(place) = pool.place() {
            let rows = match timeout(PATIENCE, self.claim(clock.now())).await {
                Ok(Ok(rows)) if rows.is_empty() => return,
                Ok(Ok(rows)) => rows,
                Ok(Err(error)) => return tracing::warn!(%error, "claiming outbox rows failed; trying again later"),
                Err(_) => return tracing::warn!("the database does not answer; outbox rows are claimed later"),
            };
            let relay = self.clone();
            place.fill(Box::pin(async move {
                match timeout(PATIENCE, relay.send(rows)).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "outbox rows stay until their lease ends"),
                    Err(_) => tracing::warn!("sending does not end; outbox rows stay until their lease ends"),
                }
            }));
        }
    }

    /// What is due, by the ids of its rows.
    async fn claim(&self, now: Millis) -> Result<Vec<(String, Outgoing)>> {
        let rows = DUE.claim_rows::<String>(&self.db, self.config.batch, BACKOFF, now).await?;
        rows.iter().map(|row| Ok((row.get("id")?, outgoing(row, now)?))).collect()
    }

    /// Publishes claimed rows; deletes what the broker has stored, parks what it can never take.
    async fn send(&self, rows: Vec<(String, Outgoing)>) -> Result<usize> {
        let (ids, messages): (Vec<String>, Vec<Outgoing>) = rows.into_iter().unzip();
        let answers = self.bus.publish(messages).await;
        let (mut stored, mut parked) = (Vec::new(), Vec::new());
        for (id, answer) in ids.into_iter().zip(answers) {
            match answer {
                Ok(()) => stored.push(id),
                Err(PublishError::Rejected(why)) => {
                    metrics::counter!("shop_messages_parked_total", "at" => "out").increment(1);
                    tracing::error!(msg.id = id, why, "message parked: it can never be sent");
                    let remark = sql::cut(&why, REMARK_CHARS);
                    parked.push(vec![Value::from(id), Value::from(remark)]);
                }
                Err(PublishError::Unavailable(why)) => tracing::debug!(msg.id = id, why, "message stays in the outbox"),
            }
        }
        let sent = stored.len();
        if sent == 0 && parked.is_empty() {
            return Ok(0);
        }
        self.db
            .write_tx(async |tx| {
                let stored = sql::padded(stored.iter().map(String::as_str));
                Entity::delete_many().filter(Column::Id.is_in(stored)).exec(tx).await?;
                PARK.run(tx, &parked).await
            })
            .await?;
        Ok(sent)
    }
}

fn outgoing(row: &Row, now: Millis) -> Result<Outgoing> {
    Ok(Outgoing {
        group: row.get("group_name")?,
        topic: row.get("msg_topic")?,
        tag: row.get("msg_tag")?,
        key: row.get("msg_key")?,
        body: row.get("msg_body")?,
        traceparent: row.get("traceparent")?,
        delay: delay(row.find("deliver_at_ms")?.map(Millis::new), now),
    })
}
