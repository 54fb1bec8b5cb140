//! Poison between good messages, from publish to the kept row, over both buses (F29): it fails alone, comes again alone,
//! and is the only one to become a dead letter.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use futures::FutureExt;
use shop_common::{
    code::ShopCode,
    config::Secret,
    consume,
    db::{DatabaseConfig, Db},
    dead::{Letter, State, letters},
    migrate::{DEAD_LETTERS, DELIVER_AT, MESSAGES, migrate},
    mq::{
        Bus, Handler, Incoming, NotHandled, Outgoing,
        rocketmq::{RocketMqBus, RocketMqConfig},
    },
    time::Clock,
};
use shop_proto::event::PaymentSucceeded;
use tempfile::TempDir;

use crate::{
    child::BrokerProcess,
    world::{
        Heard, MemoryWorld, RocketMqWorld, World, clustering, connect, log, message, publish, unique, until, was_said,
    },
};

const GROUP: &str = "poison_group";
const DEAD_GROUP: &str = "dead_poison_group";
/// The payment its receiver fails on.
const BAD: i64 = 13;
/// Nothing that could be decoded, and an event of a version to come.
const GARBAGE: &[u8] = &[0xff, 0xfe, 0x00];
const OTHER_VERSION: &str = r#"{"version":2,"payId":"1","orderId":"7","payAmount":"1.00"}"#;
/// What the client says when nobody has answered to what it sends back; then it sends a message, and gives that three
/// seconds.
const GIVES_UP: &str = "send message back error";

/// A receiver that fails on [`BAD`] until it is healed.
#[derive(Clone, Default)]
struct Receiver {
    calls: Arc<Mutex<Vec<Vec<i64>>>>,
    done: Arc<Mutex<BTreeSet<i64>>>,
    /// The bodies that were delivered and answered, whatever the answer.
    answered: Arc<Mutex<BTreeSet<Vec<u8>>>>,
    is_healed: Arc<Mutex<bool>>,
}

impl Receiver {
    fn handler(&self, db: &Db, group: &'static str) -> Handler {
        let (receiver, answered) = (self.clone(), Arc::clone(&self.answered));
        let handle = consume::handler(db.clone(), Clock::system(), group, move |events: Vec<PaymentSucceeded>| {
            let receiver = receiver.clone();
            Box::pin(async move {
                let pay_ids: Vec<i64> = events.iter().map(|event| event.pay_id).collect();
                receiver.calls.lock().unwrap().push(pay_ids.clone());
                if pay_ids.contains(&BAD) && !*receiver.is_healed.lock().unwrap() {
                    return Err(ShopCode::Unavailable.into());
                }
                receiver.done.lock().unwrap().extend(pay_ids);
                Ok(())
            })
        });
        Arc::new(move |messages: Vec<Incoming>| {
            let bodies: Vec<Vec<u8>> = messages.iter().map(|message| message.body.clone()).collect();
            let (handled, answered) = (handle(messages), Arc::clone(&answered));
            async move {
                let answer = handled.await;
                answered.lock().unwrap().extend(bodies);
                answer
            }
            .boxed()
        })
    }

    fn has_answered(&self, body: &[u8]) -> bool {
        self.answered.lock().unwrap().contains(body)
    }

    fn has_done(&self, pay_id: i64) -> bool {
        self.done.lock().unwrap().contains(&pay_id)
    }

    fn calls(&self) -> Vec<Vec<i64>> {
        self.calls.lock().unwrap().clone()
    }
}

async fn database() -> (Db, TempDir) {
    let dir = TempDir::new().unwrap();
    let url = Secret::new(format!("sqlite://{}", dir.path().join("shop.db").display()));
    let db = Db::connect(&DatabaseConfig { url, max_connections: 2 }).await.unwrap();
    migrate(&db, &[MESSAGES, DEAD_LETTERS, DELIVER_AT]).await.unwrap();
    (db, dir)
}

