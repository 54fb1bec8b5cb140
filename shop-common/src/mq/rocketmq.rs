//! The bus over RocketMQ: the only file that imports its client, and the place of every workaround it needs.
//!
//! The client runs on a runtime of its own; handlers run on the runtime [`RocketMqBus::connect`] was called on.
//! Connecting needs no broker: publishing and subscribing answer `Unavailable` until there is one.

mod units;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Display,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use futures::future::join_all;
use rocketmq_client_rust::{
    ClientConfig, ClientError, ClientResult, ClientRuntime, ClientRuntimeConfig, ConsumeConcurrentlyContext,
    ConsumeConcurrentlyStatus, DefaultMQProducer, DefaultMQPushConsumer, MQPushConsumer, MessageListenerConcurrently,
    SendResult, SendStatus,
};
use rocketmq_model::common::{
    consumer::consume_from_where::ConsumeFromWhere,
    message::{MessageConst, MessageTrait, message_ext::MessageExt, message_single::Message},
};
use rocketmq_observability::TelemetryRuntimeGuard;
use rocketmq_protocol::{code::response_code::ResponseCode, protocol::heartbeat::message_model::MessageModel};
use rocketmq_runtime::{RuntimeConfig, RuntimeOwner};
use shop_proto::topic::Delivery;
use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};

use self::units::{SendUnit, send_in_units};
use super::{
    BATCH, Bus, Handler, Incoming, NotHandled, Outgoing, PublishError, Subscription,
    rules::{self, LEVEL_SECONDS},
};
use crate::shutdown::{self, Shutdown, Switch};

/// Listeners that may run at once, and that may wait. The client's own 4 and 16 drop broadcasts when handlers are slow.
const LISTENERS: usize = 128;
const LISTENERS_WAITING: usize = 8192;
/// How long a listener may wait or run.
const LISTENER_TIME: Duration = Duration::from_mins(10);
/// How long it is tried to send back what failed, well within the time of its listener; and the pause between two tries.
const INSIST: Duration = Duration::from_mins(5);
const INSIST_PAUSE: Duration = Duration::from_secs(1);
/// How often a new member looks for its queues, and the pause between two looks.
const LOOKS: usize = 10;
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// Queues of a topic we create.
const QUEUES: i32 = 4;
/// The broker's template topic: creating a topic goes to every broker that has it.
const TEMPLATE: &str = "TBW102";
/// User property that carries the trace context.
const TRACEPARENT: &str = "traceparent";

/// How to reach RocketMQ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RocketMqConfig {
    /// Name server, `host:port`; several separated by `;`.
    pub name_server: String,
    /// Where the offsets of broadcast consumers are kept; losing it replays the topic.
    pub data_dir: PathBuf,
    /// How long one send may take, its retries included.
    pub send_timeout: Duration,
    /// How long stopping waits for running handlers.
    pub stop_timeout: Duration,
    /// Deliveries after the first before a message is dead-lettered.
    pub reconsume_max: i32,
}

impl RocketMqConfig {
    /// The usual settings: 3 s to send, 10 s to stop, 16 retries.
    pub fn new(name_server: impl Into<String>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            name_server: name_server.into(),
            data_dir: data_dir.into(),
            send_timeout: Duration::from_secs(3),
            stop_timeout: Duration::from_secs(10),
            reconsume_max: 16,
        }
    }
}

/// The client's consumer; its listener sends single messages back through it.
type Consumer = tokio::sync::Mutex<DefaultMQPushConsumer>;

/// The bus over RocketMQ.
pub struct RocketMqBus {
    config: RocketMqConfig,
    handlers: Handle,
    consumers: tokio::sync::Mutex<Vec<Arc<Consumer>>>,
    /// Read by who subscribes, written by who stops: a client that is stopped under a consumer that starts waits for it
    /// in vain.
    subscribing: tokio::sync::RwLock<()>,
    switch: Switch,
    stopping: Shutdown,
    producer: DefaultMQProducer,
    /// Topics known to exist.
    topics: Mutex<HashSet<String>>,
    client: Arc<ClientRuntime>,
    /// Last, so that it is dropped last; `None` after shutdown.
    owner: Mutex<Option<RuntimeOwner>>,
}

