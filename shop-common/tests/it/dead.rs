//! Poison and dead letters (F27, F29, F61, B82, B86): a message that fails is kept and fails alone, what succeeds later is
//! open no more, and an operator resends or discards what is left.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use shop_common::{
    code::ShopCode,
    consume::{handler, subscribe},
    db::Db,
    dead::{Dealt, Deed, Letter, Place, State, discard, letters, resend},
    migrate::{DEAD_LETTERS, DELIVER_AT, MESSAGES, SqlFile},
    mq::{Bus, Handler, Incoming, Outgoing, memory::MemoryBus},
    outbox::{Message, Relay, RelayConfig, append},
    shutdown,
    time::{Clock, Millis},
    trace::TraceParent,
};
use shop_proto::{event::PaymentSucceeded, topic::PAY_SUCCESS};
use shop_testkit::{databases, dump, eventually, participant::number};

use crate::outbox::EMPTY;

const SCHEMA: [SqlFile; 3] = [MESSAGES, DEAD_LETTERS, DELIVER_AT];
const GROUP: &str = "order_payTopic_pay_success_group";
const NOW: Millis = Millis::new(5_000);
const GARBAGE: &[u8] = b"\xff\xfe{\"version\":1\0";
const DEED: Deed<'_> = Deed { who: "mary", now: Millis::new(9_000) };
const OUTBOX_ROWS: &str = "SELECT COUNT(*) AS n FROM trade_mq_producer_temp";

/// A receiver that fails on, or panics at, the payments it is told to, and counts what it has done once each.
#[derive(Clone, Default)]
struct Receiver {
    calls: Arc<Mutex<Vec<Vec<i64>>>>,
    fails: Arc<Mutex<BTreeSet<i64>>>,
    panics: Arc<Mutex<BTreeSet<i64>>>,
    effects: Arc<Mutex<BTreeSet<i64>>>,
}

impl Receiver {
    fn failing(pay_ids: &[i64]) -> Self {
        let receiver = Self::default();
        receiver.fails.lock().unwrap().extend(pay_ids);
        receiver
    }

    fn heal(&self) {
        self.fails.lock().unwrap().clear();
    }

    fn calls(&self) -> Vec<Vec<i64>> {
        self.calls.lock().unwrap().clone()
    }

    fn effects(&self) -> Vec<i64> {
        self.effects.lock().unwrap().iter().copied().collect()
    }

    fn handler(&self, db: &Db) -> Handler {
        self.handler_of(db, GROUP)
    }

    fn handler_of(&self, db: &Db, group: &'static str) -> Handler {
        let receiver = self.clone();
        handler(db.clone(), Clock::manual(NOW), group, move |events: Vec<PaymentSucceeded>| {
            let receiver = receiver.clone();
            Box::pin(async move {
                let pay_ids: Vec<i64> = events.iter().map(|event| event.pay_id).collect();
                receiver.calls.lock().unwrap().push(pay_ids.clone());
                let has = |set: &Mutex<BTreeSet<i64>>| pay_ids.iter().any(|id| set.lock().unwrap().contains(id));
                let is_bad = has(&receiver.panics);
                assert!(!is_bad, "the handler panics, as it is told");
                if has(&receiver.fails) {
                    return Err(ShopCode::Unavailable.into());
                }
                receiver.effects.lock().unwrap().extend(pay_ids);
                Ok(())
            })
        })
    }
}

fn incoming(key: &str, body: impl Into<Vec<u8>>) -> Incoming {
    Incoming {
        msg_id: format!("id-{key}"),
        topic: PAY_SUCCESS.topic.to_owned(),
        tag: PAY_SUCCESS.tag.to_owned(),
        key: key.to_owned(),
        body: body.into(),
        traceparent: String::new(),
        attempt: 1,
    }
}

