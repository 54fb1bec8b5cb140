//! The whole shop in one process over fresh databases, with everything around it stepped by hand: the clock stands
//! still, the broker delivers when told to, sweepers and relays run when told to, and faults lie between the services.

pub(crate) mod data;
pub(crate) mod faults;
mod payments;
#[cfg(debug_assertions)]
pub(crate) mod points;
mod process;
pub(crate) mod stage;

use std::{sync::Arc, time::Duration};

use shop::{
    audit::{Options, Report, Schemas, audit},
    config::Config,
    retake,
};
use shop_common::{
    code::ShopCode,
    db::{DatabaseConfig, Db},
    error::ShopError,
    migrate::SqlFile,
    mq::memory::{Faults as BusFaults, MemoryBus},
    time::{Clock, Millis},
};
use shop_testkit::{Alarms, TestDb, databases, participant::number, sqlite};
use tokio::{sync::oneshot, task::JoinHandle};

pub(crate) use self::payments::signed;
use self::{faults::Faults, process::Process};

const START: Millis = Millis::new(1_700_000_000_000);
/// Longer than any backoff of a sweeper or a relay.
const ROUND: Duration = Duration::from_secs(61);
/// More rounds than anything that works needs.
const ROUNDS: usize = 20;
/// Longest wait for what a task does by itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Invariants of time: they hold where sweepers and relays run by themselves.
const IN_TIME: [&str; 3] = ["I16", "I18", "I20"];

/// The schemas in the order of [`Schemas`].
const FILES: [&[SqlFile]; 5] =
    [&shop_goods::SCHEMA, &shop_coupon::SCHEMA, &shop_user::SCHEMA, &shop_order::SCHEMA, &shop_pay::SCHEMA];

/// All sagas begin, whatever is left: the services that keep stock, coupons and balance refuse.
pub(crate) const NO_LOOK: (&str, &str) = ("order.look_before_saga", "false");

/// The answer a client got; a process that died answers *unknown*.
pub(crate) type Answer<T> = Result<T, ShopError>;

/// The shop and its surroundings.
pub(crate) struct World {
    /// `sqlite` or `mariadb`, for messages.
    pub(crate) name: &'static str,
    /// The databases as the test sees them: other connections than those of the process, and they outlive it.
    pub(crate) schemas: Schemas,
    /// The time.
    pub(crate) clock: Clock,
    /// The broker.
    pub(crate) broker: Arc<MemoryBus>,
    /// What goes wrong between the services.
    pub(crate) faults: Arc<Faults>,
    /// What sweepers, relays and handlers log at ERROR.
    pub(crate) alarms: Alarms,
    config: Box<Config>,
    process: Option<Box<Process>>,
    databases: Vec<TestDb>,
}

/// A transaction of somebody else on the orders of SQLite: until it ends, no order is written.
pub(crate) struct OrdersLocked {
    end: oneshot::Sender<()>,
    transaction: JoinHandle<()>,
}

impl World {
    /// A shop on SQLite with these keys of the configuration.
    pub(crate) async fn new(keys: &[(&str, &str)]) -> Self {
        Self::start(on_sqlite().await, keys, MemoryBus::new()).await
    }

    /// The same on every engine there is.
    pub(crate) async fn on_all_engines(keys: &[(&str, &str)]) -> Vec<Self> {
        let mut worlds = Vec::new();
        for databases in on_all_engines().await {
            worlds.push(Self::start(databases, keys, MemoryBus::new()).await);
        }
        worlds
    }

    /// A shop whose broker is away from the beginning.
    pub(crate) async fn without_broker(keys: &[(&str, &str)]) -> Self {
        let broker = MemoryBus::new();
        broker.set_faults(BusFaults { fail: 100, ..BusFaults::default() });
        Self::start(on_sqlite().await, keys, broker).await
    }

    /// A shop over these databases, in the order of [`Schemas`]; `reach_orders` is how the process reaches its orders.
    pub(crate) async fn with_orders_reached_by(
        databases: Vec<TestDb>,
        keys: &[(&str, &str)],
        reach_orders: DatabaseConfig,
    ) -> Self {
        let mut config = config_of(&databases, keys);
        config.order.database = reach_orders;
        Self::start_with(databases, config, MemoryBus::new()).await
    }

    async fn start(databases: Vec<TestDb>, keys: &[(&str, &str)], broker: Arc<MemoryBus>) -> Self {
        let config = config_of(&databases, keys);
        Self::start_with(databases, config, broker).await
    }