impl RocketMqBus {
    /// Starts the client. Reaches for no broker yet. Must be called on the runtime that is to run the handlers.
    ///
    /// # Errors
    /// [`PublishError::Unavailable`] when the client cannot start.
    pub async fn connect(config: RocketMqConfig) -> Result<Arc<Self>, PublishError> {
        let data_dir = std::path::absolute(&config.data_dir).map_err(unavailable)?;
        let config = RocketMqConfig { data_dir, ..config };
        let owner = runtime()?;
        let scope = owner.root_context().component("client");
        let limits = ClientRuntimeConfig { shutdown_timeout: config.stop_timeout, ..ClientRuntimeConfig::default() };
        let client =
            ClientRuntime::try_new(scope, limits, TelemetryRuntimeGuard::noop().handle()).map_err(unavailable)?;
        let mut producer = DefaultMQProducer::builder(client.clone())
            .producer_group("shop_producer_group")
            .name_server_addr(config.name_server.as_str())
            .send_msg_timeout(u32::try_from(config.send_timeout.as_millis()).unwrap_or(u32::MAX))
            .build();
        Box::pin(producer.start()).await.map_err(unavailable)?;
        let (switch, stopping) = shutdown::channel();
        Ok(Arc::new(Self {
            config,
            handlers: Handle::current(),
            consumers: tokio::sync::Mutex::default(),
            subscribing: tokio::sync::RwLock::default(),
            switch,
            stopping,
            producer,
            topics: Mutex::default(),
            client,
            owner: Mutex::new(Some(owner)),
        }))
    }

    /// Creates `topic` unless it has a route. Sending or subscribing to one that does not exist costs up to 30 s until
    /// the client looks again; creating one that exists would overrule the operator's number of queues.
    async fn ensure_topic(&self, topic: &str) -> Result<(), PublishError> {
        if self.topics.lock().unwrap_or_else(PoisonError::into_inner).contains(topic) {
            return Ok(());
        }
        let mut producer = self.producer.clone();
        if Box::pin(producer.fetch_publish_message_queues(topic)).await.is_err() {
            Box::pin(producer.create_topic(TEMPLATE, topic, QUEUES, HashMap::new())).await.map_err(unavailable)?;
        }
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).insert(topic.to_owned());
        Ok(())
    }

    async fn send_topic(&self, topic: &str, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        match self.ensure_topic(topic).await {
            Ok(()) => send_in_units(self, &messages).await,
            Err(error) => vec![Err(error); messages.len()],
        }
    }

    fn consumer(&self, subscription: &Subscription) -> DefaultMQPushConsumer {
        let (model, client) = match subscription.delivery {
            Delivery::Clustering => (MessageModel::Clustering, member(&subscription.instance)),
            Delivery::Broadcasting => (MessageModel::Broadcasting, self.broadcast_member(&subscription.instance)),
        };
        DefaultMQPushConsumer::builder(self.client.clone())
            .client_config(client)
            // After the client's configuration, which would overwrite it.
            .name_server_addr(self.config.name_server.as_str())
            .consumer_group(subscription.group.as_str())
            .message_model(model)
            .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
            .consume_message_batch_max_size(u32::try_from(BATCH).unwrap_or(1))
            .max_reconsume_times(self.config.reconsume_max)
            // The default waits for no running handler: its messages would come again.
            .await_termination_millis_when_shutdown(
                u64::try_from(self.config.stop_timeout.as_millis()).unwrap_or(u64::MAX),
            )
            .build()
    }

    /// A member whose id `<address>@<instance>` is an absolute path: the client keeps its offsets in
    /// `$HOME/.rocketmq_offsets` joined with the id, and joining an absolute path yields that path.
    fn broadcast_member(&self, instance: &str) -> ClientConfig {
        let mut client = member(instance);
        let address = client.get_client_ip().map(ToString::to_string).unwrap_or_default();
        let place = self.config.data_dir.join("broadcast").join(address);
        client.set_client_ip(place.to_string_lossy().as_ref().into());
        client
    }

    /// Creates the directory of the offsets: the client does not, and forgets them.
    async fn create_offsets_dir(&self, subscription: &Subscription) -> Result<(), PublishError> {
        let member = self.broadcast_member(&subscription.instance).build_mq_client_id();
        tokio::fs::create_dir_all(PathBuf::from(member).join(&subscription.group)).await.map_err(unavailable)
    }
}

