//! The embedded broker: where it listens, what it survives.

use std::{
    io::{ErrorKind, Read},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use shop_broker::{Broker, BrokerConfig, BrokerError};
use shop_common::mq::{Bus, PublishError};
use tempfile::TempDir;

use crate::world::{Heard, bodies, clustering, connect, message, publish, unique, until};

/// Tells the test binary, run again as a child, where its broker keeps its messages.
const CHILD_DIR: &str = "SHOP_BROKER_CHILD_DIR";
/// File by which the child tells its name server.
const ADDRESS: &str = "address";

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
    let (mut child, name_server) = start_child(dir.path()).await;
    let bus = connect(&name_server, dir.path().to_owned()).await;
    let mut acked = Vec::new();
    for (index, body) in bodies("m", 400).into_iter().enumerate() {
        if index == 300 {
            child.0.kill().unwrap();
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

    let (_child, name_server) = start_child(dir.path()).await;
    let (bus, heard) = (connect(&name_server, dir.path().to_owned()).await, Heard::default());
    bus.subscribe(clustering(&unique("group"), &topic, "one"), heard.handler()).await.unwrap();
    until("all acknowledged messages", || acked.iter().all(|body| heard.has(body))).await;
    bus.shutdown().await;
}

/// A broker in a process of its own, which is killed when dropped.
struct BrokerProcess(Child);

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        // An Err means it has been killed before.
        self.0.kill().unwrap_or_default();
        self.0.wait().unwrap();
    }
}

async fn start_child(dir: &Path) -> (BrokerProcess, String) {
    let address = dir.join(ADDRESS);
    std::fs::remove_file(&address).unwrap_or_default();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "broker::child_broker", "--ignored"])
        .env(CHILD_DIR, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let child = BrokerProcess(child);
    until("the child's broker", || address.exists()).await;
    (child, std::fs::read_to_string(address).unwrap())
}

#[tokio::test]
#[ignore = "the child of a_killed_broker_has_lost_no_acknowledged_message"]
async fn child_broker() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let broker = Broker::start(BrokerConfig::new(&dir)).await.unwrap();
    let (unfinished, address) = (Path::new(&dir).join("address.new"), Path::new(&dir).join(ADDRESS));
    std::fs::write(&unfinished, broker.name_server()).unwrap();
    std::fs::rename(unfinished, address).unwrap();
    // Ends with its parent, however that ends.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    tokio::time::timeout(Duration::from_secs(20), broker.shutdown()).await.unwrap();
}