    async fn start_with(databases: Vec<TestDb>, config: Config, broker: Arc<MemoryBus>) -> Self {
        Self::start_at(databases, config, broker, Clock::manual(START)).await
    }

    async fn start_at(databases: Vec<TestDb>, config: Config, broker: Arc<MemoryBus>, clock: Clock) -> Self {
        let [goods, coupon, user, order, pay] = databases.as_slice() else { panic!("five databases") };
        let db = |test: &TestDb| test.db.clone();
        let schemas = Schemas { goods: db(goods), coupon: db(coupon), user: db(user), order: db(order), pay: db(pay) };
        let faults = Arc::<Faults>::default();
        let alarms = Alarms::default();
        let process = Process::start(&config, &clock, &broker, &faults, &alarms).await;
        let name = goods.name;
        Self {
            name,
            schemas,
            clock,
            broker,
            faults,
            alarms,
            config: Box::new(config),
            process: Some(Box::new(process)),
            databases,
        }
    }

    /// The running process.
    pub(crate) fn process(&self) -> &Process {
        self.process.as_ref().expect("the process runs")
    }

    /// Ends the process where it stands: no task of it takes another step, open transactions are rolled back.
    pub(crate) async fn kill(&mut self) {
        self.process.take().expect("the process runs").kill().await;
        self.faults.heal();
    }

    /// Kills the process, if it still runs, and starts it again on the same databases and broker, without faults.
    pub(crate) async fn restart(&mut self) {
        if self.process.is_some() {
            self.kill().await;
        }
        let process = Process::start(&self.config, &self.clock, &self.broker, &self.faults, &self.alarms).await;
        self.process = Some(Box::new(process));
    }

    /// The process loses the database of the orders, until it is started again.
    pub(crate) async fn lose_orders(&self) {
        self.process().services.schemas.order.clone().close().await;
    }

    /// Moves the time on, of the shop and of the broker.
    pub(crate) fn later(&self, duration: Duration) {
        self.clock.advance(duration);
        self.broker.advance(duration);
    }

    /// Lets the relays send and the broker deliver, until there is nothing more; how many deliveries that were.
    pub(crate) async fn messages(&self) -> usize {
        let mut delivered = 0;
        loop {
            let sent = self.relay().await;
            let broker = Arc::clone(&self.broker);
            let now = self.process().run(async move { broker.deliver_all().await }).await.unwrap();
            delivered += now;
            if sent + now == 0 {
                return delivered;
            }
        }
    }

    /// Lets the relays send what is due; how many messages the broker has stored.
    pub(crate) async fn relay(&self) -> usize {
        let (relays, now) = (self.process().services.relays(), self.clock.now());
        let sending = async move {
            let mut sent = 0;
            for relay in relays {
                sent += relay.run_once(now).await.unwrap_or_default();
            }
            sent
        };
        self.process().run(sending).await.unwrap()
    }

    /// Lets the sweepers do what is due at this moment; how many rows that were.
    pub(crate) async fn sweep(&self) -> usize {
        let (sweeps, now) = (self.process().services.sweeps(), self.clock.now());
        let sweeping = async move {
            let mut swept = 0;
            for sweep in sweeps {
                // What fails is due again later, as in production.
                while let Ok(claimed @ 1..) = sweep.run_once(now).await {
                    swept += claimed;
                }
            }
            swept
        };
        self.process().run(sweeping).await.unwrap()
    }

    /// Lets the sweeper of the orders alone do what is due at this moment.
    pub(crate) async fn sweep_orders(&self) {
        let sweeps = self.process().services.sweeps();
        let orders = sweeps.into_iter().find(|sweep| sweep.name() == "order").unwrap();
        let now = self.clock.now();
        self.process().run(async move { while let Ok(1..) = orders.run_once(now).await {} }).await.unwrap();
    }

    /// Nothing is under way: what waits for its deadline is not.
    pub(crate) async fn assert_pending_is_nothing(&self) {
        let Report { pending, .. } = self.audit(false).await;
        assert!(pending.is_nothing(), "{}: {pending:?}", self.name);
    }

    /// Lets time pass, sweepers and relays run and the broker deliver until nothing is owed.
    pub(crate) async fn settle_everything(&self) {
        self.settle(true).await;
    }

    /// The same while there is no broker: what is left are messages alone.
    pub(crate) async fn settle_without_broker(&self) {
        self.settle(false).await;
    }

