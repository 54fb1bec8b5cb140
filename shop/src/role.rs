//! One role in a process of its own, for more than one machine: its services on two listeners, the others over TCP.

use std::{fs, net::SocketAddr, sync::Arc};

use metrics_exporter_prometheus::PrometheusHandle;
use shop_common::{
    db::Db,
    due::{Sweep, Wake, sweep_until_stopped},
    id::Generator,
    link::Link,
    mq::SharedBus,
    outbox::Relay,
    service::Deps,
    shutdown::{self, Shutdown},
    time::Clock,
    worker::Claim,
};
use shop_coupon::Coupon;
use shop_goods::Goods;
use shop_order::{Links, Order};
use shop_pay::Pay;
use shop_user::User;
use tonic::service::{Routes, RoutesBuilder};

use crate::{
    assemble::open,
    config::{Config, InternalConfig},
    exposure, gateway,
    process::{Process, StartError, Stopping, at, connect_bus, serve, serve_public},
    running::OPERATORS_SERVICE,
};

/// What a process of its own may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Goods and stock.
    Goods,
    /// Coupons.
    Coupon,
    /// Users, balance, points.
    User,
    /// Orders.
    Order,
    /// Payments.
    Pay,
}

/// A running role.
pub struct Running {
    /// Where its public services listen.
    pub public: SocketAddr,
    /// Where its internal services listen.
    pub internal: SocketAddr,
    /// Where its health, readiness and metrics are, if anywhere.
    pub operations: Option<SocketAddr>,
    process: Process,
    db: Db,
}

/// What a role brings.
struct Part {
    public: RoutesBuilder,
    named: Vec<&'static str>,
    internal: RoutesBuilder,
    sweeps: Vec<Arc<dyn Sweep>>,
    relay: Option<Relay>,
    wake: Wake,
}

impl Role {
    /// Starts the role; returns when it can be called. `metrics` are shown on `ops.listen`.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(self, config: &Config, metrics: Option<PrometheusHandle>) -> Result<Running, StartError> {
        if config.mq.name_server.is_empty() {
            return Err(StartError::NoNameServer);
        }
        let internal = self.internal_listen(config);
        exposure::check(config, &[config.grpc.listen])?;
        exposure::check_internal(config, internal)?;
        fs::create_dir_all(&config.data_dir).map_err(|error| at(&config.data_dir.display().to_string(), error))?;
        let db = self.open(config).await?;
        let ids = Arc::new(Generator::new(config.id.worker)?);
        let claims = if self.makes_ids() { vec![Claim::take(&db, &ids).await?] } else { Vec::new() };
        let (broker, bus) = connect_bus(config).await?;
        let (switch, shutdown) = shutdown::channel();
        let part = self.part(config, deps(config, &db, &bus, &shutdown), ids)?;
        let public = serve_public(config, part.public, part.named, shutdown.clone()).await?;
        let (internal, serving_internal) =
            serve(internal, part.internal, config.grpc.limits(), shutdown.clone()).await?;
        let mut tasks = vec![public.serving, serving_internal];
        let operations = match config.ops.listen {
            Some(listen) => Some(gateway::serve_operations(config, listen, metrics, shutdown.clone()).await?),
            None => None,
        };
        let operations = operations.map(|(address, serving)| {
            tasks.push(serving);
            address
        });
        let (interval, clock) = (config.sweeper.interval(), Clock::system());
        let relays: Vec<Relay> = part.relay.into_iter().collect();
        let run = |relay: &Relay| tokio::spawn(relay.clone().run(interval, clock.clone(), shutdown.clone()));
        tasks.extend(relays.iter().map(run));
        tasks.push(tokio::spawn(sweep_until_stopped(part.sweeps, interval, part.wake, clock, shutdown)));
        let stopping = Stopping { switch, health: public.health, config: config.shutdown };
        let process = Process { bus, broker, stopping, tasks, relays, claims };
        Ok(Running { public: public.address, internal, operations, process, db })
    }

    /// Whether its rows have ids of its own making.
    const fn makes_ids(self) -> bool {
        matches!(self, Self::Order | Self::Pay)
    }

    const fn public_service(self) -> &'static str {
        match self {
            Self::Goods => "shop.goods.v1.GoodsService",
            Self::Coupon => "shop.coupon.v1.CouponService",
            Self::User => "shop.user.v1.UserService",
            Self::Order => "shop.order.v1.OrderService",
            Self::Pay => "shop.pay.v1.PayService",
        }
    }

    const fn internal_listen(self, config: &Config) -> SocketAddr {
        match self {
            Self::Goods => config.goods.internal_listen,
            Self::Coupon => config.coupon.internal_listen,
            Self::User => config.user.internal_listen,
            Self::Order => config.order.internal_listen,
            Self::Pay => config.pay.internal_listen,
        }
    }

    async fn open(self, config: &Config) -> Result<Db, StartError> {
        let opened = match self {
            Self::Goods => open(&config.goods.database, &shop_goods::SCHEMA).await,
            Self::Coupon => open(&config.coupon.database, &shop_coupon::SCHEMA).await,
            Self::User => open(&config.user.database, &shop_user::SCHEMA).await,
            Self::Order => open(&config.order.database, &shop_order::SCHEMA).await,
            Self::Pay => open(&config.pay.database, &shop_pay::SCHEMA).await,
        };
        Ok(opened?)
    }

    /// Builds the service, subscribes it, and says what it brings.
    fn part(self, config: &Config, deps: Deps, ids: Arc<Generator>) -> Result<Part, StartError> {
        let others = Others::find(&config.internal)?.limited(config.calls.max_in_flight);
        let mut part = Part {
            public: Routes::builder(),
            named: vec![self.public_service()],
            internal: Routes::builder(),
            sweeps: Vec::new(),
            relay: None,
            wake: Wake::default(),
        };
        // The other services read public and internal ones alike, so the internal listener serves both.
        macro_rules! add {
            ($service:ident) => {
                $service.add_public(&mut part.public);
                $service.add_public(&mut part.internal);
                $service.add_internal(&mut part.internal);
            };
        }
        match self {
            Self::Goods => {
                let goods = Goods::new(&config.goods, deps);
                add!(goods);
                goods.listen(others.order.clone());
                (part.sweeps, part.relay) = (goods.sweeps(others.order), Some(goods.relay()));
            }
            Self::Coupon => {
                let coupon = Coupon::new(&config.coupon, deps);
                add!(coupon);
                coupon.listen(others.order);
                part.relay = Some(coupon.relay());
            }
            Self::User => {
                let user = User::new(&config.user, deps);
                add!(user);
                user.listen(others.order, others.pay);
                part.relay = Some(user.relay());
            }
            Self::Order => {
                let links = Links { goods: others.goods, coupon: others.coupon, user: others.user, pay: others.pay };
                let order = Order::new(config.order.clone(), deps, ids, links);
                add!(order);
                order.listen();
                (part.sweeps, part.relay) = (order.sweeps(), Some(order.relay()));
            }
            Self::Pay => {
                let pay = Pay::new(&config.pay, deps, ids, others.order, others.user)?;
                add!(pay);
                if exposure::serves_operators(config, &[config.grpc.listen]) {
                    pay.add_operators(&mut part.public);
                    part.named.push(OPERATORS_SERVICE);
                }
                pay.listen();
                (part.sweeps, part.relay, part.wake) = (pay.sweeps(), Some(pay.relay()), pay.wake());
            }
        }
        Ok(part)
    }
}

