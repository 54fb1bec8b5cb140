//! One pay service on one database, with everything around it stepped by hand.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use shop_common::{
    batch::Limits,
    code::ShopCode,
    config::Secret,
    db::{DatabaseConfig, Db},
    due::{Sweep, Wake},
    error::ShopError,
    id::{Generator, PayId},
    link::Link,
    mq::{SharedBus, memory::MemoryBus},
    outbox::RelayConfig,
    service::Deps,
    shutdown,
    time::{Clock, Millis},
};
use shop_pay::{
    AlipayConfig, BadConfig, Config, Pay, SCHEMA, SandboxConfig, WechatConfig,
    channel::{PaymentChannel, sandbox::Sandbox},
};
use shop_proto::{
    common::v1::do_outcome::Kind,
    order::v1::order_state_service_server::OrderStateServiceServer,
    pay::v1::{
        CallbackPaymentRequest, CallbackPaymentResponse, ClosePaymentsCommand, ClosePaymentsRequest,
        CreatePaymentRequest, Payment, pay_service_client::PayServiceClient,
        payment_state_service_client::PaymentStateServiceClient, refund_service_client::RefundServiceClient,
    },
    user::v1::points_service_server::PointsServiceServer,
};
use shop_testkit::{TestDb, databases, participant};
use tonic::{Status, service::Routes};

use crate::fakes::{DUE, Flaky, Orders, OrdersServer, Points, PointsServer, USER};

pub(crate) const KEY: &str = "a key of the sandbox that has at least 32 bytes";
pub(crate) const OLD_KEY: &str = "the key before it, which has at least 32 bytes";
pub(crate) const MERCHANT: &str = "shop-1";
/// How long a payment may be silent.
pub(crate) const QUERY_AFTER: Duration = Duration::from_secs(300);
const START: Millis = Millis::new(1_700_000_000_000);

pub(crate) struct World {
    pub(crate) test: TestDb,
    pub(crate) clock: Clock,
    pub(crate) bus: Arc<MemoryBus>,
    pub(crate) orders: Arc<Orders>,
    pub(crate) points: Arc<Points>,
    pub(crate) flaky: Arc<Flaky>,
    pub(crate) pay: Pay,
    pub(crate) link: Link,
    ids: Arc<Generator>,
    shutdown: (shutdown::Switch, shutdown::Shutdown),
}

/// A world on each engine.
pub(crate) async fn worlds() -> Vec<World> {
    worlds_with(|_| ()).await
}

/// The same with another configuration of the sandbox.
pub(crate) async fn worlds_with(change: impl Fn(&mut SandboxConfig)) -> Vec<World> {
    let mut all = Vec::new();
    for test in databases(&SCHEMA).await {
        all.push(World::new(test, |config| change(&mut config.sandbox)));
    }
    all
}

fn config(test: &TestDb, change: impl Fn(&mut Config)) -> Config {
    let keys = [("new", KEY), ("old", OLD_KEY)].map(|(kid, key)| (kid.to_owned(), Secret::new(key)));
    let sandbox = SandboxConfig {
        enabled: true,
        merchant_id: MERCHANT.into(),
        kid: "new".into(),
        keys: BTreeMap::from(keys),
        tutorial_mode: false,
        pay_url_prefix: "/sandbox/pay/".into(),
    };
    let database = DatabaseConfig { url: test.config.url.clone(), max_connections: 8 };
    let internal_listen = ([127, 0, 0, 1], 0).into();
    let (batch, relay, query_after_s) = (Limits::default(), RelayConfig::default(), QUERY_AFTER.as_secs());
    let (alipay, wechat) = (AlipayConfig::default(), WechatConfig::default());
    let mut config = Config { database, internal_listen, batch, relay, query_after_s, sandbox, alipay, wechat };
    change(&mut config);
    config
}

impl World {
    pub(crate) fn new(test: TestDb, change: impl Fn(&mut Config)) -> Self {
        let (orders, points) = (Arc::<Orders>::default(), Arc::<Points>::default());
        let (clock, bus) = (Clock::manual(START), MemoryBus::new());
        let (config, ids) = (config(&test, change), Arc::new(Generator::new(1).unwrap()));
        let shutdown = shutdown::channel();
        let inner =
            Sandbox::new(&config.sandbox, test.db.clone(), clock.clone(), config.batch, Wake::default()).unwrap();
        let flaky = Arc::new(Flaky {
            inner,
            answers_to_lose: 0.into(),
            queries: 0.into(),
            refund_calls: 0.into(),
            refuses: false.into(),
            refunds_to_lose: 0.into(),
        });
        let around = (&orders, &points, &flaky);
        let shared: SharedBus = bus.clone();
        let deps = deps(test.db.clone(), shared, clock.clone(), shutdown.1.clone());
        let pay = start(&config, deps, Arc::clone(&ids), around).unwrap();
        let link = link(&pay);
        Self { test, clock, bus, orders, points, flaky, pay, link, ids, shutdown }
    }

