//! Payments: `grpc` → `tx` → `store` → `entity`, rules in `payment`, providers in `channel`, debts in `sweep`.
//!
//! A callback is one local transaction; everything that follows from it is owed by the payment's row until it is done.

mod begin;
pub mod channel;
mod config;
mod consume;
mod entity;
mod grpc;
pub mod payment;
pub mod reconcile;
mod refunds;
mod settling;
mod store;
mod sweep;
pub mod tx;

pub use config::{AlipayConfig, BadConfig, Config, DEMO_KEY, DEMO_KID, SandboxConfig, WechatConfig};
pub use refunds::Refunds;

use std::sync::Arc;

use shop_common::{
    batch::Batcher,
    consume as common_consume,
    due::{Sweep, Wake},
    error::ShopError,
    hold::Done,
    id::Generator,
    link::Link,
    migrate::{DEAD_LETTERS, DELIVER_AT, MESSAGES, SqlFile},
    outbox::Relay,
    retry::Retries,
    service::{Deps, INTERNAL_MESSAGE_BYTES, PUBLIC_MESSAGE_BYTES},
    transactions,
};
use shop_proto::{
    pay::v1::{
        pay_service_server::PayServiceServer, payment_state_service_server::PaymentStateServiceServer,
        refund_service_server::RefundServiceServer, sandbox_service_server::SandboxServiceServer,
    },
    topic::ORDER_CANCEL,
};
use tonic::service::RoutesBuilder;

use crate::{
    begin::begin_payments,
    channel::{
        Channels, PaymentChannel,
        alipay::Alipay,
        sandbox::{Resend, Sandbox, deliver_over},
        wechat::Wechat,
    },
    consume::on_order_cancelled::on_order_cancelled,
    grpc::rejected::Rejected,
    payment::refund::Started,
    reconcile::Reconciler,
    settling::Settling,
    sweep::{AtChannels, Silence, Sweeper},
    tx::{
        ClosePayments, RefundOrder, answer_refund, clear_owed, close_payments, create_payment, keep_pay_url,
        refund_order, refund_payment, retry_refund, settle_payment, start_refund,
    },
};

/// The schema, in order.
pub const SCHEMA: [SqlFile; 8] = [
    MESSAGES,
    SqlFile { version: 2, name: "pay", sql: include_str!("../../sql/pay/0002_pay.sql") },
    SqlFile { version: 3, name: "sandbox", sql: include_str!("../../sql/pay/0003_sandbox.sql") },
    DEAD_LETTERS,
    SqlFile { version: 5, name: "refund", sql: include_str!("../../sql/pay/0005_refund.sql") },
    DELIVER_AT,
    SqlFile { version: 7, name: "callbacks", sql: include_str!("../../sql/pay/0007_callbacks.sql") },
    SqlFile { version: 8, name: "refund_payment", sql: include_str!("../../sql/pay/0008_refund_payment.sql") },
];

/// The running service.
#[derive(Clone)]
pub struct Pay {
    deps: Deps,
    orders: Link,
    close: Batcher<ClosePayments, Done>,
    refund: Batcher<RefundOrder, Result<Started, ShopError>>,
    public: grpc::pay::Pay,
    refunds: Refunds,
    sweeper: Arc<Sweeper>,
    silence: Arc<Silence>,
    sandbox: Option<Sandbox>,
    wake: Wake,
}

impl Pay {
    /// Starts its batchers; nothing is served, heard or swept yet. `orders` and `points` are where the order and the
    /// points services are asked.
    ///
    /// # Errors
    /// [`BadConfig`].
    pub fn new(
        config: &Config,
        deps: Deps,
        ids: Arc<Generator>,
        orders: Link,
        points: Link,
    ) -> Result<Self, BadConfig> {
        Self::with_channels(config, deps, ids, orders, points, Vec::new())
    }

