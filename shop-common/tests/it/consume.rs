//! Messages are handed over as one batch; what cannot be decoded is set aside and holds up nobody.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use shop_common::{
    code::ShopCode,
    consume::{handler, subscribe},
    db::Db,
    migrate::{DEAD_LETTERS, DELIVER_AT, MESSAGES, SqlFile},
    mq::{Bus, Handler, Incoming},
    shutdown,
    time::{Clock, Millis},
    trace::TraceParent,
};
use shop_proto::{event::OrderCancelled, topic::ORDER_CANCEL};
use shop_testkit::{databases, dump, eventually};

use crate::{outbox::EMPTY, script::Script};

const SCHEMA: [SqlFile; 3] = [MESSAGES, DEAD_LETTERS, DELIVER_AT];
const GROUP: &str = "goods_orderTopic_order_cancel_group";
const NOW: Millis = Millis::new(5_000);

/// The orders and the trace of one batch.
type Batch = (Vec<i64>, String);

/// What a handler was given.
#[derive(Clone, Default)]
struct Given(Arc<Mutex<Vec<Batch>>>);

impl Given {
    fn orders(&self) -> Vec<Vec<i64>> {
        self.0.lock().unwrap().iter().map(|(orders, _)| orders.clone()).collect()
    }
}

/// Keeps what it is given; fails where order 13 is among it.
fn keeping(db: &Db, given: &Given) -> Handler {
    let given = given.clone();
    handler(db.clone(), Clock::manual(NOW), GROUP, move |events: Vec<OrderCancelled>| {
        let given = given.clone();
        Box::pin(async move {
            let orders: Vec<i64> = events.iter().map(|event| event.order_id).collect();
            let unlucky = orders.contains(&13);
            given.0.lock().unwrap().push((orders, TraceParent::current().trace_id()));
            if unlucky { Err(ShopCode::Unavailable.into()) } else { Ok(()) }
        })
    })
}

fn incoming(key: &str, body: impl Into<Vec<u8>>) -> Incoming {
    Incoming {
        msg_id: format!("id-{key}"),
        topic: ORDER_CANCEL.topic.to_owned(),
        tag: ORDER_CANCEL.tag.to_owned(),
        key: key.to_owned(),
        body: body.into(),
        traceparent: String::new(),
        attempt: 1,
    }
}