    /// Another instance of the service on the same database.
    pub(crate) async fn second_instance(&self) -> Pay {
        self.start_again(|_| (), Arc::clone(&self.ids)).await
    }

    /// The same with another configuration.
    pub(crate) async fn instance_with(&self, change: impl Fn(&mut Config)) -> Pay {
        self.start_again(change, Arc::clone(&self.ids)).await
    }

    /// The same, whose ids are from another generator.
    pub(crate) async fn instance_with_ids(&self, ids: Generator) -> Pay {
        self.start_again(|_| (), Arc::new(ids)).await
    }

    async fn start_again(&self, change: impl Fn(&mut Config), ids: Arc<Generator>) -> Pay {
        let bus: SharedBus = self.bus.clone();
        let deps = deps(self.test.connect_again().await, bus, self.clock.clone(), self.shutdown.1.clone());
        let around = (&self.orders, &self.points, &self.flaky);
        start(&config(&self.test, change), deps, ids, around).unwrap()
    }

    /// Why an instance with this configuration and one more channel does not start.
    pub(crate) fn refused(&self, change: impl Fn(&mut SandboxConfig), more: Arc<dyn PaymentChannel>) -> BadConfig {
        let bus: SharedBus = self.bus.clone();
        let deps = deps(self.test.db.clone(), bus, self.clock.clone(), self.shutdown.1.clone());
        let (nobody, ids) = (Link::local(Routes::default()), Arc::clone(&self.ids));
        let config = config(&self.test, |config| change(&mut config.sandbox));
        Pay::with_channels(&config, deps, ids, nobody.clone(), nobody, vec![more]).err().unwrap()
    }

    /// Why an instance does not start that asks about silent payments after so many seconds.
    pub(crate) fn refused_query_after(&self, query_after_s: u64) -> BadConfig {
        let bus: SharedBus = self.bus.clone();
        let deps = deps(self.test.db.clone(), bus, self.clock.clone(), self.shutdown.1.clone());
        let (nobody, ids) = (Link::local(Routes::default()), Arc::clone(&self.ids));
        let config = Config { query_after_s, ..config(&self.test, |_| ()) };
        Pay::new(&config, deps, ids, nobody.clone(), nobody).err().unwrap()
    }

    /// Until when this world's background tasks run.
    pub(crate) fn until_shutdown(&self) -> shutdown::Shutdown {
        self.shutdown.1.clone()
    }

    pub(crate) fn name(&self) -> &'static str {
        self.test.name
    }

    pub(crate) fn client(&self) -> PayServiceClient<Link> {
        PayServiceClient::new(self.link.clone())
    }

    pub(crate) fn refunds(&self) -> RefundServiceClient<Link> {
        RefundServiceClient::new(self.link.clone())
    }

    pub(crate) fn states(&self) -> PaymentStateServiceClient<Link> {
        PaymentStateServiceClient::new(self.link.clone())
    }

    /// A payment of `order_id` over `channel` that must succeed.
    pub(crate) async fn create(&self, order_id: i64, channel: &str) -> Payment {
        create(&self.link, request(order_id, channel)).await.unwrap()
    }

    pub(crate) async fn callback(&self, request: CallbackPaymentRequest) -> Result<CallbackPaymentResponse, ShopError> {
        callback(&self.link, request).await
    }

    /// The genuine notification that `payment` succeeded, signed now.
    pub(crate) fn success(&self, payment: &Payment) -> CallbackPaymentRequest {
        signed(&payment.channel, &body(payment), self.now_seconds(), "new", KEY)
    }

    pub(crate) fn now_seconds(&self) -> i64 {
        self.clock.now().get() / 1000
    }

    pub(crate) async fn close(&self, order_id: i64) -> Kind {
        let command = ClosePaymentsCommand { context: None, order_id };
        let answer = self.states().close_payments(ClosePaymentsRequest { commands: vec![command] }).await.unwrap();
        answer.into_inner().outcomes[0].kind()
    }

    /// Sweeps what payments owe until nothing is due; the time stands still.
    pub(crate) async fn sweep(&self) -> usize {
        let (sweeps, now) = (self.pay.sweeps(), self.clock.now());
        run(&sweeps[0], now).await + run(&sweeps[1], now).await
    }

    /// Asks the channels about silent payments; the time stands still.
    pub(crate) async fn ask_silent(&self) -> usize {
        run(&self.pay.sweeps()[2], self.clock.now()).await
    }

    /// Lets the sandbox send what is due.
    pub(crate) async fn resend(&self) -> usize {
        run(&self.pay.sweeps()[3], self.clock.now()).await
    }

    /// Moves the time on and sweeps.
    pub(crate) async fn later(&self, duration: Duration) {
        self.clock.advance(duration);
        self.sweep().await;
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        participant::number(&self.test.db, sql).await
    }

    pub(crate) async fn execute(&self, sql: &str) {
        participant::execute(&self.test.db, sql).await;
    }

    pub(crate) async fn owed(&self, payment: &Payment) -> i64 {
        self.number(&format!("SELECT owed AS n FROM trade_pay WHERE pay_id = {}", payment.pay_id)).await
    }

    pub(crate) async fn sandbox_pays(&self, payment: &Payment) {
        self.pay.sandbox().unwrap().pay_like_a_buyer(PayId::new(payment.pay_id)).await.unwrap();
    }

    pub(crate) fn set_orders_away(&self, away: bool) {
        self.orders.away.store(away, Ordering::SeqCst);
    }
}

