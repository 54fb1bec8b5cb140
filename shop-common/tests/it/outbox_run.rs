//! The relay as it runs in a service: its pool, its wake-up, its end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use shop_common::{
    migrate::{DELIVER_AT, MESSAGES},
    outbox::{Relay, RelayConfig},
    shutdown,
    time::Clock,
};
use shop_testkit::{TestDb, databases, dump, eventually};

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
