//! A message that is owed is sent: at least once, whatever happens on the way.

use std::{collections::BTreeSet, ops::RangeInclusive, sync::Arc, time::Duration};

use sea_orm::{ConnectionTrait, Statement};
use shop_common::{
    config::Secret,
    db::{DatabaseConfig, Db, Failure, Result},
    migrate::{DELIVER_AT, MESSAGES},
    mq::PublishError,
    outbox::{Message, Relay, RelayConfig, append},
    time::Millis,
    trace::TraceParent,
};
use shop_proto::{event::OrderCancelled, topic::ORDER_CANCEL};
use shop_testkit::{
    databases, dump,
    proxy::{Commit, Proxy},
};

use crate::script::Script;

pub(crate) const NOW: Millis = Millis::new(1_000_000);
/// What an empty outbox looks like.
pub(crate) const EMPTY: &str = "trade_mq_consumer_log\ntrade_mq_producer_temp\n";

pub(crate) fn message(order_id: i64) -> Message {
    let body = OrderCancelled { version: 1, order_id, user_id: 7 };
    Message::new(ORDER_CANCEL, order_id, &body, TraceParent::start()).unwrap()
}

pub(crate) async fn owe(db: &Db, orders: impl Iterator<Item = i64>) -> Result<()> {
    let messages: Vec<Message> = orders.map(message).collect();
    db.write_tx(async |tx| append(tx, &messages, NOW).await).await
}

pub(crate) fn relay(db: &Db, bus: &Arc<Script>) -> Relay {
    Relay::new(db.clone(), bus.clone(), RelayConfig { batch: 32, ..RelayConfig::default() })
}

fn later(now: Millis, seconds: u64) -> Millis {
    now.after(Duration::from_secs(seconds))
}

#[derive(Debug, PartialEq, Eq)]
struct Owed {
    id: String,
    status: i16,
    due_ms: Option<i64>,
    attempts: i64,
    remark: Option<String>,
}

async fn owed(db: &Db) -> Vec<Owed> {
    let text = "SELECT id, msg_status, due_ms, attempts, remark FROM trade_mq_producer_temp ORDER BY id";
    let rows = db.read().query_all_raw(Statement::from_string(db.read().get_database_backend(), text)).await.unwrap();
    let rows = rows.iter().map(|row| Owed {
        id: row.try_get("", "id").unwrap(),
        status: row.try_get("", "msg_status").unwrap(),
        due_ms: row.try_get("", "due_ms").unwrap(),
        attempts: row.try_get("", "attempts").unwrap(),
        remark: row.try_get("", "remark").unwrap(),
    });
    rows.collect()
}

fn away() -> std::result::Result<(), PublishError> {
    Err(PublishError::Unavailable("no broker".to_owned()))
}

#[tokio::test]
async fn a_transaction_that_rolled_back_owes_nothing() {
    for test in databases(&[MESSAGES, DELIVER_AT]).await {
        let failed = test.db.write_tx(async |tx| {
            append(tx, &[message(1)], NOW).await?;
            Err::<(), _>(Failure::guard("order"))
        });
        failed.await.unwrap_err();
        let bus = Script::new();
        assert_eq!(relay(&test.db, &bus).run_once(NOW).await.unwrap(), 0, "{}", test.name);
        assert_eq!((dump(&test.db).await.as_str(), bus.stored()), (EMPTY, vec![]), "{}", test.name);
    }
}