fn paid(topic: &str, pay_id: i64) -> Outgoing {
    let body = format!(r#"{{"version":1,"payId":"{pay_id}","orderId":"7","payAmount":"1.00"}}"#);
    Outgoing { key: pay_id.to_string(), ..message(topic, "pay_success", body) }
}

/// Good messages with poison among them, all at once.
async fn publish_poison(world: &dyn World, bus: &dyn Bus, topic: &str) {
    world.publish_bytes(topic, "pay_success", GARBAGE.to_vec()).await;
    let mut messages: Vec<Outgoing> = (2..=30).map(|pay_id| paid(topic, pay_id)).collect();
    messages.insert(10, Outgoing { key: "v2".to_owned(), ..message(topic, "pay_success", OTHER_VERSION) });
    publish(bus, messages).await;
}

fn good_ones(receiver: &Receiver) -> bool {
    (1..=30).filter(|pay_id| *pay_id != BAD).all(|pay_id| receiver.has_done(pay_id))
}

async fn poison_holds_up_nobody(world: &dyn World) {
    let ((db, _dir), bus, receiver, topic) =
        (database().await, world.process().await, Receiver::default(), unique("topic"));
    bus.subscribe(clustering(GROUP, &topic, "one"), receiver.handler(&db, GROUP)).await.unwrap();
    publish(&*bus, vec![paid(&topic, 1)]).await;
    world.until("a receiver at work", &|| receiver.has_done(1)).await;

    publish_poison(world, &*bus, &topic).await;
    let tried = |calls: &[Vec<i64>]| calls.contains(&vec![BAD]);
    world.until("all good ones", &|| good_ones(&receiver) && tried(&receiver.calls())).await;
    let before = receiver.calls().len();
    *receiver.is_healed.lock().unwrap() = true;
    world.until("the redelivery", &|| receiver.has_done(BAD)).await;
    // Each stands in a queue of its own, which may be read later than that.
    let undecodable = [GARBAGE, OTHER_VERSION.as_bytes()];
    world.until("the undecodable", &|| undecodable.iter().all(|body| receiver.has_answered(body))).await;
    bus.stop_consumers().await;

    assert_eq!(receiver.calls()[before..], [vec![BAD]], "it comes again alone");
    let mut seen: Vec<(String, State, i64)> = letters(&db, true)
        .await
        .unwrap()
        .into_iter()
        .map(|letter| (letter.reason, letter.state, letter.times))
        .collect();
    seen.sort_by(|one, other| one.0.cmp(&other.0));
    let states: Vec<(State, i64)> = seen.iter().map(|(_, state, times)| (*state, *times)).collect();
    assert_eq!(states.len(), 3, "{seen:?}");
    assert_eq!(states.iter().filter(|state| **state == (State::Open, 1)).count(), 2, "garbage, version 2: {seen:?}");
    assert_eq!(states.iter().filter(|state| **state == (State::Handled, 1)).count(), 1, "{seen:?}");
}

#[tokio::test]
async fn poison_holds_up_nobody_on_the_memory_bus() {
    poison_holds_up_nobody(&MemoryWorld::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_holds_up_nobody_on_rocketmq() {
    poison_holds_up_nobody(&RocketMqWorld::new().await).await;
}

/// Of a batch with one bad message the broker's dead-letter queue gets that one, and the database has it too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_its_retries_the_bad_one_alone_is_a_dead_letter_of_the_broker() {
    let world = RocketMqWorld::new().await;
    let ((db, _dir), receiver, topic) = (database().await, Receiver::default(), unique("topic"));
    let config = RocketMqConfig::new(world.broker.name_server.as_str(), world.data_dir());
    let bus = RocketMqBus::connect(RocketMqConfig { reconsume_max: 1, ..config.clone() }).await.unwrap();
    bus.subscribe(clustering(DEAD_GROUP, &topic, "one"), receiver.handler(&db, DEAD_GROUP)).await.unwrap();
    publish(&*bus, vec![paid(&topic, 1)]).await;
    until("a receiver at work", || receiver.has_done(1)).await;
    publish_poison(&world, &*bus, &topic).await;
    let alone = |receiver: &Receiver| receiver.calls().iter().filter(|call| **call == [BAD]).count();
    until("the last try", || good_ones(&receiver) && alone(&receiver) >= 2).await;
    bus.stop_consumers().await;

    let dead = Heard::default();
    let queue = format!("%DLQ%{DEAD_GROUP}");
    // A bus that has stopped its consumers takes no new ones.
    let reader = RocketMqBus::connect(config).await.unwrap();
    reader.subscribe(clustering("dead_letter_reader", &queue, "one"), dead.handler()).await.unwrap();
    until("the dead letter", || dead.count() > 0).await;
    let keys: BTreeSet<String> = dead.all().into_iter().map(|letter| letter.key).collect();
    assert_eq!(keys, BTreeSet::from([BAD.to_string()]), "no neighbour went along");
    let kept: Vec<Letter> = letters(&db, false).await.unwrap();
    let bad = kept.iter().find(|letter| letter.key == BAD.to_string()).unwrap();
    assert_eq!(bad.times, 2, "{kept:?}");
    reader.shutdown().await;
    bus.shutdown().await;
}

/// The broker hangs when a message is to go back to it, longer than the client waits for its answer, but not so long that
/// the client gives up on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_hanging_broker_did_not_take_back_comes_again() {
    log();
    let (dir, topic) = (TempDir::new().unwrap(), unique("topic"));
    let broker = Arc::new(BrokerProcess::start(dir.path()).await);
    let bus = connect(&broker.name_server, dir.path().to_owned()).await;
    let heard = Heard::default();
    bus.subscribe(clustering(&unique("group"), &topic, "one"), fails_once(&heard, &broker)).await.unwrap();
    publish(&*bus, vec![message(&topic, "t", "listening")]).await;
    until("a listener at work", || heard.has("listening")).await;

    publish(&*bus, vec![message(&topic, "t", "good"), message(&topic, "t", "bad")]).await;
    until("the failure", || heard.has("bad")).await;
    until("the client gives up on its answer", || was_said(GIVES_UP)).await;
    broker.go_on();
    let times = |body: &[u8]| heard.all().into_iter().filter(|message| message.body == body).count();
    until("the redelivery", || times(b"bad") > 1).await;
    assert_eq!(times(b"good"), 1, "its neighbour stays");
    bus.shutdown().await;
}

/// Remembers all, and lets the broker hang when it fails on the first delivery of `bad`.
fn fails_once(heard: &Heard, broker: &Arc<BrokerProcess>) -> Handler {
    let (remember, broker) = (heard.handler(), Arc::clone(broker));
    Arc::new(move |messages: Vec<Incoming>| {
        let bad = messages.iter().position(|message| message.body == b"bad" && message.attempt == 1);
        let (remembered, broker) = (remember(messages), Arc::clone(&broker));
        async move {
            let Some(bad) = bad else { return remembered.await };
            broker.hang();
            remembered.await?;
            Err(NotHandled { why: "not now".to_owned(), only: vec![bad] })
        }
        .boxed()
    })
}
