//! One process: the services on a runtime of their own, so that it can be killed between two steps of any task.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::middleware::from_fn_with_state;
use futures::future::join_all;
use shop::{
    assemble::{Services, Shared, open_all},
    audit::Schemas,
    config::Config,
};
use shop_common::{
    db::Db,
    id::Generator,
    link::Link,
    mq::{Bus, Handler, Outgoing, PublishError, SharedBus, Subscription, memory::MemoryBus},
    shutdown::{self, Switch},
    time::Clock,
};
use shop_proto::topic;
use shop_testkit::{Alarms, eventually};
use tokio::{
    runtime::{Builder, Runtime},
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};
use tonic::service::Routes;
use tracing::instrument::WithSubscriber;

use super::{
    PATIENCE,
    faults::{Faults, between},
};

/// Longest wait for the threads of a killed process.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Longest wait for its connections.
const FILES_CLOSE: Duration = Duration::from_secs(1);

/// A running process.
pub(crate) struct Process {
    /// Its services.
    pub(crate) services: Services,
    bus: Arc<Connection>,
    switch: Switch,
    runtime: OwnRuntime,
    alarms: Alarms,
}

/// A runtime that may be dropped anywhere.
struct OwnRuntime(Option<Runtime>);

/// One connection to the broker, which knows how many groups it has joined, and whether it was turned away.
struct Connection {
    bus: Arc<MemoryBus>,
    groups: AtomicUsize,
    turned_away: AtomicBool,
    faults: Arc<Faults>,
}

impl Process {
    pub(super) async fn start(
        config: &Config,
        clock: &Clock,
        broker: &MemoryBus,
        faults: &Arc<Faults>,
        alarms: &Alarms,
    ) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let bus = Arc::new(Connection {
            bus: broker.join(),
            groups: AtomicUsize::new(0),
            turned_away: AtomicBool::new(false),
            faults: Arc::clone(faults),
        });
        let (switch, shutdown) = shutdown::channel();
        let shared_bus: SharedBus = bus.clone();
        let shared = Shared {
            bus: shared_bus,
            clock: clock.clone(),
            ids: Arc::new(Generator::new(config.id.worker).unwrap()),
            shutdown,
        };
        let (config, faults) = (config.clone(), Arc::clone(faults));
        let built = spawn_blocking(move || {
            let services = runtime.block_on(async {
                let schemas = watched(open_all(&config).await.unwrap(), &config, &faults).await;
                let wrap =
                    |routes: Routes| Routes::from(routes.into_axum_router().layer(from_fn_with_state(faults, between)));
                let services = Services::build(&config, schemas, shared, wrap).unwrap();
                services.listen();
                services
            });
            (services, OwnRuntime(Some(runtime)))
        });
        let (services, runtime) = built.await.unwrap();
        let process = Self { services, bus, switch, runtime, alarms: alarms.clone() };
        process.wait_until_it_listens().await;
        process
    }

    /// Where clients call.
    pub(crate) fn link(&self) -> Link {
        self.services.link.clone()
    }

    /// Runs `work` in this process; its alarms are heard.
    pub(crate) fn run<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.runtime.0.as_ref().expect("it runs").spawn(work.with_subscriber(self.alarms.dispatch()))
    }

    /// All groups are joined, unless there is no broker to join them at.
    async fn wait_until_it_listens(&self) {
        let groups: usize = topic::ALL.iter().map(|kind| kind.groups.len()).sum();
        let Connection { groups: joined, turned_away, .. } = self.bus.as_ref();
        let listens = || joined.load(Ordering::SeqCst) == groups || turned_away.load(Ordering::SeqCst);
        eventually("it listens", PATIENCE, async || listens()).await;
    }

    /// Ends it where it stands; its place in the groups is free.
    pub(super) async fn kill(mut self) {
        let runtime = self.runtime.0.take().expect("it runs");
        let Schemas { goods, coupon, user, order, pay } = self.services.schemas.clone();
        let closing = join_all([goods, coupon, user, order, pay].map(Db::close));
        spawn_blocking(move || {
            runtime.shutdown_timeout(LAST_WORDS);
            drop((self.services, self.switch));
        })
        .await
        .unwrap();
        // What it had in hand goes back to the broker when it has ended, and only then.
        self.bus.bus.shutdown().await;
        // Its files are closed, as those of a dead process are; a connection that was cut off may never come back.
        drop(timeout(FILES_CLOSE, closing).await);
    }
}

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The databases with their crash points.
#[cfg(debug_assertions)]
async fn watched(schemas: Schemas, config: &Config, faults: &Faults) -> Schemas {
    let gone = Db::connect(&config.goods.database).await.unwrap();
    gone.clone().close().await;
    let watch = |service, db| faults.points.watch(service, db, &gone);
    let Schemas { goods, coupon, user, order, pay } = schemas;
    Schemas {
        goods: watch("goods", goods),
        coupon: watch("coupon", coupon),
        user: watch("user", user),
        order: watch("order", order),
        pay: watch("pay", pay),
    }
}

#[cfg(not(debug_assertions))]
async fn watched(schemas: Schemas, _: &Config, _: &Faults) -> Schemas {
    schemas
}

#[async_trait]
impl Bus for Connection {
    async fn publish(&self, messages: Vec<Outgoing>) -> Vec<Result<(), PublishError>> {
        let away = vec![Err(PublishError::Unavailable("failed by a test".to_owned())); messages.len()];
        if !self.faults.pass("broker", "publish").await {
            return away;
        }
        let stored = self.bus.publish(messages).await;
        if self.faults.pass("broker", "published").await { stored } else { away }
    }

    async fn subscribe(&self, subscription: Subscription, handler: Handler) -> Result<(), PublishError> {
        #[cfg(debug_assertions)]
        let handler = self.faults.points.around(subscription.group.clone(), handler);
        let joined = self.bus.subscribe(subscription, handler).await;
        match joined {
            Ok(()) => drop(self.groups.fetch_add(1, Ordering::SeqCst)),
            Err(_) => self.turned_away.store(true, Ordering::SeqCst),
        }
        joined
    }

    async fn stop_consumers(&self) {
        self.bus.stop_consumers().await;
    }

    async fn shutdown(&self) {
        self.bus.shutdown().await;
    }
}
