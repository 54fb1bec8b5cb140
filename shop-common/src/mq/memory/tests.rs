//! What the memory bus has beyond the contract of every bus: faults, virtual time, dead letters, delivery by itself.

use std::sync::{Arc, Mutex};

use shop_proto::topic::Delivery;

use super::*;
use crate::mq::Incoming;

type Heard = Arc<Mutex<Vec<Incoming>>>;

fn message(body: &str) -> Outgoing {
    Outgoing {
        group: "producers".to_owned(),
        topic: "topic".to_owned(),
        tag: "tag".to_owned(),
        key: String::new(),
        body: body.to_owned(),
        traceparent: String::new(),
        delay: None,
    }
}

fn messages(count: usize) -> Vec<Outgoing> {
    (0..count).map(|index| message(&format!("{index:04}"))).collect()
}

fn subscription(topic: &str, group: &str) -> Subscription {
    Subscription {
        group: group.to_owned(),
        topic: topic.to_owned(),
        tags: Vec::new(),
        delivery: Delivery::Clustering,
        instance: "one".to_owned(),
    }
}

async fn listen(bus: &MemoryBus, topic: &str, group: &str, handled: bool) -> Heard {
    let heard = Heard::default();
    let remembered = heard.clone();
    let handler: Handler = Arc::new(move |messages| {
        remembered.lock().unwrap().extend(messages);
        let verdict = if handled { Ok(()) } else { Err(NotHandled::all("never")) };
        async move { verdict }.boxed()
    });
    bus.subscribe(subscription(topic, group), handler).await.unwrap();
    heard
}

fn bodies(heard: &Heard) -> Vec<String> {
    heard.lock().unwrap().iter().map(|message| String::from_utf8(message.body.clone()).unwrap()).collect()
}

/// What a listener hears of 1000 messages within `minutes`.
async fn heard_under(faults: Faults, minutes: u64) -> Vec<String> {
    let bus = MemoryBus::new();
    let heard = listen(&bus, "topic", "group", true).await;
    bus.set_faults(faults);
    assert!(bus.publish(messages(1000)).await.iter().all(Result::is_ok));
    bus.deliver_all().await;
    bus.advance(Duration::from_secs(60 * minutes));
    bus.deliver_all().await;
    bodies(&heard)
}

#[tokio::test]
async fn nothing_moves_until_it_is_told_to() {
    let bus = MemoryBus::new();
    let heard = listen(&bus, "topic", "group", true).await;
    let delayed = Outgoing { delay: Some(Duration::from_secs(5)), ..message("later") };
    assert_eq!(bus.publish(vec![message("now"), delayed.clone()]).await, [Ok(()), Ok(())]);
    assert_eq!(bodies(&heard), [""; 0]);
    assert_eq!((bus.deliver_all().await, bus.deliver_all().await), (1, 0));
    bus.advance(Duration::from_millis(4_999));
    assert_eq!(bus.deliver_all().await, 0);
    bus.advance(Duration::from_millis(1));
    assert_eq!(bus.deliver_all().await, 1);
    assert_eq!((bodies(&heard), bus.now()), (vec!["now".to_owned(), "later".to_owned()], Duration::from_secs(5)));
    assert_eq!(bus.published(), [message("now"), delayed]);
}

#[tokio::test]
async fn what_is_dropped_never_comes() {
    let heard = heard_under(Faults { drop: 30, ..Faults::default() }, 600).await;
    assert!((600..800).contains(&heard.len()), "{}", heard.len());
}

#[tokio::test]
async fn what_is_doubled_comes_twice() {
    let mut heard = heard_under(Faults { duplicate: 30, ..Faults::default() }, 0).await;
    assert!((1200..1400).contains(&heard.len()), "{}", heard.len());
    heard.sort();
    heard.dedup();
    assert_eq!(heard.len(), 1000);
}

#[tokio::test]
async fn what_is_delayed_comes_within_a_minute() {
    let faults = Faults { delay: 30, ..Faults::default() };
    let at_once = heard_under(faults, 0).await.len();
    assert!((600..800).contains(&at_once), "{at_once}");
    assert_eq!(heard_under(faults, 1).await.len(), 1000);
}

#[tokio::test]
async fn what_is_reordered_still_comes_once() {
    let mut heard = heard_under(Faults { reorder: 100, ..Faults::default() }, 0).await;
    assert!(!heard.is_sorted());
    heard.sort();
    heard.dedup();
    assert_eq!(heard.len(), 1000);
}

