//! The relay as it runs in a service: its pool, its wake-up, its end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use shop_common::{
    db::Db,
    migrate::{DELIVER_AT, MESSAGES},
    mq::{Bus, Handler, Outgoing, PublishError, Subscription},
    outbox::{Relay, RelayConfig},
    shutdown,
    time::Clock,
};
use shop_testkit::{TestDb, databases, dump, eventually, participant::number, sqlite};
use tokio::sync::Semaphore;

use crate::{
    outbox::{EMPTY, NOW, owe},
    script::Script,
};

const LIMIT: Duration = Duration::from_secs(30);

fn small(test: &TestDb, bus: &Arc<Script>, queue: usize) -> Relay {
    Relay::new(test.db.clone(), bus.clone(), RelayConfig { core: 2, max: 4, queue, batch: 4 })
}

#[tokio::test]
async fn a_wake_up_sends_what_was_committed() {
    for test in databases(&[MESSAGES, DELIVER_AT]).await {
        let bus = Script::new();
        let relay = small(&test, &bus, 2);
        let (switch, shutdown) = shutdown::channel();
        let run = tokio::spawn(relay.clone().run(Duration::from_hours(1), Clock::manual(NOW), shutdown));
        for first in [1, 5] {
            owe(&test.db, first..=first + 3).await.unwrap();
            relay.wake();
            eventually("all is sent", LIMIT, async || dump(&test.db).await == EMPTY).await;
        }
        assert_eq!(bus.keys().len(), 8, "{}: each once", test.name);
        switch.stop();
        run.await.unwrap();
    }
}

#[tokio::test]
async fn more_than_the_pool_can_take_is_sent_all_the_same() {
    for test in databases(&[MESSAGES, DELIVER_AT]).await {
        owe(&test.db, 1..=200).await.unwrap();
        let (bus, clock) = (Script::new(), Clock::manual(NOW));
        let (switch, shutdown) = shutdown::channel();
        let run = tokio::spawn(small(&test, &bus, 2).run(Duration::from_millis(5), clock.clone(), shutdown));
        eventually("all is sent", LIMIT, async || {
            clock.advance(Duration::from_secs(1));
            dump(&test.db).await == EMPTY
        })
        .await;
        switch.stop();
        run.await.unwrap();
    }
}

#[tokio::test]
async fn a_panic_costs_one_batch_its_turn_and_no_worker() {
    for test in databases(&[MESSAGES, DELIVER_AT]).await {
        owe(&test.db, 1..=20).await.unwrap();
        let (bus, clock) = (Script::new(), Clock::manual(NOW));
        let panics = AtomicU32::new(0);
        bus.answer(move |_| {
            assert!(panics.fetch_add(1, Ordering::SeqCst) >= 10, "a broker client that panics");
            Ok(())
        });
        let (switch, shutdown) = shutdown::channel();
        let run = tokio::spawn(small(&test, &bus, 100_000).run(Duration::from_millis(5), clock.clone(), shutdown));
        eventually("all is sent", LIMIT, async || {
            clock.advance(Duration::from_secs(1));
            dump(&test.db).await == EMPTY
        })
        .await;
        switch.stop();
        run.await.unwrap();
    }
}

/// A broker that lets so many publishes through, and counts what is with it at once.
struct Narrow {
    gate: Semaphore,
    with_it: AtomicUsize,
    most: AtomicUsize,
    memory: AtomicUsize,
}

impl Narrow {
    fn closed() -> Arc<Self> {
        let none = || AtomicUsize::new(0);
        Arc::new(Self { gate: Semaphore::new(0), with_it: none(), most: none(), memory: none() })
    }
}

#[async_trait]
impl Bus for Narrow {
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        let now = self.with_it.fetch_add(messages.len(), Ordering::SeqCst) + messages.len();
        self.most.fetch_max(now, Ordering::SeqCst);
        self.memory.fetch_max(resident_mib(), Ordering::SeqCst);
        drop(self.gate.acquire().await.unwrap());
        self.with_it.fetch_sub(messages.len(), Ordering::SeqCst);
        messages.iter().map(|_| Ok(())).collect()
    }

    async fn subscribe(&self, _: Subscription, _: Handler) -> Result<(), PublishError> {
        Ok(())
    }

    async fn stop_consumers(&self) {}

    async fn shutdown(&self) {}
}

/// What this process has in memory.
fn resident_mib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1024
}

async fn owed(db: &Db, condition: &str) -> usize {
    let rows = number(db, &format!("SELECT COUNT(*) AS n FROM trade_mq_producer_temp WHERE {condition}")).await;
    rows.try_into().unwrap()
}

/// Lets a backlog stand before a broker that takes nothing, then drains it: never more than its bound is claimed or with
/// the broker. The most memory meanwhile, beyond that at the beginning.
async fn drains(test: &TestDb, rows: i64, config: RelayConfig) -> usize {
    for first in (1..=rows).step_by(1_000) {
        owe(&test.db, first..=rows.min(first + 999)).await.unwrap();
    }
    let (bus, clock) = (Narrow::closed(), Clock::manual(NOW));
    let batch = usize::try_from(config.batch).unwrap();
    let (sending, taken) = (batch * config.max, batch * (config.max + config.queue));
    let before = resident_mib();
    let relay = Relay::new(test.db.clone(), bus.clone(), config);
    let (switch, shutdown) = shutdown::channel();
    let run = tokio::spawn(relay.clone().run(Duration::from_millis(5), clock.clone(), shutdown));
    let is_full =
        async || bus.with_it.load(Ordering::SeqCst) == sending && owed(&test.db, "attempts > 0").await == taken;
    eventually("the relay is full", LIMIT, is_full).await;
    for _ in 0..20 {
        relay.wake();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(owed(&test.db, "attempts > 0").await, taken, "{}: nothing is claimed for nobody", test.name);

    bus.gate.add_permits(config.max);
    let limit = LIMIT.max(Duration::from_millis(rows.unsigned_abs()));
    eventually("all is sent", limit, async || {
        // Nothing is claimed twice as long as its lease is not over.
        owed(&test.db, "msg_status = 0").await == 0
    })
    .await;
    assert_eq!(bus.most.load(Ordering::SeqCst), sending, "{}", test.name);
    assert_eq!(dump(&test.db).await, EMPTY, "{}", test.name);
    switch.stop();
    run.await.unwrap();
    bus.memory.load(Ordering::SeqCst).saturating_sub(before)
}

/// F64, small enough for every run.
#[tokio::test]
async fn a_backlog_drains_a_bound_at_a_time() {
    for test in databases(&[MESSAGES, DELIVER_AT]).await {
        drains(&test, 5_000, RelayConfig { core: 2, max: 4, queue: 3, batch: 64 }).await;
    }
}

/// F64 as it stands in the list; minutes.
#[tokio::test]
#[ignore = "a million rows: see docs/faults.md"]
async fn a_backlog_of_a_million_rows_drains_in_flat_memory() {
    let test = sqlite(&[MESSAGES, DELIVER_AT]).await;
    let grown = drains(&test, 1_000_000, RelayConfig::default()).await;
    assert!(grown < 256, "by {grown} MiB");
}