#[async_trait]
impl SendUnit for RocketMqBus {
    async fn send_unit(&self, unit: &[Outgoing]) -> Result<(), PublishError> {
        let mut records = unit.iter().map(record).collect::<Result<Vec<_>, _>>()?;
        let sent = match (records.pop(), records.is_empty()) {
            (Some(record), true) => Box::pin(self.producer.send(record)).await,
            (Some(record), false) => {
                records.push(record);
                Box::pin(self.producer.send_batch(records)).await.map(Some)
            }
            (None, _) => return Ok(()),
        };
        accepted(sent)
    }
}

#[async_trait]
impl Bus for RocketMqBus {
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        let mut verdicts = Vec::with_capacity(messages.len());
        let mut topics: BTreeMap<String, (Vec<usize>, Vec<Outgoing>)> = BTreeMap::new();
        for (index, message) in messages.into_iter().enumerate() {
            match rules::message(&message) {
                Ok(()) => {
                    let (indexes, messages) = topics.entry(message.topic.clone()).or_default();
                    indexes.push(index);
                    messages.push(message);
                }
                Err(rejected) => verdicts.push((index, Err(rejected))),
            }
        }
        let sends = topics.into_iter().map(|(topic, (indexes, messages))| async move {
            indexes.into_iter().zip(self.send_topic(&topic, messages).await)
        });
        verdicts.extend(join_all(sends).await.into_iter().flatten());
        verdicts.sort_by_key(|(index, _)| *index);
        verdicts.into_iter().map(|(_, verdict)| verdict).collect()
    }

    async fn subscribe(&self, subscription: Subscription, handler: Handler) -> Result<(), PublishError> {
        rules::subscription(&subscription)?;
        let subscribing = self.subscribing.read().await;
        let topic = self.stopping.race(self.ensure_topic(&subscription.topic)).await;
        topic.ok_or_else(|| unavailable("stopping"))??;
        if subscription.delivery == Delivery::Broadcasting {
            self.create_offsets_dir(&subscription).await?;
        }
        let shared = Arc::new(Consumer::new(self.consumer(&subscription)));
        let mut consumer = shared.lock().await;
        // No blanks: "a || b" makes the client hash the blanks too, and nothing ever matches.
        let tags = if subscription.tags.is_empty() { "*".to_owned() } else { subscription.tags.join("||") };
        Box::pin(consumer.subscribe(subscription.topic.as_str(), tags)).await.map_err(unavailable)?;
        let (runtime, topic) = (self.handlers.clone(), subscription.topic.clone());
        let group = Group { subscription, handler, consumer: Arc::downgrade(&shared), stopping: self.stopping.clone() };
        consumer.register_message_listener_concurrently(listener(runtime, Arc::new(group)));
        let started = Box::pin(consumer.start()).await;
        if started.is_err() {
            Box::pin(consumer.shutdown()).await;
        } else {
            self.stopping.race(take_queues(&mut consumer, &topic)).await;
            drop(consumer);
            self.consumers.lock().await.push(shared);
        }
        drop(subscribing);
        started.map_err(unavailable)
    }

    async fn stop_consumers(&self) {
        self.switch.stop();
        if tokio::time::timeout(self.config.stop_timeout, self.subscribing.write()).await.is_err() {
            tracing::warn!("a subscription in progress did not end in time");
        }
        let consumers = std::mem::take(&mut *self.consumers.lock().await);
        let stop = |consumer: Arc<Consumer>| Box::pin(async move { consumer.lock().await.shutdown().await });
        join_all(consumers.into_iter().map(stop)).await;
    }

    async fn shutdown(&self) {
        let owner = self.owner.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(owner) = owner else { return };
        self.stop_consumers().await;
        Box::pin(self.producer.clone().shutdown()).await;
        Box::pin(self.client.shutdown()).await;
        owner.shutdown_tasks().await;
        owner.shutdown_background();
    }
}

