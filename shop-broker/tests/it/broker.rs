//! The embedded broker: where it listens, what it survives.

use std::{
    io::ErrorKind,
    net::{TcpListener, TcpStream},
};

use shop_broker::{Broker, BrokerConfig, BrokerError};
use shop_common::mq::{Bus, PublishError};
use tempfile::TempDir;

use crate::{
    child::BrokerProcess,
    world::{Heard, bodies, clustering, connect, message, publish, unique, until},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_is_ready_when_it_has_started_and_two_are_apart() {
    let dirs = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let (one, two) = tokio::join!(
        Broker::start(BrokerConfig::new(dirs[0].path())),
        Broker::start(BrokerConfig::new(dirs[1].path()))
    );
    let (one, two, topic) = (one.unwrap(), two.unwrap(), unique("topic"));
    assert_ne!(one.name_server(), two.name_server());
    for (broker, dir) in [&one, &two].into_iter().zip(&dirs) {
        let (bus, heard) = (connect(&broker.name_server(), dir.path().to_owned()).await, Heard::default());
        let own = format!("from {}", broker.name_server());
        publish(&*bus, vec![message(&topic, "t", own.clone())]).await;
        bus.subscribe(clustering("group", &topic, "one"), heard.handler()).await.unwrap();
        until("its own message", || heard.count() > 0).await;
        assert_eq!(heard.bodies(), [own]);
        bus.shutdown().await;
    }
    one.shutdown().await;
    two.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_stopped_is_gone_and_comes_back_with_its_messages() {
    let (dir, topic) = (TempDir::new().unwrap(), unique("topic"));
    let broker = Broker::start(BrokerConfig::new(dir.path())).await.unwrap();
    let name_server = broker.name_server();
    let bus = connect(&name_server, dir.path().to_owned()).await;
    publish(&*bus, vec![message(&topic, "t", "kept")]).await;
    bus.shutdown().await;
    broker.shutdown().await;
    assert!(TcpStream::connect(&name_server).is_err());

    let broker = Broker::start(BrokerConfig::new(dir.path())).await.unwrap();
    let (bus, heard) = (connect(&broker.name_server(), dir.path().to_owned()).await, Heard::default());
    bus.subscribe(clustering(&unique("group"), &topic, "one"), heard.handler()).await.unwrap();
    until("the message", || heard.has("kept")).await;
    bus.shutdown().await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_dropped_stops_by_itself() {
    let dir = TempDir::new().unwrap();
    let broker = Broker::start(BrokerConfig::new(dir.path())).await.unwrap();
    let name_server = broker.name_server();
    drop(broker);
    until("nobody listening", || TcpStream::connect(&name_server).is_err()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_an_error() {
    let (dir, taken) = (TempDir::new().unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = Some(taken.local_addr().unwrap().port());
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = Some(free.local_addr().unwrap().port());
    drop(free);
    for (name_server_port, broker_port) in [(port, other), (other, port)] {
        let config = BrokerConfig { name_server_port, broker_port, ..BrokerConfig::new(dir.path()) };
        let error = Broker::start(config).await.unwrap_err();
        assert!(matches!(&error, BrokerError::Io(error) if error.kind() == ErrorKind::AddrInUse), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_use_is_an_error_and_its_owner_goes_on() {
    let (dir, topic) = (TempDir::new().unwrap(), unique("topic"));
    let broker = Broker::start(BrokerConfig::new(dir.path())).await.unwrap();
    let error = Broker::start(BrokerConfig::new(dir.path())).await.unwrap_err();
    assert!(matches!(error, BrokerError::Broker(_)), "{error}");
    let bus = connect(&broker.name_server(), dir.path().to_owned()).await;
    publish(&*bus, vec![message(&topic, "t", "m")]).await;
    bus.shutdown().await;
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_has_lost_no_acknowledged_message() {
    let (dir, topic) = (TempDir::new().unwrap(), unique("topic"));
    let mut child = BrokerProcess::start(dir.path()).await;
    let bus = connect(&child.name_server, dir.path().to_owned()).await;
    let mut acked = Vec::new();
    for (index, body) in bodies("m", 400).into_iter().enumerate() {
        if index == 300 {
            child.kill();
        }
        match &bus.publish(vec![message(&topic, "t", body.clone())]).await[..] {
            [Ok(())] => acked.push(body),
            [Err(PublishError::Unavailable(_))] if index >= 300 => break,
            other => panic!("{other:?} at {index}"),
        }
    }
    assert!(acked.len() >= 300);
    bus.shutdown().await;
    drop(child);

    let child = BrokerProcess::start(dir.path()).await;
    let (bus, heard) = (connect(&child.name_server, dir.path().to_owned()).await, Heard::default());
    bus.subscribe(clustering(&unique("group"), &topic, "one"), heard.handler()).await.unwrap();
    until("all acknowledged messages", || acked.iter().all(|body| heard.has(body))).await;
    bus.shutdown().await;
}
