//! What only the real client can get wrong.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;
use rocketmq_client_rust::{ClientRuntime, ClientRuntimeConfig, DefaultMQProducer};
use rocketmq_model::common::message::message_single::Message;
use rocketmq_observability::TelemetryRuntimeGuard;
use rocketmq_runtime::{RuntimeConfig, RuntimeOwner};
use shop_common::mq::Incoming;

use crate::world::{Heard, RocketMqWorld, World, bodies, broadcasting, clustering, message, publish, unique};

/// Sends as a foreign sender would, past the bus.
pub(crate) async fn send_raw(name_server: &str, topic: &str, tag: &str, body: Vec<u8>) {
    let owner = RuntimeOwner::plan(RuntimeConfig::default()).unwrap().build().unwrap();
    let scope = owner.root_context().component("client");
    let telemetry = TelemetryRuntimeGuard::noop().handle();
    let client = ClientRuntime::try_new(scope, ClientRuntimeConfig::default(), telemetry).unwrap();
    let mut producer = DefaultMQProducer::builder(client).producer_group("raw").name_server_addr(name_server).build();
    Box::pin(producer.start()).await.unwrap();
    Box::pin(producer.create_topic("TBW102", topic, 4, HashMap::new())).await.unwrap();
    let message = Message::builder().topic(topic).tags(tag).body(body).build().unwrap();
    Box::pin(producer.send(message)).await.unwrap();
    Box::pin(producer.shutdown()).await;
    owner.shutdown_background();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_listeners_lose_no_broadcast() {
    let world = RocketMqWorld::new().await;
    let (bus, heard, topic) = (world.process().await, Heard::default(), unique("topic"));
    let remember = heard.handler();
    let slow = Arc::new(move |messages: Vec<Incoming>| {
        let remembered = remember(messages);
        async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            remembered.await
        }
        .boxed()
    });
    bus.subscribe(broadcasting(&unique("group"), &topic, "one"), slow).await.unwrap();
    publish(&*bus, vec![message(&topic, "t", "listening")]).await;
    world.until("a listener at work", &|| heard.has("listening")).await;
    for body in bodies("m", 60) {
        // One at a time, so that each is a listener of its own.
        publish(&*bus, vec![message(&topic, "t", body)]).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.until("all, in spite of it", &|| heard.count() >= 61).await;
}

/// Of two members of one client that join at once, the broker now and then hears of one only, and by itself the client does
/// nothing about it for 20 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_join_together_hear_at_once() {
    const PAIRS: usize = 16;
    const MESSAGES: usize = 8;
    let world = RocketMqWorld::new().await;
    let (bus, mut joined) = (world.process().await, Vec::new());
    for _ in 0..PAIRS {
        let member = unique("member");
        let join = || async {
            let (topic, heard) = (unique("topic"), Heard::default());
            bus.subscribe(clustering(&unique("group"), &topic, &member), heard.handler()).await.unwrap();
            (topic, heard)
        };
        joined.extend(<[_; 2]>::from(tokio::join!(join(), join())));
    }
    let began = Instant::now();
    for (topic, _) in &joined {
        // One at a time, so that each queue gets some.
        for body in bodies("m", MESSAGES) {
            publish(&*bus, vec![message(topic, "t", body)]).await;
        }
    }
    world.until("everybody to hear all", &|| joined.iter().all(|(_, heard)| heard.count() >= MESSAGES)).await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_waits_for_running_handlers() {
    let world = RocketMqWorld::new().await;
    let (bus, begun, done, topic) = (world.process().await, Heard::default(), Heard::default(), unique("topic"));
    let (begin, end) = (begun.handler(), done.handler());
    let slow = Arc::new(move |messages: Vec<Incoming>| {
        let (begun, done) = (begin(messages.clone()), end(messages));
        async move {
            begun.await?;
            tokio::time::sleep(Duration::from_secs(2)).await;
            done.await
        }
        .boxed()
    });
    bus.subscribe(clustering(&unique("group"), &topic, "one"), slow).await.unwrap();
    publish(&*bus, vec![message(&topic, "t", "m")]).await;
    world.until("a running handler", &|| begun.has("m")).await;
    assert!(!done.has("m"));
    bus.stop_consumers().await;
    assert!(done.has("m"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broadcast_offsets_stay_under_the_data_dir() {
    let world = RocketMqWorld::new().await;
    let (bus, heard, topic, group) = (world.process().await, Heard::default(), unique("topic"), unique("group"));
    publish(&*bus, vec![message(&topic, "t", "m")]).await;
    bus.subscribe(broadcasting(&group, &topic, "goods-1"), heard.handler()).await.unwrap();
    world.until("the message", &|| heard.has("m")).await;
    bus.stop_consumers().await;
    let members: Vec<_> = std::fs::read_dir(world.data_dir().join("broadcast")).unwrap().map(|e| e.unwrap()).collect();
    let [member] = &members[..] else { panic!("{members:?}") };
    assert!(member.file_name().to_string_lossy().ends_with("@goods-1"), "{member:?}");
    let offsets = std::fs::read_to_string(member.path().join(&group).join("offsets.json")).unwrap();
    assert!(offsets.contains(&topic), "{offsets}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_dropped_without_a_shutdown_does_not_panic() {
    let world = RocketMqWorld::new().await;
    let (bus, heard, topic) = (world.process().await, Heard::default(), unique("topic"));
    bus.subscribe(clustering(&unique("group"), &topic, "one"), heard.handler()).await.unwrap();
    publish(&*bus, vec![message(&topic, "t", "m")]).await;
    world.until("the message", &|| heard.has("m")).await;
    drop(bus);
}