#[tokio::test]
async fn the_same_seed_goes_wrong_in_the_same_way() {
    let faults = |seed| Faults { seed, drop: 10, duplicate: 10, reorder: 10, delay: 10, ..Faults::default() };
    assert_eq!(heard_under(faults(7), 1).await, heard_under(faults(7), 1).await);
    assert_ne!(heard_under(faults(7), 1).await, heard_under(faults(8), 1).await);
}

#[tokio::test]
async fn a_failed_publish_has_stored_nothing_and_a_lost_ack_has() {
    let bus = MemoryBus::new();
    bus.set_faults(Faults { fail: 100, ..Faults::default() });
    assert!(matches!(bus.publish(messages(1)).await[..], [Err(PublishError::Unavailable(_))]));
    assert_eq!(bus.published(), []);
    bus.set_faults(Faults { lost_ack: 100, ..Faults::default() });
    assert!(matches!(bus.publish(messages(1)).await[..], [Err(PublishError::Unavailable(_))]));
    assert_eq!(bus.published(), messages(1));
    bus.set_faults(Faults::default());
    assert_eq!(bus.publish(messages(1)).await, [Ok(())]);
}

#[tokio::test]
async fn after_sixteen_redeliveries_a_message_is_a_dead_letter() {
    let bus = MemoryBus::new();
    let heard = listen(&bus, "topic", "group", false).await;
    let dead = listen(&bus, "%DLQ%group", "console", true).await;
    assert_eq!(bus.publish(messages(1)).await, [Ok(())]);
    let mut moments = Vec::new();
    while dead.lock().unwrap().is_empty() {
        for _ in 0..bus.deliver_all().await.min(1) {
            moments.push(bus.now().as_secs());
        }
        bus.advance(Duration::from_secs(1));
        assert!(bus.now() < Duration::from_hours(6), "no dead letter");
    }
    let attempts: Vec<u32> = heard.lock().unwrap().iter().map(|message| message.attempt).collect();
    assert_eq!(attempts, (1..=17).collect::<Vec<_>>());
    assert_eq!(moments[..4], [0, 10, 40, 100]);
    let ids = |heard: &Heard| heard.lock().unwrap().last().map(|message| message.msg_id.clone());
    assert_eq!(ids(&dead), ids(&heard));
}

#[tokio::test]
async fn an_automatic_bus_delivers_by_itself_what_is_due() {
    let (bus, began) = (MemoryBus::auto(), Instant::now());
    let heard = listen(&bus, "topic", "group", true).await;
    let delayed = Outgoing { delay: Some(Duration::from_millis(300)), ..message("later") };
    assert_eq!(bus.publish(vec![delayed, message("now")]).await, [Ok(()), Ok(())]);
    while bodies(&heard).len() < 2 {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", bodies(&heard));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(bodies(&heard), ["now", "later"]);
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn what_stays_undelivered_waits_for_the_next_connection() {
    let bus = MemoryBus::new();
    let first = bus.join();
    let heard = listen(&first, "topic", "group", true).await;
    first.shutdown().await;
    assert_eq!(bus.publish(messages(3)).await, vec![Ok(()); 3]);
    assert_eq!((bus.deliver_all().await, bodies(&heard).len()), (0, 0));
    let heard = listen(&bus.join(), "topic", "group", true).await;
    assert_eq!((bus.deliver_all().await, bodies(&heard).len()), (3, 3));
}

#[tokio::test]
async fn what_a_member_had_in_hand_when_it_died_comes_again() {
    let bus = MemoryBus::new();
    let dying = bus.join();
    let handler: Handler = Arc::new(|_| std::future::pending().boxed());
    dying.subscribe(subscription("topic", "group"), handler).await.unwrap();
    assert_eq!(bus.publish(messages(3)).await, vec![Ok(()); 3]);
    assert_eq!(bus.deliver_all().now_or_never(), None, "in hand");
    dying.shutdown().await;
    let heard = listen(&bus.join(), "topic", "group", true).await;
    assert_eq!((bus.deliver_all().await, bodies(&heard).len()), (3, 3));
    assert!(heard.lock().unwrap().iter().all(|message| message.attempt == 1), "nobody failed on it");
}
