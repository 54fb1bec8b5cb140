//! What every bus must do. Each case runs over the memory bus, stepped, and over RocketMQ, in real time.

use std::{collections::BTreeSet, time::Duration};

use futures::FutureExt;
use shop_common::mq::{Incoming, NotHandled, Outgoing, PublishError, Subscription};

use crate::world::{
    Heard, MemoryWorld, PATIENCE, RocketMqWorld, World, bodies, broadcasting, clustering, fence, message, publish,
    text, unfenced, unique,
};

macro_rules! over_every_bus {
    ($($case:ident)*) => {
        mod memory {
            $(#[tokio::test] async fn $case() { super::$case(&super::MemoryWorld::new()).await })*
        }
        mod rocketmq {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() { super::$case(&super::RocketMqWorld::new().await).await })*
        }
    };
}

over_every_bus! {
    a_message_arrives_with_all_it_carries
    bytes_arrive_untouched
    many_messages_of_two_topics_arrive_once_each
    only_the_tags_asked_for_arrive
    members_of_a_group_share_the_messages
    every_group_gets_every_message
    every_member_gets_a_broadcast
    what_was_not_handled_comes_again
    a_broadcast_not_handled_is_gone
    a_delayed_message_comes_not_before_its_time
    a_group_goes_on_where_it_was
    a_broadcast_member_goes_on_where_it_was
    what_can_never_be_sent_is_rejected_alone
    a_subscription_that_would_hear_nothing_is_rejected
    without_a_broker_all_is_unavailable
    after_shutdown_all_is_unavailable
}