#[tokio::test]
async fn what_is_owed_is_sent_once_and_gone() {
    for test in databases(&[MESSAGES, DELIVER_AT]).await {
        let trace = TraceParent::start();
        let body = OrderCancelled { version: 1, order_id: 352_537_369_385_242_624, user_id: 7 };
        let message = Message::new(ORDER_CANCEL, body.order_id, &body, trace).unwrap();
        test.db.write_tx(async |tx| append(tx, &[message], NOW).await).await.unwrap();

        let bus = Script::new();
        let relay = relay(&test.db, &bus);
        assert_eq!(relay.run_once(NOW).await.unwrap(), 1, "{}", test.name);
        assert_eq!(relay.run_once(later(NOW, 600)).await.unwrap(), 0, "{}", test.name);
        let sent = &bus.stored()[..];
        assert_eq!(sent.len(), 1);
        assert_eq!(
            [&sent[0].group, &sent[0].topic, &sent[0].tag, &sent[0].key],
            ["order_producer_group", "orderTopic", "order_cancel", "352537369385242624"]
        );
        assert_eq!(sent[0].body, r#"{"version":1,"orderId":"352537369385242624","userId":"7"}"#);
        assert_eq!((sent[0].traceparent.clone(), sent[0].delay), (trace.to_string(), None));
        assert_eq!(dump(&test.db).await, EMPTY, "{}", test.name);
    }
}

#[tokio::test]
async fn one_run_sends_more_than_one_batch() {
    for test in databases(&[MESSAGES, DELIVER_AT]).await {
        owe(&test.db, 1..=100).await.unwrap();
        let bus = Script::new();
        assert_eq!(relay(&test.db, &bus).run_once(NOW).await.unwrap(), 100, "{}", test.name);
        assert_eq!(bus.keys().len(), 100);
        assert_eq!(dump(&test.db).await, EMPTY, "{}", test.name);
    }
}

#[tokio::test]
async fn a_message_of_a_kind_is_owed_once() {
    for test in databases(&[MESSAGES, DELIVER_AT]).await {
        owe(&test.db, 1..=1).await.unwrap();
        let again = owe(&test.db, 1..=1).await;
        assert!(matches!(again, Err(Failure::Rollback(_))), "{}: {again:?}", test.name);
        assert_eq!(owed(&test.db).await.len(), 1, "{}", test.name);
    }
}

#[tokio::test]
async fn while_the_broker_is_away_the_row_waits_longer_and_longer() {
    for test in databases(&[MESSAGES, DELIVER_AT]).await {
        owe(&test.db, 1..=1).await.unwrap();
        let bus = Script::new();
        bus.answer(|_| away());
        let relay = relay(&test.db, &bus);
        let mut now = NOW;
        let pauses: [RangeInclusive<i64>; 6] =
            [3_750..=5_000, 7_500..=10_000, 15_000..=20_000, 30_000..=40_000, 45_000..=60_000, 45_000..=60_000];
        for (attempts, pause) in (1..).zip(pauses) {
            assert_eq!(relay.run_once(now).await.unwrap(), 0);
            let row = owed(&test.db).await.remove(0);
            assert_eq!((row.status, row.attempts, row.remark), (0, attempts, None), "{}", test.name);
            let due = row.due_ms.unwrap();
            assert!(pause.contains(&(due - now.get())), "{}: {} not in {pause:?}", test.name, due - now.get());
            assert_eq!(relay.run_once(Millis::new(due - 1)).await.unwrap(), 0);
            assert_eq!(owed(&test.db).await[0].attempts, attempts, "{}: not before it is due", test.name);
            now = Millis::new(due);
        }
        bus.answer(|_| Ok(()));
        assert_eq!(relay.run_once(now).await.unwrap(), 1, "{}", test.name);
        assert_eq!((dump(&test.db).await.as_str(), bus.keys()), (EMPTY, vec!["1".to_owned()]), "{}", test.name);
    }
}

#[tokio::test]
async fn what_can_never_be_sent_is_parked_and_the_rest_flows() {
    for test in databases(&[MESSAGES, DELIVER_AT]).await {
        owe(&test.db, 1..=40).await.unwrap();
        let bus = Script::new();
        bus.answer(|message| match message.key.as_str() {
            "3" => Err(PublishError::Rejected("illegal topic".to_owned())),
            "4" => away(),
            _ => Ok(()),
        });
        let relay = relay(&test.db, &bus);
        assert_eq!(relay.run_once(NOW).await.unwrap(), 38, "{}", test.name);
        let left = owed(&test.db).await;
        let parked = Owed {
            id: "order_cancel:3".to_owned(),
            status: 2,
            due_ms: None,
            attempts: 1,
            remark: Some("illegal topic".to_owned()),
        };
        assert_eq!((left.len(), &left[0], left[1].id.as_str()), (2, &parked, "order_cancel:4"), "{}", test.name);

        bus.answer(|_| Ok(()));
        assert_eq!(relay.run_once(later(NOW, 3_600)).await.unwrap(), 1, "{}", test.name);
        assert_eq!(owed(&test.db).await, [parked], "{}: parked stays parked", test.name);
    }
}

#[tokio::test]
async fn a_long_reason_holds_up_nobody() {
    for test in databases(&[MESSAGES, DELIVER_AT]).await {
        owe(&test.db, 1..=2).await.unwrap();
        let bus = Script::new();
        bus.answer(|message| if message.key == "1" { Err(PublishError::Rejected("é".repeat(5_000))) } else { Ok(()) });
        assert_eq!(relay(&test.db, &bus).run_once(NOW).await.unwrap(), 1, "{}", test.name);
        let left = owed(&test.db).await;
        assert_eq!((left.len(), left[0].status), (1, 2), "{}", test.name);
        assert!(left[0].remark.as_ref().is_some_and(|why| why.starts_with("éé")), "{}", test.name);
    }
}

#[tokio::test]
async fn two_relays_at_once_lose_nothing() {
    for test in databases(&[MESSAGES, DELIVER_AT]).await {
        owe(&test.db, 1..=300).await.unwrap();
        let bus = Script::new();
        let relays = [relay(&test.db, &bus), relay(&test.connect_again().await, &bus)];
        let drain = async |relay: &Relay| loop {
            match relay.run_once(NOW).await {
                Ok(0) => return,
                Ok(_) | Err(Failure::Rollback(_)) => {}
                Err(Failure::Down(why) | Failure::NotRun(why)) => panic!("{}: {why}", test.name),
            }
        };
        tokio::join!(drain(&relays[0]), drain(&relays[1]));
        // Whoever lost a race after publishing has left rows behind; their lease ends.
        relays[0].run_once(later(NOW, 3_600)).await.unwrap();
        assert_eq!(dump(&test.db).await, EMPTY, "{}", test.name);
        let sent: BTreeSet<String> = bus.keys().into_iter().collect();
        assert_eq!(sent, (1..=300).map(|key| key.to_string()).collect(), "{}", test.name);
    }
}

#[tokio::test]
async fn a_crash_after_publishing_sends_again_when_the_lease_ends() {
    for test in databases(&[MESSAGES, DELIVER_AT]).await {
        owe(&test.db, 1..=1).await.unwrap();
        let bus = Script::new();
        let relay = relay(&test.db, &bus);
        bus.hang(true);
        let crashed = tokio::spawn({
            let relay = relay.clone();
            async move { relay.run_once(NOW).await }
        });
        bus.hanging.acquire().await.unwrap().forget();
        crashed.abort();
        assert!(crashed.await.unwrap_err().is_cancelled());

        bus.hang(false);
        assert_eq!(relay.run_once(later(NOW, 1)).await.unwrap(), 0, "{}: still leased", test.name);
        assert_eq!(relay.run_once(later(NOW, 6)).await.unwrap(), 1, "{}", test.name);
        assert_eq!(bus.keys(), ["1", "1"], "{}: twice, never not at all", test.name);
        assert_eq!(dump(&test.db).await, EMPTY, "{}", test.name);
    }
}

/// The broker has it; the answer to the COMMIT that deletes its row is lost, with or without the COMMIT itself (F60).
#[tokio::test]
async fn a_row_whose_deletion_is_lost_is_sent_again_or_gone() {
    for test in databases(&[MESSAGES, DELIVER_AT]).await.into_iter().filter(|test| test.name == "mariadb") {
        for (commit, sent) in [(Commit::Before, vec!["1", "1"]), (Commit::After, vec!["1"])] {
            let (proxy, url) = Proxy::before_mysql(test.config.url.reveal()).await;
            let db = Db::connect(&DatabaseConfig { url: Secret::new(url), max_connections: 1 }).await.unwrap();
            owe(&test.db, 1..=1).await.unwrap();
            let bus = Script::new();
            let relay = relay(&db, &bus);
            // The first takes the row, the second deletes it.
            proxy.spoil_commit(2, commit);
            let unknown = relay.run_once(NOW).await;
            assert!(matches!(unknown, Err(Failure::Down(_))), "{commit:?}: {unknown:?}");
            proxy.heal();
            assert_eq!(bus.keys(), ["1"], "{commit:?}");

            relay.run_once(later(NOW, 6)).await.unwrap();
            assert_eq!(bus.keys(), sent, "{commit:?}");
            assert_eq!(dump(&test.db).await, EMPTY, "{commit:?}");
        }
    }
}