    /// The same with more channels behind the configured ones.
    ///
    /// # Errors
    /// [`BadConfig`].
    pub fn with_channels(
        config: &Config,
        deps: Deps,
        ids: Arc<Generator>,
        orders: Link,
        points: Link,
        more: Vec<Arc<dyn PaymentChannel>>,
    ) -> Result<Self, BadConfig> {
        let wake = Wake::default();
        let query_after = config.query_after()?;
        let (db, clock, limits) = (&deps.db, &deps.clock, config.batch);
        let sandbox = config
            .sandbox
            .enabled
            .then(|| Sandbox::new(&config.sandbox, db.clone(), clock.clone(), limits, wake.clone()));
        let sandbox = sandbox.transpose()?;
        let mut own: Vec<Arc<dyn PaymentChannel>> = Vec::new();
        own.extend(sandbox.iter().map(|sandbox| -> Arc<dyn PaymentChannel> { Arc::new(sandbox.clone()) }));
        if config.alipay.enabled {
            own.push(Arc::new(Alipay::new(&config.alipay, clock.clone())?));
        }
        if config.wechat.enabled {
            own.push(Arc::new(Wechat::new(&config.wechat, clock.clone())?));
        }
        let channels = Channels::new(own.into_iter().chain(more).collect())?;
        let settling = Settling {
            batcher: transactions!(deps, limits, settle_payment),
            relay: Relay::new(db.clone(), Arc::clone(&deps.bus), config.relay),
        };
        let public = grpc::pay::Pay {
            db: db.clone(),
            clock: clock.clone(),
            ids: Arc::clone(&ids),
            channels: channels.clone(),
            begin: begin_payments(orders.clone(), limits),
            create: transactions!(deps, limits, create_payment),
            query_after,
            keep_pay_url: transactions!(deps, limits, keep_pay_url),
            settling: settling.clone(),
            rejected: Arc::new(Rejected::new(db.clone())),
        };
        let refunds = Refunds {
            db: db.clone(),
            ids: Arc::clone(&ids),
            refund: transactions!(deps, limits, refund_payment),
            retry: transactions!(deps, limits, retry_refund),
            wake: wake.clone(),
        };
        let sweeper = Arc::new(Sweeper {
            db: db.clone(),
            channels,
            ids,
            orders: orders.clone(),
            points,
            order_retries: Retries::new("order"),
            user_retries: Retries::new("user"),
            settling,
            start_refund: transactions!(deps, limits, start_refund),
            answer_refund: transactions!(deps, limits, answer_refund),
            clear: transactions!(deps, limits, clear_owed),
        });
        let silence = Arc::new(Silence::new(Arc::clone(&sweeper), query_after));
        let close = transactions!(deps, limits, close_payments);
        let refund = transactions!(deps, limits, refund_order);
        Ok(Self { deps, orders, close, refund, public, refunds, sweeper, silence, sandbox, wake })
    }

    /// Adds what clients and channels may call.
    pub fn add_public(&self, routes: &mut RoutesBuilder) {
        let service = PayServiceServer::new(self.public.clone());
        routes.add_service(service.max_decoding_message_size(PUBLIC_MESSAGE_BYTES));
    }

    /// Adds what operators may call: to a public listener only where [`Self::add_internal`] would be no risk either.
    pub fn add_operators(&self, routes: &mut RoutesBuilder) {
        let service = RefundServiceServer::new(self.refunds.clone());
        routes.add_service(service.max_decoding_message_size(PUBLIC_MESSAGE_BYTES));
    }

    /// Adds what only other services, the gateway and operators may call.
    pub fn add_internal(&self, routes: &mut RoutesBuilder) {
        self.add_operators(routes);
        let state = grpc::state::State {
            db: self.deps.db.clone(),
            channels: self.public.channels.clone(),
            ids: Arc::clone(&self.public.ids),
            close: self.close.clone(),
            refund: self.refund.clone(),
            sweeper: Arc::clone(&self.sweeper),
            settling: self.public.settling.clone(),
            wake: self.wake.clone(),
        };
        routes.add_service(PaymentStateServiceServer::new(state).max_decoding_message_size(INTERNAL_MESSAGE_BYTES));
        if let Some(sandbox) = self.sandbox() {
            routes.add_service(SandboxServiceServer::new(sandbox).max_decoding_message_size(INTERNAL_MESSAGE_BYTES));
        }
    }

    /// Listens to the cancel topic.
    pub fn listen(&self) {
        let Deps { db, bus, clock, instance, shutdown } = self.deps.clone();
        let (orders, close, wake) = (self.orders.clone(), self.close.clone(), self.wake.clone());
        let Some(group) = ORDER_CANCEL.group_of("pay") else { return };
        let handler = common_consume::handler(db, clock, group, move |events| {
            Box::pin(on_order_cancelled(events, orders.clone(), close.clone(), wake.clone()))
        });
        common_consume::subscribe(bus, ORDER_CANCEL, "pay", &instance, handler, shutdown);
    }

    /// What has to be swept: what payments owe to our own services; what a channel is asked for; payments of which nobody
    /// says anything; and the sandbox's notifications, which go through `CallbackPayment`.
    pub fn sweeps(&self) -> Vec<Arc<dyn Sweep>> {
        let at_channels = Arc::new(AtChannels(Arc::clone(&self.sweeper)));
        let mut sweeps: Vec<Arc<dyn Sweep>> = vec![self.sweeper.clone(), at_channels, self.silence.clone()];
        if let Some(sandbox) = self.sandbox() {
            let mut routes = RoutesBuilder::default();
            self.add_public(&mut routes);
            sweeps.push(Arc::new(Resend::new(sandbox, deliver_over(Link::local(routes.routes())))));
        }
        sweeps
    }

    /// Told when something has become due at once; for `sweep_until_stopped`.
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Holds a channel's statements against our books; nothing need be served for it.
    pub fn reconciler(&self) -> Reconciler {
        Reconciler(Arc::clone(&self.sweeper))
    }

    /// Refunds as an operator asks for them; nothing need be served for it.
    pub fn refunds(&self) -> Refunds {
        self.refunds.clone()
    }

    /// What sends its messages.
    pub fn relay(&self) -> Relay {
        self.public.settling.relay.clone()
    }

    /// The sandbox, where it is configured.
    pub fn sandbox(&self) -> Option<Sandbox> {
        self.sandbox.clone()
    }
}
