//! One name server and one broker on one runtime, with settings for a small machine.

use std::{
    error::Error,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::Duration,
};

use rocketmq_broker::{BrokerBootstrap, BrokerStartupError, Running};
use rocketmq_namesrv::NamesrvConfig;
use rocketmq_observability::TelemetryRuntimeGuard;
use rocketmq_runtime::{RuntimeConfig, RuntimeOwner};
use rocketmq_store::MessageStoreConfig;
use rocketmq_transport::api::ServerConfig;
use tokio::{
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    BrokerConfig, BrokerError, disk,
    ports::{self, Ports},
};

const LOOPBACK: &str = "127.0.0.1";
/// Brokers register by name: a broker on an old store must have the name it had.
const NAME: &str = "shop-broker";
/// How long the name server may take to listen, and each of the two to stop.
const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two tries to connect.
const POLL: Duration = Duration::from_millis(5);

/// What runs.
pub(crate) struct Stack {
    name_server: NameServer,
    broker: BrokerBootstrap<Running>,
}

impl Stack {
    /// Starts the name server, then the broker, which fails unless it can register.
    pub(crate) async fn start(owner: &RuntimeOwner, config: &BrokerConfig) -> Result<Self, BrokerError> {
        let data_dir = std::path::absolute(&config.data_dir)?;
        disk::check(&data_dir)?;
        let ports = ports::choose(config)?;
        let name_server = NameServer::start(owner, &data_dir, ports.name_server).await?;
        match Box::pin(start_broker(owner, &data_dir, ports)).await {
            // Its port may have been taken before it could bind: then what answered was somebody else's.
            Ok(broker) if name_server.task.is_finished() => {
                Box::pin(broker.shutdown()).await;
                Err(name_server.stop().await)
            }
            Ok(broker) => Ok(Self { name_server, broker }),
            Err(error) => {
                name_server.stop().await;
                Err(error)
            }
        }
    }

    pub(crate) fn name_server(&self) -> String {
        address(self.name_server.port)
    }

    pub(crate) async fn stop(self) {
        if timeout(PATIENCE, Box::pin(self.broker.shutdown())).await.is_err() {
            tracing::warn!("broker did not stop in time");
        }
        self.name_server.stop().await;
    }
}

/// The runtime of a stack.
pub(crate) fn runtime() -> Result<RuntimeOwner, BrokerError> {
    let config = RuntimeConfig { thread_name: NAME.to_owned(), ..RuntimeConfig::default() };
    let plan = RuntimeOwner::plan(config).map_err(|error| BrokerError::Settings(format!("{error:?}")))?;
    plan.build().map_err(|error| BrokerError::Settings(chain(&error)))
}

/// Ends the runtime and waits for it, which only a thread outside of it may.
pub(crate) fn end(owner: RuntimeOwner) {
    if let Err(error) = owner.shutdown_runtime_blocking_with_timeout(PATIENCE) {
        tracing::warn!(error = %chain(&error), "broker runtime did not end cleanly");
    }
}

struct NameServer {
    port: u16,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), BrokerError>>,
}

impl NameServer {
    async fn start(owner: &RuntimeOwner, data_dir: &Path, port: u16) -> Result<Self, BrokerError> {
        let scope = owner.root_context().component("namesrv");
        let server = rocketmq_namesrv::bootstrap::Builder::new(scope, TelemetryRuntimeGuard::noop().handle())
            .set_name_server_config(NamesrvConfig {
                rocketmq_home: text(data_dir),
                kv_config_path: text(&data_dir.join("kvConfig.json")),
                config_store_path: text(&data_dir.join("namesrv.properties")),
                ..NamesrvConfig::default()
            })
            .set_server_config(listen(port))
            .build();
        let (stop, stop_asked) = oneshot::channel();
        let task = tokio::spawn(Box::pin(async move {
            let asked = async { stop_asked.await.unwrap_or_default() };
            server.boot_with_shutdown(asked).await.map_err(|error| BrokerError::NameServer(chain(error.as_ref())))
        }));
        let server = Self { port, stop, task };
        if server.listens().await { Ok(server) } else { Err(server.stop().await) }
    }