impl Running {
    /// Stops it: no new work, running work finishes.
    pub async fn stop(self) {
        self.process.stop().await;
        self.db.close().await;
    }
}

/// A gateway of its own. The buyer's page reaches the sandbox in the pay role.
pub struct Web {
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    stopping: Stopping,
    serving: tokio::task::JoinHandle<()>,
}

impl Web {
    /// Starts it.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: &Config, metrics: Option<PrometheusHandle>) -> Result<Self, StartError> {
        exposure::check(config, &config.web.listen)?;
        let others = Others::find(&config.internal)?;
        let links = shop_web::Links {
            orders: others.order.clone(),
            order_state: others.order,
            payments: others.pay.clone(),
            payment_state: others.pay.clone(),
            refunds: exposure::serves_operators(config, &config.web.listen).then_some(others.pay),
            goods: others.goods,
            coupons: others.coupon,
            users: others.user,
        };
        let buyer = gateway::buyer(config, &links.payments);
        let (switch, shutdown) = shutdown::channel();
        let (addresses, serving) = gateway::serve(config, links, buyer, metrics, shutdown).await?;
        let stopping = Stopping { switch, health: None, config: config.shutdown };
        Ok(Self { addresses, stopping, serving })
    }

    /// Stops it: running requests finish.
    pub async fn stop(self) {
        self.stopping.stop().await;
        self.stopping.finish(vec![self.serving]).await;
    }
}

/// Where the other services are.
struct Others {
    order: Link,
    goods: Link,
    coupon: Link,
    user: Link,
    pay: Link,
}

impl Others {
    fn find(config: &InternalConfig) -> Result<Self, StartError> {
        let link = |address: &str, key| Link::remote(address).map_err(|_| StartError::Address(key));
        Ok(Self {
            order: link(&config.order, "order")?,
            goods: link(&config.goods, "goods")?,
            coupon: link(&config.coupon, "coupon")?,
            user: link(&config.user, "user")?,
            pay: link(&config.pay, "pay")?,
        })
    }

    fn limited(self, calls: usize) -> Self {
        Self {
            order: self.order.bulkhead("order", calls),
            goods: self.goods.bulkhead("goods", calls),
            coupon: self.coupon.bulkhead("coupon", calls),
            user: self.user.bulkhead("user", calls),
            pay: self.pay.bulkhead("pay", calls),
        }
    }
}

fn deps(config: &Config, db: &Db, bus: &SharedBus, shutdown: &Shutdown) -> Deps {
    Deps {
        db: db.clone(),
        bus: Arc::clone(bus),
        clock: Clock::system(),
        instance: config.instance.clone(),
        shutdown: shutdown.clone(),
    }
}
