//! Puts the services of one process together: databases, migrations, links, listeners to the bus, sweepers.

use std::{fs, sync::Arc};

use shop_common::{
    db::{DatabaseConfig, Db, Failure},
    due::{Sweep, sweep_until_stopped},
    id::Generator,
    link::{Link, Local},
    migrate::{SqlFile, migrate},
    mq::SharedBus,
    outbox::Relay,
    service::Deps,
    shutdown::Shutdown,
    time::Clock,
};
use shop_coupon::Coupon;
use shop_goods::Goods;
use shop_order::{Links, Order};
use shop_pay::Pay;
use shop_user::User;
use tonic::service::{Routes, RoutesBuilder};

use crate::{audit::Schemas, config::Config};

/// What the services of a process share.
#[derive(Clone)]
pub struct Shared {
    /// The message bus.
    pub bus: SharedBus,
    /// The time.
    pub clock: Clock,
    /// Makes ids; one per process.
    pub ids: Arc<Generator>,
    /// When to stop.
    pub shutdown: Shutdown,
}

/// All five services in one process, linked without TCP.
#[derive(Clone)]
pub struct Services {
    /// Goods and stock.
    pub goods: Goods,
    /// Coupons.
    pub coupon: Coupon,
    /// Users, balance, points.
    pub user: User,
    /// Orders.
    pub order: Order,
    /// Payments.
    pub pay: Pay,
    /// Their databases.
    pub schemas: Schemas,
    /// How they reach each other, and how whoever else is in the process reaches them.
    pub link: Link,
    shared: Shared,
}

/// Opens a service's database and brings its schema up to date.
pub async fn open(config: &DatabaseConfig, schema: &[SqlFile]) -> Result<Db, Failure> {
    let db = Db::connect(config).await?;
    migrate(&db, schema).await?;
    Ok(db)
}

/// Opens all databases as they stand, for looking at them: nothing is created and no schema is touched.
///
/// # Errors
/// One of them is not there.
pub async fn open_all_to_look(config: &Config) -> Result<Schemas, Failure> {
    Ok(Schemas {
        goods: open_to_look(&config.goods.database).await?,
        coupon: open_to_look(&config.coupon.database).await?,
        user: open_to_look(&config.user.database).await?,
        order: open_to_look(&config.order.database).await?,
        pay: open_to_look(&config.pay.database).await?,
    })
}

/// Opens one database as it stands.
///
/// # Errors
/// It is not there.
pub(crate) async fn open_to_look(config: &DatabaseConfig) -> Result<Db, Failure> {
    // Connecting would create the file, and an empty shop has nothing to complain about.
    if let Some(file) = config.file()?.filter(|file| !file.is_file()) {
        return Err(Failure::Down(format!("there is no file {}", file.display()).into()));
    }
    Db::connect(config).await
}

/// Opens all databases and brings their schemas up to date; makes the directory of their files.
pub async fn open_all(config: &Config) -> Result<Schemas, Failure> {
    fs::create_dir_all(&config.data_dir)
        .map_err(|error| Failure::Down(format!("{}: {error}", config.data_dir.display()).into()))?;
    Ok(Schemas {
        goods: open(&config.goods.database, &shop_goods::SCHEMA).await?,
        coupon: open(&config.coupon.database, &shop_coupon::SCHEMA).await?,
        user: open(&config.user.database, &shop_user::SCHEMA).await?,
        order: open(&config.order.database, &shop_order::SCHEMA).await?,
        pay: open(&config.pay.database, &shop_pay::SCHEMA).await?,
    })
}

impl Services {
    /// Builds the services over `schemas`. `wrap` may put something between them (tests put faults there).
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn build(
        config: &Config,
        schemas: Schemas,
        shared: Shared,
        wrap: impl FnOnce(Routes) -> Routes,
    ) -> Result<Self, shop_pay::BadConfig> {
        let local = Local::default();
        let link = Link::from(local.clone());
        let calls = config.calls.max_in_flight;
        let to = |service| link.clone().bulkhead(service, calls);
        let deps = |db: &Db| Deps {
            db: db.clone(),
            bus: Arc::clone(&shared.bus),
            clock: shared.clock.clone(),
            instance: config.instance.clone(),
            shutdown: shared.shutdown.clone(),
        };
        let links = Links { goods: to("goods"), coupon: to("coupon"), user: to("user"), pay: to("pay") };
        let services = Self {
            goods: Goods::new(&config.goods, deps(&schemas.goods)),
            coupon: Coupon::new(&config.coupon, deps(&schemas.coupon)),
            user: User::new(&config.user, deps(&schemas.user)),
            order: Order::new(config.order.clone(), deps(&schemas.order), Arc::clone(&shared.ids), links),
            pay: Pay::new(&config.pay, deps(&schemas.pay), Arc::clone(&shared.ids), to("order"), to("user"))?,
            schemas,
            link,
            shared,
        };
        let mut routes = Routes::builder();
        services.add_public(&mut routes);
        services.add_internal(&mut routes);
        local.bind(wrap(routes.routes()));
        Ok(services)
    }

    /// Adds what clients may call.
    pub fn add_public(&self, routes: &mut RoutesBuilder) {
        self.goods.add_public(routes);
        self.coupon.add_public(routes);
        self.user.add_public(routes);
        self.order.add_public(routes);
        self.pay.add_public(routes);
    }

    fn add_internal(&self, routes: &mut RoutesBuilder) {
        self.goods.add_internal(routes);
        self.coupon.add_internal(routes);
        self.user.add_internal(routes);
        self.order.add_internal(routes);
        self.pay.add_internal(routes);
    }

    /// Subscribes to the bus.
    pub fn listen(&self) {
        self.goods.listen(self.link.clone());
        self.coupon.listen(self.link.clone());
        self.user.listen(self.link.clone(), self.link.clone());
        self.order.listen();
        self.pay.listen();
    }

    /// Everything the sweepers do.
    pub fn sweeps(&self) -> Vec<Arc<dyn Sweep>> {
        self.order.sweeps().into_iter().chain(self.goods.sweeps(self.link.clone())).chain(self.pay.sweeps()).collect()
    }

    /// What sends the outboxes.
    pub fn relays(&self) -> [Relay; 5] {
        let Self { goods, coupon, user, order, pay, .. } = self;
        [order.relay(), pay.relay(), goods.relay(), coupon.relay(), user.relay()]
    }

    /// Starts relays and sweepers; they end when the process is stopped.
    pub fn start(&self, config: &Config) -> Vec<tokio::task::JoinHandle<()>> {
        let interval = config.sweeper.interval();
        let (clock, shutdown) = (&self.shared.clock, &self.shared.shutdown);
        let relays = self.relays().map(|relay| tokio::spawn(relay.run(interval, clock.clone(), shutdown.clone())));
        let sweeper = sweep_until_stopped(self.sweeps(), interval, self.pay.wake(), clock.clone(), shutdown.clone());
        relays.into_iter().chain([tokio::spawn(sweeper)]).collect()
    }
}