    async fn settle(&self, broker_reachable: bool) {
        for _ in 0..ROUNDS {
            while self.messages().await + self.sweep().await > 0 {}
            let pending = self.audit(broker_reachable).await.pending;
            if pending.is_nothing() && (!broker_reachable || self.outbox_rows().await == 0) {
                return;
            }
            self.later(ROUND);
        }
        panic!("{}: it never comes to rest\n{}", self.name, self.audit(broker_reachable).await);
    }

    async fn audit(&self, broker_reachable: bool) -> Report {
        let options = Options { confirm: Duration::ZERO, broker_reachable, ..Options::default() };
        audit(&self.schemas, &options, &self.clock).await.unwrap()
    }

    /// All invariants hold and nothing is owed, by rows or by messages.
    pub(crate) async fn assert_clean(&self, what: &str) {
        let report = self.audit(true).await;
        let rests = report.pending.is_nothing() && self.outbox_rows().await == 0;
        assert!(report.is_clean() && rests, "{}: {what}\n{report}", self.name);
    }

    /// All invariants hold as things stand, but for those of what should have been done by now.
    pub(crate) async fn assert_sound(&self, what: &str) {
        let report = self.audit(false).await;
        let mut checks = report.checks.iter().filter(|check| !IN_TIME.contains(&check.id));
        assert!(checks.all(|check| check.violations.is_empty()), "{}: {what}\n{report}", self.name);
    }

    /// The invariants that do not hold.
    pub(crate) async fn violated(&self) -> Vec<String> {
        let report = self.audit(true).await;
        let violated = report.checks.iter().filter(|check| !check.violations.is_empty());
        violated.map(|check| check.id.to_owned()).collect()
    }

    /// `shop retake`.
    pub(crate) async fn retake(&self) -> retake::Report {
        retake::retake(&self.config, &self.schemas, &self.clock).await.unwrap()
    }

    /// The same while there is no broker.
    pub(crate) async fn assert_clean_without_broker(&self, what: &str) {
        let report = self.audit(false).await;
        assert!(report.is_clean() && report.pending.is_nothing(), "{}: {what}\n{report}", self.name);
    }

    /// Messages that no broker has stored yet.
    pub(crate) async fn outbox_rows(&self) -> i64 {
        let rows = "SELECT COUNT(*) AS n FROM trade_mq_producer_temp";
        number(&self.schemas.order, rows).await + number(&self.schemas.pay, rows).await
    }

    /// Begins a transaction of somebody else on the orders.
    pub(crate) async fn lock_orders(&self) -> OrdersLocked {
        assert_eq!(self.name, "sqlite", "one writer at a time");
        let (orders, (end, ended), (begin, begun)) =
            (self.schemas.order.clone(), oneshot::channel(), oneshot::channel());
        let transaction = tokio::spawn(hold(orders, begin, ended));
        begun.await.unwrap();
        OrdersLocked { end, transaction }
    }
}

impl OrdersLocked {
    /// Ends the transaction.
    pub(crate) async fn unlock(self) {
        self.end.send(()).unwrap();
        self.transaction.await.unwrap();
    }
}

async fn hold(db: Db, begin: oneshot::Sender<()>, ended: oneshot::Receiver<()>) {
    let held = db.write_tx(async |_| {
        begin.send(()).unwrap();
        ended.await.unwrap();
        Ok(())
    });
    held.await.unwrap();
}

async fn on_sqlite() -> Vec<TestDb> {
    futures::future::join_all(FILES.map(sqlite)).await
}

/// Five databases of each engine.
async fn on_all_engines() -> Vec<Vec<TestDb>> {
    let mut engines: Vec<Vec<TestDb>> = Vec::new();
    for files in FILES {
        for (engine, database) in databases(files).await.into_iter().enumerate() {
            if engines.len() == engine {
                engines.push(Vec::new());
            }
            engines[engine].push(database);
        }
    }
    engines
}

/// Five databases of MariaDB, where there is one.
pub(crate) async fn on_mariadb() -> Option<Vec<TestDb>> {
    on_all_engines().await.into_iter().nth(1)
}

fn config_of(databases: &[TestDb], keys: &[(&str, &str)]) -> Config {
    let flags: Vec<(&str, String)> = keys.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    let mut config = Config::read(None, &flags).unwrap();
    let Config { goods, coupon, user, order, pay, .. } = &mut config;
    let sections =
        [&mut goods.database, &mut coupon.database, &mut user.database, &mut order.database, &mut pay.database];
    for (section, database) in sections.into_iter().zip(databases) {
        section.url = database.config.url.clone();
    }
    config
}

/// The code an answer was refused with.
pub(crate) fn code<T>(answer: &Answer<T>) -> Option<ShopCode> {
    answer.as_ref().err().map(|error| error.code)
}