async fn a_message_arrives_with_all_it_carries(world: &dyn World) {
    let (bus, heard, topic) = (world.process().await, Heard::default(), unique("topic"));
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let sent = Outgoing {
        key: "order-77".to_owned(),
        traceparent: traceparent.to_owned(),
        ..message(&topic, "order_cancel", r#"{"原因":"超时"}"#)
    };
    publish(&*bus, vec![sent, message(&topic, "", "bare")]).await;
    bus.subscribe(clustering(&unique("group"), &topic, "one"), heard.handler()).await.unwrap();
    world.until("both", &|| heard.count() == 2).await;
    let (mut full, mut bare) = (heard.all().remove(0), heard.all().remove(1));
    if full.key.is_empty() {
        std::mem::swap(&mut full, &mut bare);
    }
    assert!(!full.msg_id.is_empty() && full.msg_id != bare.msg_id, "{} {}", full.msg_id, bare.msg_id);
    let expected = Incoming {
        msg_id: full.msg_id.clone(),
        topic: topic.clone(),
        tag: "order_cancel".to_owned(),
        key: "order-77".to_owned(),
        body: r#"{"原因":"超时"}"#.as_bytes().to_vec(),
        traceparent: traceparent.to_owned(),
        attempt: 1,
    };
    assert_eq!(full, expected);
    assert_eq!((text(&bare).as_str(), bare.tag.as_str(), bare.traceparent.as_str()), ("bare", "", ""));
}

async fn bytes_arrive_untouched(world: &dyn World) {
    let (bus, heard, topic) = (world.process().await, Heard::default(), unique("topic"));
    bus.subscribe(clustering(&unique("group"), &topic, "one"), heard.handler()).await.unwrap();
    let no_text = vec![0xff, 0xfe, 0x00, 0x01, 0xc3, 0x28];
    world.publish_bytes(&topic, "odd", no_text.clone()).await;
    let long = "对".repeat(400_000);
    publish(&*bus, vec![message(&topic, "odd", long.clone())]).await;
    world.until("both", &|| heard.count() == 2).await;
    let mut got: Vec<_> = heard.all().into_iter().map(|message| message.body).collect();
    got.sort_by_key(Vec::len);
    assert_eq!(got.remove(0), no_text);
    assert!(got.remove(0) == long.into_bytes(), "long body changed");
}

async fn many_messages_of_two_topics_arrive_once_each(world: &dyn World) {
    let (bus, heard) = (world.process().await, [Heard::default(), Heard::default()]);
    let topics = [unique("topic"), unique("topic")];
    let both = |body: String| topics.clone().map(|topic| message(&topic, "t", body.clone()));
    publish(&*bus, bodies("m", 300).into_iter().flat_map(both).collect()).await;
    for (topic, heard) in topics.iter().zip(&heard) {
        bus.subscribe(clustering(&unique("group"), topic, "one"), heard.handler()).await.unwrap();
    }
    world.until("all", &|| heard.iter().all(|heard| heard.count() >= 300)).await;
    for (topic, heard) in topics.iter().zip(&heard) {
        assert_eq!(heard.bodies(), bodies("m", 300));
        assert!(heard.all().iter().all(|message| message.topic == *topic));
    }
}

async fn only_the_tags_asked_for_arrive(world: &dyn World) {
    let (bus, heard, topic) = (world.process().await, Heard::default(), unique("topic"));
    let subscription =
        Subscription { tags: vec!["red".to_owned(), "blue".to_owned()], ..clustering(&unique("group"), &topic, "one") };
    bus.subscribe(subscription, heard.handler()).await.unwrap();
    let sent = [("red", "1"), ("green", "2"), ("blue", "3"), ("redblue", "4"), ("", "5")];
    publish(&*bus, sent.map(|(tag, body)| message(&topic, tag, body)).to_vec()).await;
    fence(world, &*bus, &topic, "blue", &heard).await;
    world.until("red and blue", &|| heard.has("1") && heard.has("3")).await;
    assert_eq!(unfenced(&heard), ["1", "3"]);
}

async fn members_of_a_group_share_the_messages(world: &dyn World) {
    let (topic, group) = (unique("topic"), unique("group"));
    let (one, two) = (world.process().await, world.process().await);
    let (heard_one, heard_two) = (Heard::default(), Heard::default());
    one.subscribe(clustering(&group, &topic, "one"), heard_one.handler()).await.unwrap();
    two.subscribe(clustering(&group, &topic, "two"), heard_two.handler()).await.unwrap();
    // Until both have their share of the queues, which takes the broker a moment.
    let (joined, mut rounds) = (world.now(), 0);
    while heard_one.count() == 0 || heard_two.count() == 0 {
        for body in bodies(&format!("r{rounds}-"), 8) {
            publish(&*one, vec![message(&topic, "t", body)]).await;
        }
        rounds += 1;
        assert!(world.now() < joined + PATIENCE, "the members do not share");
        world.until("the round", &|| heard_one.count() + heard_two.count() >= 8 * rounds).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let all = || {
        let mut all = [heard_one.bodies(), heard_two.bodies()].concat();
        all.sort();
        all
    };
    assert_eq!(BTreeSet::from_iter(all()).len(), 8 * rounds, "each arrived");
    // While the queues change hands a message may come twice: until who had them has looked again, 20 s later where he missed
    // that another one joined. Then each comes once.
    let (shared_since, mut round) = (world.now(), 0);
    loop {
        let name = format!("s{round}-");
        let shared = || all().into_iter().filter(|body| body.starts_with(&name)).collect::<Vec<_>>();
        publish(&*one, bodies(&name, 40).into_iter().map(|body| message(&topic, "t", body)).collect()).await;
        world.until("the shared ones", &|| BTreeSet::from_iter(shared()).len() == 40).await;
        // What comes twice comes at about the same time.
        tokio::time::sleep(Duration::from_millis(100)).await;
        if shared() == bodies(&name, 40) {
            return;
        }
        assert!(world.now() < shared_since + PATIENCE, "each message comes to both");
        round += 1;
    }
}

async fn every_group_gets_every_message(world: &dyn World) {
    let (bus, topic) = (world.process().await, unique("topic"));
    let heard = [Heard::default(), Heard::default()];
    for heard in &heard {
        bus.subscribe(clustering(&unique("group"), &topic, "one"), heard.handler()).await.unwrap();
    }
    publish(&*bus, vec![message(&topic, "t", "for all")]).await;
    world.until("both groups", &|| heard.iter().all(|heard| heard.has("for all"))).await;
}

async fn every_member_gets_a_broadcast(world: &dyn World) {
    let (topic, group) = (unique("topic"), unique("group"));
    let (one, two) = (world.process().await, world.process().await);
    let heard = [Heard::default(), Heard::default(), Heard::default()];
    one.subscribe(broadcasting(&group, &topic, "one"), heard[0].handler()).await.unwrap();
    one.subscribe(broadcasting(&group, &topic, "another"), heard[1].handler()).await.unwrap();
    two.subscribe(broadcasting(&group, &topic, "two"), heard[2].handler()).await.unwrap();
    publish(&*one, bodies("b", 20).into_iter().map(|body| message(&topic, "t", body)).collect()).await;
    world.until("all members", &|| heard.iter().all(|heard| heard.count() >= 20)).await;
    for heard in &heard {
        fence(world, &*one, &topic, "t", heard).await;
        assert_eq!(unfenced(heard), bodies("b", 20));
    }
}

async fn what_was_not_handled_comes_again(world: &dyn World) {
    let (bus, heard, topic) = (world.process().await, Heard::default(), unique("topic"));
    let fail_first = |message: &Incoming| match (text(message).as_str(), message.attempt) {
        ("fails", 1) => Err(NotHandled::all("not yet")),
        ("panics", 1) => panic!("the handler panics, as it is told"),
        _ => Ok(()),
    };
    bus.subscribe(clustering(&unique("group"), &topic, "one"), heard.handler_that(fail_first)).await.unwrap();
    for body in ["fails", "panics"] {
        publish(&*bus, vec![message(&topic, "t", body)]).await;
        world.until("the first attempt", &|| heard.has(body)).await;
    }
    for body in ["fails", "panics"] {
        let of_body = || heard.all().into_iter().filter(|message| text(message) == body).collect::<Vec<_>>();
        world.until("the second attempt", &|| of_body().len() == 2).await;
        let [first, second] = <[Incoming; 2]>::try_from(of_body()).unwrap();
        assert_eq!((first.attempt, second.attempt), (1, 2));
        assert_eq!(Incoming { attempt: 1, ..second }, first);
    }
}

async fn a_broadcast_not_handled_is_gone(world: &dyn World) {
    let (bus, heard, topic) = (world.process().await, Heard::default(), unique("topic"));
    let fail = |message: &Incoming| match text(message).as_str() {
        "fails" => Err(NotHandled::all("not at all")),
        _ => Ok(()),
    };
    bus.subscribe(broadcasting(&unique("group"), &topic, "one"), heard.handler_that(fail)).await.unwrap();
    publish(&*bus, vec![message(&topic, "t", "fails")]).await;
    world.until("the first attempt", &|| heard.has("fails")).await;
    // The first redelivery would be due after 10 s.
    let later = world.now() + Duration::from_secs(12);
    world.until("12 s", &|| world.now() >= later).await;
    fence(world, &*bus, &topic, "t", &heard).await;
    assert_eq!(unfenced(&heard), ["fails"]);
}

async fn a_delayed_message_comes_not_before_its_time(world: &dyn World) {
    let (bus, heard, topic) = (world.process().await, Heard::default(), unique("topic"));
    bus.subscribe(clustering(&unique("group"), &topic, "one"), heard.handler()).await.unwrap();
    publish(&*bus, vec![message(&topic, "t", "first")]).await;
    world.until("a listener at work", &|| heard.has("first")).await;
    let sent = world.now();
    let delayed = |body, millis| Outgoing { delay: Some(Duration::from_millis(millis)), ..message(&topic, "t", body) };
    publish(&*bus, vec![delayed("late", 4_000), message(&topic, "t", "now"), delayed("soon", 900)]).await;
    for (body, millis) in [("now", 0), ("soon", 900), ("late", 4_000)] {
        world.until(body, &|| heard.has(body)).await;
        assert!(world.now() >= sent + Duration::from_millis(millis), "{body} came too soon");
    }
}

async fn a_group_goes_on_where_it_was(world: &dyn World) {
    let (topic, group) = (unique("topic"), unique("group"));
    goes_on_where_it_was(world, &topic, clustering(&group, &topic, "one")).await;
}

async fn a_broadcast_member_goes_on_where_it_was(world: &dyn World) {
    let (topic, group) = (unique("topic"), unique("group"));
    goes_on_where_it_was(world, &topic, broadcasting(&group, &topic, "one")).await;
}

async fn goes_on_where_it_was(world: &dyn World, topic: &str, subscription: Subscription) {
    let (process, before) = (world.process().await, Heard::default());
    publish(&*process, bodies("old", 10).into_iter().map(|body| message(topic, "t", body)).collect()).await;
    process.subscribe(subscription.clone(), before.handler()).await.unwrap();
    world.until("from the first message on", &|| before.count() == 10).await;
    process.stop_consumers().await;
    process.shutdown().await;

    let (process, after) = (world.process().await, Heard::default());
    publish(&*process, bodies("new", 10).into_iter().map(|body| message(topic, "t", body)).collect()).await;
    process.subscribe(subscription, after.handler()).await.unwrap();
    world.until("what it missed", &|| after.count() >= 10).await;
    fence(world, &*process, topic, "t", &after).await;
    assert_eq!(unfenced(&after), bodies("new", 10));
    assert_eq!(before.bodies(), bodies("old", 10));
}

async fn what_can_never_be_sent_is_rejected_alone(world: &dyn World) {
    let (bus, heard, topic) = (world.process().await, Heard::default(), unique("topic"));
    let good = || message(&topic, "t", "good");
    let bad = [
        message("no.dots", "t", "x"),
        message("", "t", "x"),
        message(&"t".repeat(121), "t", "x"),
        message(&topic, "t", ""),
        message(&topic, "t", "x".repeat(4 * 1024 * 1024)),
        message(&topic, "a b", "x"),
        message(&topic, "a||b", "x"),
        Outgoing { key: "control\u{1}character".to_owned(), ..good() },
        Outgoing { key: "k".repeat(16 * 1024 + 1), ..good() },
        Outgoing { delay: Some(Duration::from_secs(2 * 3600 + 1)), ..good() },
    ];
    for bad in bad {
        let verdicts = bus.publish(vec![good(), bad.clone(), good()]).await;
        let [Ok(()), Err(PublishError::Rejected(_)), Ok(())] = &verdicts[..] else {
            panic!("{verdicts:?} for {:?} {:?}", bad.topic, bad.tag)
        };
    }
    let largest = message(&topic, "t", "y".repeat(4 * 1024 * 1024 - 1));
    publish(&*bus, vec![largest]).await;
    bus.subscribe(clustering(&unique("group"), &topic, "one"), heard.handler()).await.unwrap();
    world.until("the good ones", &|| heard.count() >= 21).await;
    assert_eq!(heard.all().iter().filter(|message| message.body == b"good").count(), 20);
}

async fn a_subscription_that_would_hear_nothing_is_rejected(world: &dyn World) {
    let bus = world.process().await;
    let good = clustering(&unique("group"), &unique("topic"), "one");
    let bad = [
        Subscription { topic: "no.dots".to_owned(), ..good.clone() },
        Subscription { group: "no group".to_owned(), ..good.clone() },
        Subscription { instance: "../elsewhere".to_owned(), ..good.clone() },
        Subscription { tags: vec!["a || b".to_owned()], ..good.clone() },
        Subscription { tags: vec![String::new()], ..good.clone() },
    ];
    for bad in bad {
        let verdict = bus.subscribe(bad.clone(), Heard::default().handler()).await;
        assert!(matches!(verdict, Err(PublishError::Rejected(_))), "{verdict:?} for {bad:?}");
    }
    bus.subscribe(good.clone(), Heard::default().handler()).await.unwrap();
    let again = bus.subscribe(good, Heard::default().handler()).await;
    assert!(matches!(again, Err(PublishError::Unavailable(_))), "{again:?}");
}

async fn without_a_broker_all_is_unavailable(world: &dyn World) {
    let bus = world.process_without_broker().await;
    let topic = unique("topic");
    let verdicts = bus.publish(vec![message(&topic, "t", "x"), message("no.dots", "t", "x")]).await;
    let [Err(PublishError::Unavailable(_)), Err(PublishError::Rejected(_))] = &verdicts[..] else {
        panic!("{verdicts:?}")
    };
    let verdict = bus.subscribe(clustering(&unique("group"), &topic, "one"), Heard::default().handler()).await;
    assert!(matches!(verdict, Err(PublishError::Unavailable(_))), "{verdict:?}");
}

async fn after_shutdown_all_is_unavailable(world: &dyn World) {
    let (bus, heard, topic) = (world.process().await, Heard::default(), unique("topic"));
    bus.subscribe(clustering(&unique("group"), &topic, "one"), heard.handler()).await.unwrap();
    bus.stop_consumers().await;
    bus.shutdown().await;
    bus.shutdown().now_or_never().expect("a second shutdown has nothing to do");
    let verdicts = bus.publish(vec![message(&topic, "t", "x")]).await;
    assert!(matches!(verdicts[..], [Err(PublishError::Unavailable(_))]), "{verdicts:?}");
    assert_eq!(heard.count(), 0);
}