fn deps(db: Db, bus: SharedBus, clock: Clock, shutdown: shutdown::Shutdown) -> Deps {
    Deps { db, bus, clock, instance: "it".into(), shutdown }
}

fn start(
    config: &Config,
    deps: Deps,
    ids: Arc<Generator>,
    (orders, points, flaky): (&Arc<Orders>, &Arc<Points>, &Arc<Flaky>),
) -> Result<Pay, BadConfig> {
    let orders = Link::local(Routes::new(OrderStateServiceServer::new(OrdersServer(Arc::clone(orders)))));
    let points = Link::local(Routes::new(PointsServiceServer::new(PointsServer(Arc::clone(points)))));
    let flaky: Arc<dyn PaymentChannel> = flaky.clone();
    Pay::with_channels(config, deps, ids, orders, points, vec![flaky])
}

pub(crate) fn link(pay: &Pay) -> Link {
    let mut routes = Routes::builder();
    pay.add_public(&mut routes);
    pay.add_internal(&mut routes);
    Link::local(routes.routes())
}

pub(crate) async fn run(sweep: &Arc<dyn Sweep>, now: Millis) -> usize {
    let mut all = 0;
    loop {
        match sweep.run_once(now).await.unwrap() {
            0 => return all,
            claimed => all += claimed,
        }
    }
}

pub(crate) fn request(order_id: i64, channel: &str) -> CreatePaymentRequest {
    CreatePaymentRequest { order_id, user_id: USER, amount_fen: DUE, channel: channel.into() }
}

pub(crate) async fn create(link: &Link, request: CreatePaymentRequest) -> Result<Payment, ShopError> {
    let answer = PayServiceClient::new(link.clone()).create_payment(request).await;
    answer.map(|answer| answer.into_inner().payment.unwrap()).map_err(|status| ShopError::from_status(&status))
}

pub(crate) async fn callback(
    link: &Link,
    request: CallbackPaymentRequest,
) -> Result<CallbackPaymentResponse, ShopError> {
    let answer = PayServiceClient::new(link.clone()).callback_payment(request).await;
    answer.map(tonic::Response::into_inner).map_err(|status| ShopError::from_status(&status))
}

/// The contract's body, written by hand.
pub(crate) fn body(payment: &Payment) -> String {
    format!(
        r#"{{"notify_id":"n-{0}","pay_id":"{0}","channel_trade_no":"T{0}","merchant_id":"{MERCHANT}","amount_fen":{1},"currency":"CNY","status":"SUCCESS","paid_at_ms":1700000000000}}"#,
        payment.pay_id, payment.amount_fen
    )
}

/// The contract's signature, computed here and not by the code under test.
pub(crate) fn signed(channel: &str, body: &str, seconds: i64, kid: &str, key: &str) -> CallbackPaymentRequest {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(format!("{seconds}.{body}").as_bytes());
    let v1 = hex::encode(mac.finalize().into_bytes());
    let header = format!("t={seconds},kid={kid},v1={v1}");
    CallbackPaymentRequest {
        channel: channel.into(),
        headers: HashMap::from([("x-shop-signature".to_owned(), header), ("cookie".to_owned(), "secret".to_owned())]),
        body: body.as_bytes().to_vec(),
    }
}

pub(crate) fn code<T: std::fmt::Debug>(answer: Result<T, ShopError>) -> ShopCode {
    answer.unwrap_err().code
}

pub(crate) fn code_of<T: std::fmt::Debug>(answer: Result<T, Status>) -> ShopCode {
    ShopError::from_status(&answer.unwrap_err()).code
}