fn body(pay_id: i64) -> String {
    format!(r#"{{"version":1,"payId":"{pay_id}","orderId":"7","payAmount":"1.00"}}"#)
}

fn paid(pay_id: i64) -> Incoming {
    incoming(&pay_id.to_string(), body(pay_id))
}

/// The letters as (id, state, times, when the broker comes again).
async fn seen(db: &Db) -> Vec<(String, State, i64, Option<i64>)> {
    let letters = letters(db, true).await.unwrap().into_iter();
    letters.map(|l| (l.place.to_string(), l.state, l.times, l.retry.map(Millis::get))).collect()
}

fn id(key: &str) -> String {
    format!("in/{GROUP}/pay_success/{key}")
}

async fn only_letter(db: &Db) -> Letter {
    let mut letters = letters(db, true).await.unwrap();
    assert_eq!(letters.len(), 1, "{letters:?}");
    letters.remove(0)
}

#[tokio::test]
async fn a_message_that_fails_fails_alone_and_is_kept() {
    for test in databases(&SCHEMA).await {
        let receiver = Receiver::failing(&[13]);
        let refused = receiver.handler(&test.db)(vec![paid(1), paid(13), paid(2)]).await.unwrap_err();
        assert!(refused.why.contains("SHOP_UNAVAILABLE"), "{}: {refused}", test.name);
        assert_eq!(receiver.calls(), [vec![1, 13, 2], vec![1], vec![13], vec![2]], "{}", test.name);
        assert_eq!(receiver.effects(), [1, 2], "{}: its neighbours are done", test.name);
        assert_eq!(seen(&test.db).await, [(id("13"), State::Open, 1, Some(15_000))], "{}", test.name);
        let rows = dump(&test.db).await;
        let bytes: String = hex::encode_upper(body(13));
        assert!(rows.contains(&format!("msg_body={bytes} consumer_status=2")), "{}: {rows}", test.name);
    }
}

#[tokio::test]
async fn a_panic_takes_no_neighbour_along() {
    for test in databases(&SCHEMA).await {
        let receiver = Receiver::default();
        receiver.panics.lock().unwrap().insert(13);
        receiver.handler(&test.db)(vec![paid(1), paid(13)]).await.unwrap_err();
        assert_eq!(receiver.effects(), [1], "{}", test.name);
        let letter = only_letter(&test.db).await;
        assert_eq!((letter.key.as_str(), letter.reason.as_str()), ("13", "the handler panicked"), "{}", test.name);
    }
}

#[tokio::test]
async fn what_fails_three_times_and_then_succeeds_was_handled_after_all() {
    for test in databases(&SCHEMA).await {
        let receiver = Receiver::failing(&[13]);
        let handler = receiver.handler(&test.db);
        for (attempt, pause) in [(1, 10_000), (2, 30_000), (3, 60_000)] {
            handler(vec![Incoming { attempt, ..paid(13) }]).await.unwrap_err();
            let expected = (id("13"), State::Open, i64::from(attempt), Some(NOW.get() + pause));
            assert_eq!(seen(&test.db).await, [expected], "{}", test.name);
        }
        receiver.heal();
        handler(vec![paid(1), Incoming { attempt: 4, ..paid(13) }]).await.unwrap();
        assert_eq!(seen(&test.db).await, [(id("13"), State::Handled, 3, None)], "{}", test.name);
        assert!(letters(&test.db, false).await.unwrap().is_empty(), "{}: nothing is open", test.name);
    }
}

#[tokio::test]
async fn after_the_last_try_nobody_comes_again() {
    for test in databases(&SCHEMA).await {
        let receiver = Receiver::failing(&[13]);
        for (attempt, retry) in [(16, Some(NOW.get() + 7_200_000)), (17, None)] {
            receiver.handler(&test.db)(vec![Incoming { attempt, ..paid(13) }]).await.unwrap_err();
            assert_eq!(only_letter(&test.db).await.retry.map(Millis::get), retry, "{}", test.name);
        }
    }
}

/// The only connection that writes to this file is taken: who wants to write waits for ever.
#[tokio::test]
async fn what_is_handled_at_once_is_handled_without_writing() {
    let test = shop_testkit::sqlite(&SCHEMA).await;
    let receiver = Receiver::default();
    let (handler, messages) = (receiver.handler(&test.db), (1..=32).map(paid).collect());
    let handled = test.db.write_tx(async |_| Ok(handler(messages).await)).await.unwrap();
    assert_eq!((handled, receiver.effects().len()), (Ok(()), 32));
}

#[tokio::test]
async fn a_broadcast_that_fails_is_not_kept() {
    for test in databases(&SCHEMA).await {
        let receiver = Receiver::failing(&[13]);
        let broadcast = receiver.handler_of(&test.db, "goods_orderTopic_order_cancel_group");
        broadcast(vec![paid(1), paid(13)]).await.unwrap_err();
        assert_eq!(receiver.effects(), [1], "{}", test.name);
        assert_eq!(dump(&test.db).await, EMPTY, "{}: the broker never delivers it again", test.name);
    }
}

#[tokio::test]
async fn a_forged_message_displaces_nothing() {
    for test in databases(&SCHEMA).await {
        let receiver = Receiver::failing(&[13]);
        let handler = receiver.handler(&test.db);
        handler(vec![paid(13)]).await.unwrap_err();
        let forged = Incoming { msg_id: "forged".to_owned(), ..incoming("13", GARBAGE) };
        handler(vec![forged.clone()]).await.unwrap();
        handler(vec![forged]).await.unwrap();
        let both = [(id("13"), State::Open, 1, Some(15_000)), (id("forged"), State::Open, 2, None)];
        assert_eq!(seen(&test.db).await, both, "{}", test.name);
        receiver.heal();
        handler(vec![Incoming { attempt: 2, ..paid(13) }]).await.unwrap();
        let states: Vec<State> = seen(&test.db).await.into_iter().map(|(_, state, ..)| state).collect();
        assert_eq!(states, [State::Handled, State::Open], "{}: each by its own bytes", test.name);
    }
}

#[tokio::test]
async fn another_message_under_the_key_of_a_bad_one_does_not_settle_it() {
    for test in databases(&SCHEMA).await {
        let receiver = Receiver::default();
        let handler = receiver.handler(&test.db);
        handler(vec![incoming("13", GARBAGE)]).await.unwrap();
        handler(vec![paid(13)]).await.unwrap();
        assert_eq!(seen(&test.db).await, [(id("13"), State::Open, 1, None)], "{}", test.name);
    }
}

#[tokio::test]
async fn what_was_discarded_stays_discarded_however_often_it_comes() {
    for test in databases(&SCHEMA).await {
        let receiver = Receiver::failing(&[13]);
        let handler = receiver.handler(&test.db);
        handler(vec![paid(13)]).await.unwrap_err();
        let letter = only_letter(&test.db).await;
        assert_eq!(discard(&test.db, &letter, "a test", &DEED).await.unwrap(), Dealt::Done, "{}", test.name);
        handler(vec![Incoming { attempt: 2, ..paid(13) }]).await.unwrap_err();
        let letter = only_letter(&test.db).await;
        assert_eq!((letter.state, letter.times), (State::Discarded, 2), "{}", test.name);
        let by = (letter.operator.as_deref(), letter.operated, letter.note.as_deref());
        assert_eq!(by, (Some("mary"), Some(DEED.now), Some("a test")), "{}", test.name);
        let again = discard(&test.db, &letter, "another", &DEED).await.unwrap();
        assert!(matches!(again, Dealt::Already(_)), "{}: {again:?}", test.name);
        let resent = resend(&test.db, &letter, &DEED).await.unwrap();
        assert!(matches!(resent, Dealt::Refused(_)), "{}: {resent:?}", test.name);
        assert_eq!(number(&test.db, OUTBOX_ROWS).await, 0, "{}", test.name);
    }
}

/// A bus, and a receiver of the group on it.
async fn listening(db: &Db, receiver: &Receiver) -> (Arc<MemoryBus>, shutdown::Switch) {
    let (bus, (switch, shutdown)) = (shop_testkit::bus(), shutdown::channel());
    subscribe(bus.clone(), PAY_SUCCESS, "order", "one", receiver.handler(db), shutdown);
    bus.publish_bytes(PAY_SUCCESS.topic, PAY_SUCCESS.tag, body(1).as_bytes());
    eventually("it listens", Duration::from_secs(30), async || bus.deliver_all().await > 0).await;
    (bus, switch)
}

#[tokio::test]
async fn resending_twice_has_one_effect() {
    for test in databases(&SCHEMA).await {
        let receiver = Receiver::failing(&[13]);
        let (bus, _switch) = listening(&test.db, &receiver).await;
        let relay = Relay::new(test.db.clone(), bus.clone(), RelayConfig::SMALL);
        receiver.handler(&test.db)(vec![Incoming { attempt: 17, ..paid(13) }]).await.unwrap_err();
        let letter = only_letter(&test.db).await;

        assert_eq!(resend(&test.db, &letter, &DEED).await.unwrap(), Dealt::Done, "{}", test.name);
        let waits = resend(&test.db, &letter, &DEED).await.unwrap();
        assert!(matches!(waits, Dealt::Already(_)), "{}: {waits:?}", test.name);
        assert_eq!(number(&test.db, OUTBOX_ROWS).await, 1, "{}", test.name);
        let waits = discard(&test.db, &letter, "it would go out all the same", &DEED).await.unwrap();
        assert!(matches!(waits, Dealt::Refused(_)), "{}: {waits:?}", test.name);
        receiver.heal();
        // Once more after it was sent, before anybody has handled it.
        assert_eq!(relay.run_once(DEED.now).await.unwrap(), 1, "{}", test.name);
        assert_eq!(resend(&test.db, &letter, &DEED).await.unwrap(), Dealt::Done, "{}", test.name);
        assert_eq!(relay.run_once(DEED.now).await.unwrap(), 1, "{}", test.name);
        assert_eq!(bus.deliver_all().await, 2, "{}", test.name);

        assert_eq!(receiver.effects(), [1, 13], "{}: one effect", test.name);
        let sent = bus.published();
        let as_it_came = [PAY_SUCCESS.topic, PAY_SUCCESS.tag, "13", &body(13)];
        for Outgoing { topic, tag, key, body, .. } in &sent {
            assert_eq!([topic.as_str(), tag, key, body], as_it_came, "{}", test.name);
        }
        let letter = only_letter(&test.db).await;
        assert_eq!((letter.state, letter.operator.as_deref()), (State::Handled, Some("mary")), "{}", test.name);
        let handled = resend(&test.db, &letter, &DEED).await.unwrap();
        assert!(matches!(handled, Dealt::Already(_)), "{}: {handled:?}", test.name);
        let handled = discard(&test.db, &letter, "too late", &DEED).await.unwrap();
        assert!(matches!(handled, Dealt::Refused(_)), "{}: {handled:?}", test.name);
        assert_eq!(only_letter(&test.db).await.state, State::Handled, "{}", test.name);
        assert_eq!(number(&test.db, OUTBOX_ROWS).await, 0, "{}", test.name);
        bus.stop_consumers().await;
    }
}

/// What has no key is resent under its first id, by which its success is told.
#[tokio::test]
async fn a_message_without_a_key_is_settled_too() {
    for test in databases(&SCHEMA).await {
        let receiver = Receiver::failing(&[13]);
        let (bus, _switch) = listening(&test.db, &receiver).await;
        let keyless = Incoming { msg_id: "first".to_owned(), ..incoming("", body(13)) };
        receiver.handler(&test.db)(vec![keyless]).await.unwrap_err();
        receiver.heal();
        let letter = only_letter(&test.db).await;
        assert_eq!(letter.place.to_string(), id("first"), "{}", test.name);
        assert_eq!(resend(&test.db, &letter, &DEED).await.unwrap(), Dealt::Done, "{}", test.name);
        Relay::new(test.db.clone(), bus.clone(), RelayConfig::SMALL).run_once(DEED.now).await.unwrap();
        bus.deliver_all().await;
        assert_eq!(only_letter(&test.db).await.state, State::Handled, "{}", test.name);
        bus.stop_consumers().await;
    }
}

#[tokio::test]
async fn what_is_no_text_or_can_never_be_sent_is_not_resent() {
    for test in databases(&SCHEMA).await {
        let receiver = Receiver::default();
        for (key, bytes, why) in [("1", GARBAGE, "no UTF-8 text"), ("2", b"", "empty body")] {
            receiver.handler(&test.db)(vec![incoming(key, bytes)]).await.unwrap();
            let before = dump(&test.db).await;
            let letter = letters(&test.db, false).await.unwrap().remove(0);
            let refused = resend(&test.db, &letter, &DEED).await.unwrap();
            assert!(matches!(&refused, Dealt::Refused(told) if told.contains(why)), "{}: {refused:?}", test.name);
            assert_eq!(dump(&test.db).await, before, "{}", test.name);
            assert_eq!(discard(&test.db, &letter, "not ours", &DEED).await.unwrap(), Dealt::Done, "{}", test.name);
        }
        assert!(letters(&test.db, false).await.unwrap().is_empty(), "{}", test.name);
    }
}

/// A row of the outbox with this body.
async fn owe(db: &Db, pay_id: i64, body: &str) {
    let message = Message::new(PAY_SUCCESS, pay_id, &body, TraceParent::start()).unwrap();
    db.write_tx(async |tx| append(tx, &[message], NOW).await).await.unwrap();
}

/// F61, B82: ten megabytes never leave, and hold up nobody.
#[tokio::test]
async fn a_body_too_large_is_parked_listed_and_discarded() {
    for test in databases(&SCHEMA).await {
        let bus = shop_testkit::bus();
        let relay = Relay::new(test.db.clone(), bus.clone(), RelayConfig::SMALL);
        owe(&test.db, 1, &"x".repeat(10 << 20)).await;
        owe(&test.db, 2, "small").await;
        assert_eq!(relay.run_once(NOW).await.unwrap(), 1, "{}: the small one", test.name);
        let letter = only_letter(&test.db).await;
        assert_eq!(letter.place, Place::Outbox("pay_success:1".to_owned()), "{}", test.name);
        assert!(letter.reason.contains("body of 10485762 bytes"), "{}: {}", test.name, letter.reason);

        assert_eq!(resend(&test.db, &letter, &DEED).await.unwrap(), Dealt::Done, "{}", test.name);
        let waits = resend(&test.db, &letter, &DEED).await.unwrap();
        assert!(matches!(waits, Dealt::Already(_)), "{}: {waits:?}", test.name);
        let waits = discard(&test.db, &letter, "too large", &DEED).await.unwrap();
        assert!(matches!(waits, Dealt::Refused(_)), "{}: {waits:?}", test.name);
        assert_eq!(only_letter(&test.db).await.state, State::Resent, "{}", test.name);
        assert_eq!(relay.run_once(DEED.now).await.unwrap(), 0, "{}: it is parked again", test.name);
        assert_eq!(only_letter(&test.db).await.state, State::Open, "{}", test.name);

        assert_eq!(discard(&test.db, &letter, "too large", &DEED).await.unwrap(), Dealt::Done, "{}", test.name);
        let refused = resend(&test.db, &letter, &DEED).await.unwrap();
        assert!(matches!(refused, Dealt::Refused(_)), "{}: {refused:?}", test.name);
        assert_eq!(relay.run_once(Millis::new(i64::MAX / 2)).await.unwrap(), 0, "{}", test.name);
        assert!(letters(&test.db, false).await.unwrap().is_empty(), "{}", test.name);
        assert_eq!(number(&test.db, OUTBOX_ROWS).await, 1, "{}: it is kept", test.name);
        assert_eq!(bus.published().len(), 1, "{}", test.name);
    }
}

#[tokio::test]
async fn what_is_gone_cannot_be_settled() {
    for test in databases(&SCHEMA).await {
        let receiver = Receiver::failing(&[13]);
        receiver.handler(&test.db)(vec![paid(13)]).await.unwrap_err();
        let mut letter = only_letter(&test.db).await;
        for place in [
            Place::Outbox("pay_success:404".to_owned()),
            Place::Log { group: GROUP.to_owned(), tag: "pay_success".to_owned(), key: "404".to_owned() },
        ] {
            letter.place = place;
            assert_eq!(resend(&test.db, &letter, &DEED).await.unwrap(), Dealt::Gone, "{}", test.name);
            assert_eq!(discard(&test.db, &letter, "why", &DEED).await.unwrap(), Dealt::Gone, "{}", test.name);
        }
    }
}

/// F29 and B82: garbage of every kind between good messages, over the bus, with redeliveries.
#[tokio::test]
async fn poison_between_good_messages_holds_up_nobody() {
    for test in databases(&SCHEMA).await {
        let receiver = Receiver::failing(&[13]);
        let (bus, _switch) = listening(&test.db, &receiver).await;
        let other_version = body(40).replace("\"version\":1", "\"version\":2");
        for round in 0..3 {
            for garbage in [GARBAGE, b"", b"{}", b"[1", other_version.as_bytes()] {
                bus.publish_bytes(PAY_SUCCESS.topic, PAY_SUCCESS.tag, garbage);
            }
            bus.publish_bytes(PAY_SUCCESS.topic, PAY_SUCCESS.tag, body(20 + round).as_bytes());
        }
        let failing = Outgoing {
            group: PAY_SUCCESS.producer.to_owned(),
            topic: PAY_SUCCESS.topic.to_owned(),
            tag: PAY_SUCCESS.tag.to_owned(),
            key: "13".to_owned(),
            body: body(13),
            traceparent: String::new(),
            delay: None,
        };
        assert_eq!(bus.publish(vec![failing]).await, [Ok(())]);
        bus.deliver_all().await;
        assert_eq!(receiver.effects(), [1, 20, 21, 22], "{}", test.name);
        for _ in 0..17 {
            bus.advance(Duration::from_hours(2));
            bus.deliver_all().await;
        }
        let open = letters(&test.db, false).await.unwrap();
        assert_eq!(open.len(), 16, "{}: {open:?}", test.name);
        let dead = open.iter().find(|letter| letter.key == "13").unwrap();
        assert_eq!((dead.times, dead.retry), (17, None), "{}: it is in the broker's queue too", test.name);
        let once = open.iter().filter(|letter| letter.key != "13").all(|letter| letter.times == 1);
        assert!(once, "{}: what cannot be read is not tried again: {open:?}", test.name);
        bus.stop_consumers().await;
    }
}