/// The client's runtime, with room on the lane its listeners run on.
fn runtime() -> Result<RuntimeOwner, PublishError> {
    let mut config = RuntimeConfig { thread_name: "shop-mq".to_owned(), ..RuntimeConfig::default() };
    config.max_blocking_threads = 2 * LISTENERS;
    let lane = &mut config.blocking_lane_policies.metadata_io;
    lane.max_concurrency = LISTENERS;
    lane.max_queue_depth = LISTENERS_WAITING;
    lane.queue_timeout = LISTENER_TIME;
    lane.task_timeout = LISTENER_TIME;
    let plan = RuntimeOwner::plan(config).map_err(|error| PublishError::Unavailable(format!("{error:?}")))?;
    plan.build().map_err(unavailable)
}

fn member(instance: &str) -> ClientConfig {
    let mut client = ClientConfig::default();
    client.set_instance_name(instance.into());
    client
}

/// Takes the queues of `topic` now. By itself the client looks for them once when a member has started, and then every 20 s,
/// whatever it has found: nothing, where the heartbeat of the new member was left out because that of another one was
/// under way, so that the broker does not know it yet; and not a queue whose offset it could not read. Other members may have
/// their share, so it does not look for long.
async fn take_queues(consumer: &mut DefaultMQPushConsumer, topic: &str) {
    for _ in 0..LOOKS {
        Box::pin(consumer.resume()).await;
        let all = Box::pin(consumer.fetch_subscribe_message_queues(topic)).await.map(|queues| queues.len());
        let info = Box::pin(consumer.consumer_running_info()).await;
        let taken = info.map(|info| info.mq_table.keys().filter(|queue| queue.topic_str() == topic).count());
        if let (Ok(all), Ok(taken)) = (all, taken)
            && taken >= all
        {
            return;
        }
        sleep(LOOK_PAUSE).await;
    }
}

/// A member of a group at work.
struct Group {
    subscription: Subscription,
    handler: Handler,
    consumer: Weak<Consumer>,
    stopping: Shutdown,
}

/// Runs the handler on `runtime` from the client's own blocking thread.
fn listener(runtime: Handle, group: Arc<Group>) -> impl MessageListenerConcurrently + 'static {
    move |messages: &[&MessageExt], _: &ConsumeConcurrentlyContext| {
        let done = runtime.block_on(group.handle(messages));
        Ok(if done { ConsumeConcurrentlyStatus::ConsumeSuccess } else { ConsumeConcurrentlyStatus::ReconsumeLater })
    }
}

impl Group {
    /// Whether the delivery is done with.
    async fn handle(&self, messages: &[&MessageExt]) -> bool {
        let batch = messages.iter().copied().map(incoming).collect();
        let Err(failed) = (self.handler)(batch).await else { return true };
        let group = self.subscription.group.as_str();
        tracing::warn!(msg.group = group, error = %failed, "messages not handled: {} of {group}", messages.len());
        self.send_back(messages, &failed).await
    }

    /// Sends back what failed, and nothing else, to come again later: the client has one verdict for a whole batch, and
    /// under that the neighbours of a poisonous message would become dead letters together with it.
    async fn send_back(&self, messages: &[&MessageExt], failed: &NotHandled) -> bool {
        let is_retried = self.subscription.delivery == Delivery::Clustering;
        let Some(consumer) = self.consumer.upgrade().filter(|_| is_retried) else { return false };
        let back = async {
            for (_, message) in messages.iter().enumerate().filter(|(position, _)| failed.is_about(*position)) {
                insist(&consumer, (*message).clone()).await;
            }
        };
        self.stopping.race(timeout(INSIST, back)).await.is_some_and(|sent| sent.is_ok())
    }
}

