//! What the contract suite needs of a bus and its surroundings, and a listener that remembers.

use std::{
    env,
    io::{self, Write},
    path::PathBuf,
    sync::{
        Arc, Mutex, Once, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::FutureExt;
use shop_broker::{Broker, BrokerConfig};
use shop_common::mq::{
    Bus, Handler, Incoming, NotHandled, Outgoing, SharedBus, Subscription,
    memory::{Faults, MemoryBus},
    rocketmq::{RocketMqBus, RocketMqConfig},
};
use shop_proto::topic::Delivery;
use tempfile::TempDir;
use tracing_subscriber::{EnvFilter, Layer, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// How long a real broker may take for anything: the first redelivery alone is due after 10 s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A broker and what surrounds it.
#[async_trait]
pub(crate) trait World: Send + Sync {
    /// The bus as a process of its own would hold it.
    async fn process(&self) -> SharedBus;
    /// The bus of a process whose broker is away.
    async fn process_without_broker(&self) -> SharedBus;
    /// Sends a body that need not be text.
    async fn publish_bytes(&self, topic: &str, tag: &str, body: Vec<u8>);
    /// Lets time pass until `done`, or fails.
    async fn until(&self, what: &str, done: &(dyn Fn() -> bool + Send + Sync));
    /// The time of this world.
    fn now(&self) -> Duration;
}

pub(crate) struct MemoryWorld(Arc<MemoryBus>);

impl MemoryWorld {
    pub(crate) fn new() -> Self {
        Self(MemoryBus::new())
    }
}

#[async_trait]
impl World for MemoryWorld {
    async fn process(&self) -> SharedBus {
        self.0.join()
    }

    async fn process_without_broker(&self) -> SharedBus {
        let bus = MemoryBus::new();
        bus.set_faults(Faults { fail: 100, ..Faults::default() });
        bus
    }

    async fn publish_bytes(&self, topic: &str, tag: &str, body: Vec<u8>) {
        self.0.publish_bytes(topic, tag, &body);
    }

    async fn until(&self, what: &str, done: &(dyn Fn() -> bool + Send + Sync)) {
        let deadline = self.now() + PATIENCE;
        loop {
            self.0.deliver_all().await;
            if done() {
                return;
            }
            assert!(self.now() < deadline, "not in time: {what}");
            self.0.advance(Duration::from_millis(100));
        }
    }

    fn now(&self) -> Duration {
        self.0.now()
    }
}

/// One broker for all tests that run at the same time: the embedded one, or whichever runs at `SHOP_TEST_NAME_SERVER`.
pub(crate) struct SharedBroker {
    pub(crate) name_server: String,
    embedded: Option<(Broker, TempDir)>,
}

impl SharedBroker {
    async fn get() -> Arc<Self> {
        static CURRENT: tokio::sync::Mutex<Weak<SharedBroker>> = tokio::sync::Mutex::const_new(Weak::new());
        let mut current = CURRENT.lock().await;
        if let Some(broker) = current.upgrade() {
            return broker;
        }
        let shared = Arc::new(match env::var("SHOP_TEST_NAME_SERVER") {
            Ok(name_server) => Self { name_server, embedded: None },
            Err(_) => Self::start().await,
        });
        *current = Arc::downgrade(&shared);
        shared
    }

    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let broker = Broker::start(BrokerConfig::new(dir.path())).await.unwrap();
        Self { name_server: broker.name_server(), embedded: Some((broker, dir)) }
    }
}

impl Drop for SharedBroker {
    fn drop(&mut self) {
        let Some((broker, _dir)) = self.embedded.take() else { return };
        let stop = move || tokio::runtime::Runtime::new().unwrap().block_on(broker.shutdown());
        std::thread::spawn(stop).join().unwrap();
    }
}

pub(crate) struct RocketMqWorld {
    pub(crate) broker: Arc<SharedBroker>,
    began: Instant,
    dir: TempDir,
}

impl RocketMqWorld {
    pub(crate) async fn new() -> Self {
        log();
        Self { broker: SharedBroker::get().await, began: Instant::now(), dir: TempDir::new().unwrap() }
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }
}

#[async_trait]
impl World for RocketMqWorld {
    async fn process(&self) -> SharedBus {
        connect(&self.broker.name_server, self.data_dir()).await
    }

    async fn process_without_broker(&self) -> SharedBus {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = listener.local_addr().unwrap().to_string();
        drop(listener);
        connect(&nobody, self.data_dir()).await
    }

    async fn publish_bytes(&self, topic: &str, tag: &str, body: Vec<u8>) {
        super::rocketmq::send_raw(&self.broker.name_server, topic, tag, body).await;
    }

    async fn until(&self, what: &str, done: &(dyn Fn() -> bool + Send + Sync)) {
        until(what, done).await;
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

pub(crate) async fn connect(name_server: &str, data_dir: PathBuf) -> Arc<RocketMqBus> {
    RocketMqBus::connect(RocketMqConfig::new(name_server, data_dir)).await.unwrap()
}

/// Waits in real time until `done`, or fails.
pub(crate) async fn until(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What was said at ERROR by whatever runs in this process: the client has threads of its own.
struct Errors;

static ERRORS: Mutex<Vec<u8>> = Mutex::new(Vec::new());

impl Write for Errors {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        ERRORS.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether somebody has said `text` at ERROR since [`log`].
pub(crate) fn was_said(text: &str) -> bool {
    String::from_utf8_lossy(&ERRORS.lock().unwrap()).contains(text)
}

/// `RUST_LOG=rocketmq=warn` shows the client's reasons, which its errors do not carry.
pub(crate) fn log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let shown = fmt::layer().with_test_writer().with_filter(EnvFilter::from_default_env());
        let kept = fmt::layer().with_ansi(false).with_writer(|| Errors).with_filter(LevelFilter::ERROR);
        tracing_subscriber::registry().with(shown).with(kept).init();
    });
}

/// A name nobody else uses.
pub(crate) fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{what}_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

pub(crate) fn message(topic: &str, tag: &str, body: impl Into<String>) -> Outgoing {
    Outgoing {
        group: "test_producer_group".to_owned(),
        topic: topic.to_owned(),
        tag: tag.to_owned(),
        key: String::new(),
        body: body.into(),
        traceparent: String::new(),
        delay: None,
    }
}

/// Publishes and insists.
pub(crate) async fn publish(bus: &dyn Bus, messages: Vec<Outgoing>) {
    let count = messages.len();
    assert_eq!(bus.publish(messages).await, vec![Ok(()); count]);
}

pub(crate) fn clustering(group: &str, topic: &str, instance: &str) -> Subscription {
    Subscription {
        group: group.to_owned(),
        topic: topic.to_owned(),
        tags: Vec::new(),
        delivery: Delivery::Clustering,
        instance: instance.to_owned(),
    }
}

pub(crate) fn broadcasting(group: &str, topic: &str, instance: &str) -> Subscription {
    Subscription { delivery: Delivery::Broadcasting, ..clustering(group, topic, instance) }
}

/// What a member heard.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<Incoming>>>);

impl Heard {
    /// Remembers all and fails where `outcome` says so.
    pub(crate) fn handler_that(
        &self,
        outcome: impl Fn(&Incoming) -> Result<(), NotHandled> + Send + Sync + 'static,
    ) -> Handler {
        let heard = self.clone();
        let outcome = Arc::new(outcome);
        Arc::new(move |messages| {
            let (heard, outcome) = (heard.clone(), outcome.clone());
            async move {
                heard.0.lock().unwrap().extend(messages.iter().cloned());
                messages.iter().try_for_each(|message| outcome(message))
            }
            .boxed()
        })
    }

    pub(crate) fn handler(&self) -> Handler {
        self.handler_that(|_| Ok(()))
    }

    pub(crate) fn all(&self) -> Vec<Incoming> {
        self.0.lock().unwrap().clone()
    }

    /// The bodies, sorted: no order is promised.
    pub(crate) fn bodies(&self) -> Vec<String> {
        let mut bodies: Vec<_> = self.all().iter().map(text).collect();
        bodies.sort();
        bodies
    }

    pub(crate) fn has(&self, body: &str) -> bool {
        self.all().iter().any(|message| message.body == body.as_bytes())
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

pub(crate) fn text(message: &Incoming) -> String {
    String::from_utf8_lossy(&message.body).into_owned()
}

/// `count` bodies `<prefix>000..`, sorted.
pub(crate) fn bodies(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{prefix}{index:03}")).collect()
}

/// Publishes one message at a time until each queue of the topic has some, and waits for them: what came before in
/// the same queues has been delivered, or never will be.
pub(crate) async fn fence(world: &dyn World, bus: &dyn Bus, topic: &str, tag: &str, heard: &Heard) {
    let name = unique("fence");
    for body in bodies(&name, 8) {
        publish(bus, vec![message(topic, tag, body)]).await;
    }
    world.until("fence", &|| bodies(&name, 8).iter().all(|body| heard.has(body))).await;
}

/// The bodies without fences.
pub(crate) fn unfenced(heard: &Heard) -> Vec<String> {
    heard.bodies().into_iter().filter(|body| !body.starts_with("fence")).collect()
}
