//! Orders: the saga that places them, the status machine, and the sweeper that finishes what was left.

mod config;
mod consume;
mod entity;
mod grpc;
pub mod order;
pub mod pricing;
mod saga;
mod store;
mod sweep;
mod timeout_hint;
mod transitions;
mod tx;
mod view;
mod watch;

pub use config::Config;
pub use saga::participants::Links;

use std::sync::Arc;

use shop_common::{
    code::ShopCode,
    consume as common_consume,
    due::Sweep,
    error::ShopError,
    id::{Generator, OrderId},
    lookup::Lookup,
    migrate::{DEAD_LETTERS, DELIVER_AT, MESSAGES, SqlFile},
    outbox::Relay,
    service::{Deps, INTERNAL_MESSAGE_BYTES, PUBLIC_MESSAGE_BYTES},
    text,
};
use shop_proto::{
    order::v1::{order_service_server::OrderServiceServer, order_state_service_server::OrderStateServiceServer},
    topic::{ORDER_TIMEOUT, PAY_SUCCESS},
};
use tokio::sync::Semaphore;
use tonic::service::RoutesBuilder;

use crate::{
    consume::{
        on_order_timeout::{Timeouts, on_order_timeout},
        on_payment_succeeded::on_payment_succeeded,
    },
    grpc::{orders::Orders, states::States},
    order::{Cancelled, Cause},
    saga::{confirm_order::Saga, participants::Participants},
    sweep::OrderSweep,
    transitions::Transitions,
};

/// The schema, in order.
pub const SCHEMA: [SqlFile; 5] = [
    MESSAGES,
    SqlFile { version: 2, name: "order", sql: include_str!("../../sql/order/0002_order.sql") },
    SqlFile { version: 3, name: "timeout", sql: include_str!("../../sql/order/0003_timeout.sql") },
    DEAD_LETTERS,
    DELIVER_AT,
];

/// The running service.
#[derive(Clone)]
pub struct Order {
    deps: Deps,
    links: Links,
    relay: Relay,
    saga: Saga,
    watches: Arc<Semaphore>,
}

impl Order {
    /// Starts its batchers; nothing is served, heard or swept yet.
    pub fn new(config: Config, deps: Deps, ids: Arc<Generator>, links: Links) -> Self {
        let relay = Relay::new(deps.db.clone(), Arc::clone(&deps.bus), config.relay);
        let watches = Arc::new(Semaphore::new(config.max_watches));
        let saga = Saga {
            db: deps.db.clone(),
            clock: deps.clock.clone(),
            ids,
            known: Lookup::new(deps.db.clone(), |db, keys| Box::pin(store::known(db, keys))),
            transitions: Transitions::new(&deps, config.batch, relay.clone()),
            participants: Participants::new(&links, config.step_timeout()),
            config: Arc::new(config),
        };
        Self { deps, links, relay, saga, watches }
    }

    /// Adds what clients may call.
    pub fn add_public(&self, routes: &mut RoutesBuilder) {
        let Deps { db, shutdown, .. } = self.deps.clone();
        let watches = Arc::clone(&self.watches);
        let orders = Orders { db, shutdown, saga: self.saga.clone(), watches };
        routes.add_service(OrderServiceServer::new(orders).max_decoding_message_size(PUBLIC_MESSAGE_BYTES));
    }

    /// Adds what only other services may call.
    pub fn add_internal(&self, routes: &mut RoutesBuilder) {
        let states = States { db: self.deps.db.clone(), transitions: self.saga.transitions.clone() };
        routes.add_service(OrderStateServiceServer::new(states).max_decoding_message_size(INTERNAL_MESSAGE_BYTES));
    }

    /// Listens to paid payments, and to hints that orders were not paid in time.
    pub fn listen(&self) {
        self.listen_to_payments();
        self.listen_to_timeouts();
    }

    fn listen_to_payments(&self) {
        let Deps { db, bus, clock, instance, shutdown } = self.deps.clone();
        let (payments, transitions) = (self.links.pay.clone(), self.saga.transitions.clone());
        let Some(group) = PAY_SUCCESS.group_of("order") else { return };
        let handler = common_consume::handler(db, clock, group, move |events| {
            Box::pin(on_payment_succeeded(events, payments.clone(), transitions.clone()))
        });
        common_consume::subscribe(bus, PAY_SUCCESS, "order", &instance, handler, shutdown);
    }

    fn listen_to_timeouts(&self) {
        let Deps { db, bus, clock, instance, shutdown } = self.deps.clone();
        let Some(group) = ORDER_TIMEOUT.group_of("order") else { return };
        let timeouts = Arc::new(Timeouts { sweep: self.sweep(), bus: Arc::clone(&bus), clock: clock.clone() });
        let handler = common_consume::handler(db, clock, group, move |events| {
            Box::pin(on_order_timeout(events, Arc::clone(&timeouts)))
        });
        common_consume::subscribe(bus, ORDER_TIMEOUT, "order", &instance, handler, shutdown);
    }

    /// What its sweeper does.
    pub fn sweeps(&self) -> Vec<Arc<dyn Sweep>> {
        vec![Arc::new(self.sweep())]
    }

    fn sweep(&self) -> OrderSweep {
        let (db, transitions) = (self.deps.db.clone(), self.saga.transitions.clone());
        OrderSweep::new(db, transitions, &self.links, self.saga.config.close_patience())
    }

    /// Refunds a paid order because an operator says so: what it took goes back, and the payment it has bound. Nothing
    /// need be served for it; a running shop does what is owed from then on. Whether it was done by this very call.
    ///
    /// # Errors
    /// `SHOP_ORDER_NO_EXIST`; `SHOP_ORDER_NOT_CANCELLABLE` for one that is not paid.
    pub async fn refund(&self, order_id: i64, reason: String) -> Result<bool, ShopError> {
        let (id, reason) = (OrderId::parse(order_id, "order_id")?, text::free(reason, text::TEXT_CHARS, "reason")?);
        if store::orders(self.deps.db.read(), vec![order_id]).await?.is_empty() {
            return Err(ShopError::at(ShopCode::OrderNotFound, "order_id"));
        }
        match self.saga.transitions.cancel(id, Cause::Refund(reason)).await? {
            Cancelled::Now => Ok(true),
            Cancelled::Already => Ok(false),
            Cancelled::NotCancellable(_) => {
                Err(ShopError::at(ShopCode::OrderNotCancellable, "order_id")
                    .because("only a paid order can be refunded"))
            }
        }
    }

    /// What sends its outbox.
    pub fn relay(&self) -> Relay {
        self.relay.clone()
    }
}