fn cancelled(order: i64) -> Incoming {
    incoming(&order.to_string(), format!(r#"{{"version":1,"orderId":"{order}","userId":"7"}}"#))
}

const GARBAGE: &[u8] = b"\xff\xfe{\"version\":1\0";

#[tokio::test]
async fn what_comes_together_is_handled_together() {
    for test in databases(&SCHEMA).await {
        let given = Given::default();
        keeping(&test.db, &given)((1..=5).map(cancelled).collect()).await.unwrap();
        assert_eq!(given.orders(), [vec![1, 2, 3, 4, 5]], "{}", test.name);
        assert_eq!(dump(&test.db).await, EMPTY, "{}", test.name);
    }
}

#[tokio::test]
async fn the_undecodable_is_parked_once_byte_for_byte_and_the_others_are_handled() {
    for test in databases(&SCHEMA).await {
        let given = Given::default();
        let handler = keeping(&test.db, &given);
        let batch = vec![cancelled(1), incoming("2", GARBAGE), cancelled(3)];
        handler(batch.clone()).await.unwrap();
        handler(batch).await.unwrap();
        assert_eq!(given.orders(), [vec![1, 3], vec![1, 3]], "{}", test.name);
        let rows = dump(&test.db).await;
        let parked = "group_name=goods_orderTopic_order_cancel_group msg_tag=order_cancel msg_key=2 msg_id=id-2 \
                      msg_topic=orderTopic msg_body=FFFE7B2276657273696F6E223A3100 consumer_status=2 consumer_times=2 \
                      consumer_ms=5000 remark=";
        assert_eq!(rows.matches(parked).count(), 1, "{}: {rows}", test.name);
        assert_eq!(rows.lines().count(), 3, "{}: {rows}", test.name);
    }
}

#[tokio::test]
async fn a_batch_of_nothing_decodable_is_handled() {
    for test in databases(&SCHEMA).await {
        let given = Given::default();
        keeping(&test.db, &given)(vec![incoming("1", GARBAGE), incoming("2", r#"{"version":2}"#)]).await.unwrap();
        assert_eq!(given.orders(), Vec::<Vec<i64>>::new(), "{}", test.name);
        let rows = dump(&test.db).await;
        assert!(rows.contains("remark=version 2 is not 1"), "{}: {rows}", test.name);
    }
}

#[tokio::test]
async fn parked_is_whatever_a_sender_can_send() {
    for test in databases(&SCHEMA).await {
        let given = Given::default();
        let handler = keeping(&test.db, &given);
        let keyless = incoming("", GARBAGE);
        let long_key = Incoming { msg_id: "long".to_owned(), ..incoming(&"k".repeat(5_000), GARBAGE) };
        let long_tag = Incoming { tag: "t".repeat(5_000), ..incoming("5", GARBAGE) };
        let long_topic = Incoming { topic: "t".repeat(120), ..incoming("6", GARBAGE) };
        let large = incoming("7", vec![0xff; 1 << 20]);
        let talkative = incoming("8", format!(r#"{{"version":"{}"}}"#, "é".repeat(2_000)));
        let empty = incoming("9", "");
        handler(vec![keyless, long_key, long_tag, long_topic, large, talkative, empty, cancelled(1)]).await.unwrap();
        assert_eq!(given.orders(), [vec![1]], "{}", test.name);
        let rows = dump(&test.db).await;
        assert_eq!(rows.lines().count(), 2 + 7, "{}", test.name);
        assert!(rows.contains("msg_key=id- msg_id=id- "), "{}: without a key, the id", test.name);
        assert!(rows.contains(&format!("msg_body={}", "FF".repeat(1 << 20))), "{}: all of its bytes", test.name);
    }
}

#[tokio::test]
async fn what_could_not_be_handled_is_said_to_the_broker() {
    for test in databases(&SCHEMA).await {
        let given = Given::default();
        let refused = keeping(&test.db, &given)(vec![cancelled(12), cancelled(13)]).await.unwrap_err();
        assert!(refused.why.contains("SHOP_UNAVAILABLE"), "{}: {refused}", test.name);
        assert_eq!(dump(&test.db).await, EMPTY, "{}: failed is not undecodable", test.name);
    }
}

#[tokio::test]
async fn what_could_not_be_parked_is_said_to_the_broker() {
    // Without the table to park in.
    for test in databases(&[]).await {
        let given = Given::default();
        keeping(&test.db, &given)(vec![incoming("1", GARBAGE), cancelled(2)]).await.unwrap_err();
        assert_eq!(given.orders(), Vec::<Vec<i64>>::new(), "{}: the broker sends all of it again", test.name);
    }
}

#[tokio::test]
async fn a_handler_is_part_of_the_senders_trace() {
    let trace = TraceParent::start();
    for test in databases(&SCHEMA).await {
        let given = Given::default();
        let message = Incoming { traceparent: trace.to_string(), ..cancelled(1) };
        keeping(&test.db, &given)(vec![message]).await.unwrap();
        assert_eq!(given.0.lock().unwrap()[0].1, trace.trace_id(), "{}", test.name);
    }
}

#[tokio::test]
async fn a_broker_that_is_away_at_first_is_subscribed_to_later() {
    let test = shop_testkit::sqlite(&SCHEMA).await;
    let bus = Script::new();
    *bus.away.lock().unwrap() = 1;
    let (_switch, shutdown) = shutdown::channel();
    subscribe(bus.clone(), ORDER_CANCEL, "goods", "one", keeping(&test.db, &Given::default()), shutdown);
    eventually("subscribed", Duration::from_secs(30), async || !bus.subscribed.lock().unwrap().is_empty()).await;
    let subscription = bus.subscribed.lock().unwrap()[0].clone();
    assert_eq!((subscription.group.as_str(), subscription.instance.as_str()), (GROUP, "goods-one"));
    assert_eq!((subscription.topic.as_str(), subscription.tags), ("orderTopic", vec!["order_cancel".to_owned()]));
}

#[tokio::test]
async fn a_message_of_the_memory_bus_arrives() {
    let test = shop_testkit::sqlite(&SCHEMA).await;
    let (bus, given) = (shop_testkit::bus(), Given::default());
    let (_switch, shutdown) = shutdown::channel();
    subscribe(bus.clone(), ORDER_CANCEL, "goods", "one", keeping(&test.db, &given), shutdown);
    tokio::task::yield_now().await;
    bus.publish_bytes("orderTopic", "order_cancel", GARBAGE);
    bus.publish_bytes("orderTopic", "order_cancel", &cancelled(1).body);
    eventually("delivered", Duration::from_secs(30), async || {
        bus.deliver_all().await;
        given.orders().concat() == [1]
    })
    .await;
    assert!(dump(&test.db).await.contains("msg_body=FFFE7B2276657273696F6E223A3100"));
    bus.stop_consumers().await;
}