/// Sends one message back, however long the broker is away: until then its place in the queue is kept.
async fn insist(consumer: &Consumer, mut message: MessageExt) {
    // When the broker does not answer, the client sends a copy to the retry topic and calls that sent back; the Rust broker
    // takes such a copy for one of an ordered group and makes it a dead letter at once. Without a body there is nothing to
    // copy, and we are told. The broker has the body.
    drop(message.take_body());
    loop {
        // Level 0: the next one, as the broker counts.
        let sent = Box::pin(consumer.lock().await.send_message_back_to_origin_broker(message.clone(), 0)).await;
        let Err(error) = sent else { return };
        tracing::warn!(%error, "a message was not sent back; trying again");
        sleep(INSIST_PAUSE).await;
    }
}

fn incoming(message: &MessageExt) -> Incoming {
    let property = |name: &str| message.property(&name.into()).map(|value| value.to_string()).unwrap_or_default();
    // Not the unique key: the Rust broker gives all messages of a batch the same. A redelivery is stored anew.
    let first_stored_as = property(MessageConst::PROPERTY_ORIGIN_MESSAGE_ID);
    Incoming {
        msg_id: if first_stored_as.is_empty() { message.msg_id().to_string() } else { first_stored_as },
        topic: message.topic().to_string(),
        tag: property(MessageConst::PROPERTY_TAGS),
        key: property(MessageConst::PROPERTY_KEYS),
        body: message.body().map(Vec::from).unwrap_or_default(),
        traceparent: property(TRACEPARENT),
        attempt: u32::try_from(message.reconsume_times()).unwrap_or(0).saturating_add(1),
    }
}

fn record(message: &Outgoing) -> Result<Message, PublishError> {
    let mut record = Message::builder().topic(message.topic.as_str()).body_slice(message.body.as_bytes());
    if !message.tag.is_empty() {
        record = record.tags(message.tag.as_str());
    }
    if !message.key.is_empty() {
        record = record.key(message.key.as_str());
    }
    if let Some(level) = message.delay.and_then(delay_level) {
        record = record.delay_level(level);
    }
    if !message.traceparent.is_empty() {
        record = record.raw_property(TRACEPARENT, message.traceparent.as_str()).map_err(rejected)?;
    }
    record.build().map_err(rejected)
}

/// The first level that is not shorter; none for no delay. Never an exact delay: 4.9 brokers deliver such at once.
fn delay_level(delay: Duration) -> Option<i32> {
    if delay.is_zero() {
        return None;
    }
    let level = LEVEL_SECONDS.iter().position(|seconds| Duration::from_secs(*seconds) >= delay)?;
    i32::try_from(level + 1).ok()
}

fn accepted(sent: ClientResult<Option<SendResult>>) -> Result<(), PublishError> {
    match sent {
        Ok(Some(result)) if result.send_status == SendStatus::SendOk => Ok(()),
        Ok(result) => Err(PublishError::Unavailable(format!("{:?}", result.map(|result| result.send_status)))),
        Err(error) => Err(refused(&error)),
    }
}

/// Only the broker's "message illegal" is about the message itself.
fn refused(error: &ClientError) -> PublishError {
    match error.broker_response_code().map(ResponseCode::from) {
        Some(ResponseCode::MessageIllegal) => rejected(error),
        _ => unavailable(error),
    }
}

fn rejected(error: impl Display) -> PublishError {
    PublishError::Rejected(error.to_string())
}

fn unavailable(error: impl Display) -> PublishError {
    PublishError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_send_ok_is_not_known_to_be_stored() {
        let sent = |send_status| accepted(Ok(Some(SendResult { send_status, ..SendResult::default() })));
        assert_eq!(sent(SendStatus::SendOk), Ok(()));
        for status in [SendStatus::FlushDiskTimeout, SendStatus::FlushSlaveTimeout, SendStatus::SlaveNotAvailable] {
            assert!(matches!(sent(status), Err(PublishError::Unavailable(_))), "{status:?}");
        }
        assert!(matches!(accepted(Ok(None)), Err(PublishError::Unavailable(_))));
    }

    #[test]
    fn a_delay_becomes_the_first_level_that_is_not_shorter() {
        let level = |millis| delay_level(Duration::from_millis(millis));
        assert_eq!([level(0), level(1), level(1000), level(1001)], [None, Some(1), Some(1), Some(2)]);
        assert_eq!([level(600_000), level(600_001), level(7_200_000)], [Some(14), Some(15), Some(18)]);
    }
}
