//! RocketMQ inside the process: a name server and a broker on loopback, for the demo, development and tests.
//!
//! No client here: whoever sends or listens uses the bus of `shop-common` with [`Broker::name_server`]. No security, no
//! replication, no dead-letter housekeeping: a shop that outgrows one machine runs Apache RocketMQ and changes the address.

// The types of the broker are nested deeper than the default allows.
#![recursion_limit = "512"]

mod disk;
mod ports;
mod stack;

use std::{path::PathBuf, thread};

use tokio::sync::oneshot;

use crate::stack::Stack;

/// Starts tried when a port we chose was taken before we could bind it.
const STARTS_MAX: u32 = 4;

/// Where the broker keeps its messages and listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerConfig {
    /// The store; a broker started on it again continues where the last one ended, however that was.
    pub data_dir: PathBuf,
    /// Port of the name server; none = a free one.
    pub name_server_port: Option<u16>,
    /// Port of the broker, which takes the one two below it as well; none = a free one.
    pub broker_port: Option<u16>,
}

impl BrokerConfig {
    /// A broker over `data_dir`, on free ports.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), name_server_port: None, broker_port: None }
    }
}

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A port, a directory or a thread.
    #[error("cannot prepare the broker: {0}")]
    Io(#[from] std::io::Error),
    /// RocketMQ writes nothing while less than a tenth of the disk is left.
    #[error(
        "the disk of {} has {available_mib} MiB of {total_mib} MiB left, and RocketMQ takes messages only while there are \
         {needed_mib} MiB: free some, or keep the messages elsewhere (`data_dir`, or `mq.name_server` for a broker of its own)",
        path.display()
    )]
    DiskFull {
        /// The store.
        path: PathBuf,
        /// What is left.
        available_mib: u64,
        /// The whole disk.
        total_mib: u64,
        /// What must be left.
        needed_mib: u64,
    },
    /// The settings do not fit together.
    #[error("broker settings: {0}")]
    Settings(String),
    /// The name server did not answer.
    #[error("name server: {0}")]
    NameServer(String),
    /// The broker did not start: a port in use, another broker on the same directory, a store that takes no messages. The
    /// log says more.
    #[error("broker: {0}")]
    Broker(String),
}

/// A running name server and broker. They have a thread and a runtime of their own; dropped, they stop by themselves.
#[derive(Debug)]
pub struct Broker {
    name_server: String,
    stop: oneshot::Sender<()>,
    stopped: oneshot::Receiver<()>,
}

impl Broker {
    /// Starts both and returns when the broker is registered, so that topics can be created at once.
    ///
    /// # Errors
    /// See [`BrokerError`].
    pub async fn start(config: BrokerConfig) -> Result<Self, BrokerError> {
        let may_choose = config.name_server_port.is_none() || config.broker_port.is_none();
        let mut starts = 1;
        loop {
            match Self::start_once(config.clone()).await {
                Err(error @ (BrokerError::NameServer(_) | BrokerError::Broker(_)))
                    if may_choose && starts < STARTS_MAX =>
                {
                    tracing::warn!(%error, "broker not started, trying other ports");
                    starts += 1;
                }
                result => return result,
            }
        }
    }

    /// Address of the name server, `127.0.0.1:port`.
    pub fn name_server(&self) -> String {
        self.name_server.clone()
    }

    /// Stops both and waits until they are gone.
    pub async fn shutdown(self) {
        drop(self.stop);
        // The sender is dropped, never used: either way the thread is at its end.
        self.stopped.await.unwrap_or_default();
    }

    async fn start_once(config: BrokerConfig) -> Result<Self, BrokerError> {
        let (ready_sender, ready) = oneshot::channel();
        let (stop, stop_asked) = oneshot::channel();
        let (alive, stopped) = oneshot::channel();
        thread::Builder::new().name("shop-broker".to_owned()).spawn(move || {
            run(&config, ready_sender, stop_asked);
            drop::<oneshot::Sender<()>>(alive);
        })?;
        match ready.await {
            Ok(Ok(name_server)) => Ok(Self { name_server, stop, stopped }),
            Ok(Err(error)) => {
                // Only then are the ports and the lock on the store free again.
                stopped.await.unwrap_or_default();
                Err(error)
            }
            Err(_) => Err(BrokerError::Broker("its thread ended".to_owned())),
        }
    }
}

/// The life of one stack, on a thread that is no runtime's.
fn run(config: &BrokerConfig, ready: oneshot::Sender<Result<String, BrokerError>>, stop_asked: oneshot::Receiver<()>) {
    let owner = match stack::runtime() {
        Ok(owner) => owner,
        Err(error) => return drop(ready.send(Err(error))),
    };
    owner.block_on(async {
        match Stack::start(&owner, config).await {
            Ok(stack) => {
                // An Err means the starter has gone: then nobody holds the stop signal, and it ends at once.
                drop(ready.send(Ok(stack.name_server())));
                stop_asked.await.unwrap_or_default();
                stack.stop().await;
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    });
    stack::end(owner);
}