    /// Waits until it accepts; there is nothing that tells.
    async fn listens(&self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while !self.task.is_finished() && Instant::now() < deadline {
            if TcpStream::connect((LOOPBACK, self.port)).await.is_ok() {
                return !self.task.is_finished();
            }
            sleep(POLL).await;
        }
        false
    }

    /// Stops it and says how it ended.
    async fn stop(self) -> BrokerError {
        drop(self.stop);
        match timeout(PATIENCE, self.task).await {
            Ok(Ok(Err(error))) => error,
            Ok(Ok(Ok(()))) => BrokerError::NameServer("stopped".to_owned()),
            Ok(Err(error)) => BrokerError::NameServer(error.to_string()),
            Err(_) => BrokerError::NameServer("did not stop in time".to_owned()),
        }
    }
}

async fn start_broker(
    owner: &RuntimeOwner,
    data_dir: &Path,
    ports: Ports,
) -> Result<BrokerBootstrap<Running>, BrokerError> {
    let settings = rocketmq_broker::config::validated::ValidatedBrokerConfig::try_from_parts(
        broker_settings(data_dir, ports),
        store_settings(data_dir, ports),
    )
    .map_err(|error| BrokerError::Settings(chain(&error)))?;
    let failed = |error| not_started(&error, data_dir);
    let scope = owner.root_context().component("broker");
    let broker =
        rocketmq_broker::Builder::new(scope, TelemetryRuntimeGuard::noop()).with_validated_config(settings).build();
    Box::pin(Box::pin(broker.initialize()).await.map_err(failed)?.start()).await.map_err(failed)
}

/// What the broker tells of its failure: of itself it prints a code, and keeps the reason for its log.
fn not_started(error: &BrokerStartupError, data_dir: &Path) -> BrokerError {
    let cause = error.rollback_cause().unwrap_or(error);
    let (phase, component) = (cause.phase(), cause.component().unwrap_or("as a whole"));
    let missing = cause.missing_requirements().join(", ");
    let missing = if missing.is_empty() { missing } else { format!(", missing: {missing}") };
    let text = format!("{phase:?} of {component} on {}{missing}: {}", data_dir.display(), chain(cause));
    BrokerError::Broker(text)
}

fn broker_settings(data_dir: &Path, ports: Ports) -> rocketmq_broker::config::broker_config::BrokerConfig {
    let mut settings = rocketmq_broker::config::broker_config::BrokerConfig {
        broker_ip1: LOOPBACK.into(),
        listen_port: ports.broker.into(),
        store_path_root_dir: text(&data_dir.join("store")).into(),
        namesrv_addr: Some(address(ports.name_server).into()),
        broker_server_config: listen(ports.broker),
        // It looks after POP consumers, of which we have none, in scans of 4 s that stopping would have to wait for.
        revive_interval: 3_600_000,
        ..Default::default()
    };
    settings.broker_identity.broker_name = NAME.into();
    settings
}

/// Files small enough for a laptop: 18 MB on disk where the defaults take 1.5 GB.
fn store_settings(data_dir: &Path, ports: Ports) -> MessageStoreConfig {
    MessageStoreConfig {
        store_path_root_dir: text(&data_dir.join("store")).into(),
        ha_listen_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        ha_listen_port: ports.replication.into(),
        mapped_file_size_commit_log: 16 << 20,
        mapped_file_size_consume_queue: 20_000,
        max_hash_slot_num: 10_000,
        max_index_num: 40_000,
        // Its wait of 50 µs is rounded up to a timer tick: five times slower sends and an idle load of a third of a core.
        commit_log_micro_batch_enabled: false,
        // A delayed message whose turn comes while writing takes longer than this is skipped for good, and with it what was
        // to come again; the default is a second.
        os_page_cache_busy_timeout_mills: 60_000,
        // Or a disk that somebody else fills makes it delete messages that nobody has read yet.
        clean_file_forcibly_enable: false,
        ..Default::default()
    }
}

fn listen(port: u16) -> ServerConfig {
    ServerConfig { listen_port: port.into(), bind_address: LOOPBACK.to_owned(), ..ServerConfig::default() }
}

fn address(port: u16) -> String {
    format!("{LOOPBACK}:{port}")
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The error with its causes: its own text says only of what kind it is.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
