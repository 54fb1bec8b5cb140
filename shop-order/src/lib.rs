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
mod transitions;
mod tx;
mod view;
mod watch;

pub use config::Config;
pub use saga::participants::Links;

use std::sync::Arc;

use shop_common::{
    consume as common_consume,
    due::Sweep,
    id::Generator,
    lookup::Lookup,
    migrate::{DEAD_LETTERS, MESSAGES, SqlFile},
    outbox::Relay,
    service::{Deps, INTERNAL_MESSAGE_BYTES, PUBLIC_MESSAGE_BYTES},
};
use shop_proto::{
    order::v1::{order_service_server::OrderServiceServer, order_state_service_server::OrderStateServiceServer},
    topic::PAY_SUCCESS,
};
use tokio::sync::Semaphore;
use tonic::service::RoutesBuilder;

use crate::{
    consume::on_payment_succeeded::on_payment_succeeded,
    grpc::{orders::Orders, states::States},
    saga::{confirm_order::Saga, participants::Participants},
    sweep::OrderSweep,
    transitions::Transitions,
};

/// The schema, in order.
pub const SCHEMA: [SqlFile; 4] = [
    MESSAGES,
    SqlFile { version: 2, name: "order", sql: include_str!("../../sql/order/0002_order.sql") },
    SqlFile { version: 3, name: "timeout", sql: include_str!("../../sql/order/0003_timeout.sql") },
    DEAD_LETTERS,
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

    /// Listens to paid payments.
    pub fn listen(&self) {
        let Deps { db, bus, clock, instance, shutdown } = self.deps.clone();
        let (payments, transitions) = (self.links.pay.clone(), self.saga.transitions.clone());
        let Some(group) = PAY_SUCCESS.group_of("order") else { return };
        let handler = common_consume::handler(db, clock, group, move |events| {
            Box::pin(on_payment_succeeded(events, payments.clone(), transitions.clone()))
        });
        common_consume::subscribe(bus, PAY_SUCCESS, "order", &instance, handler, shutdown);
    }

    /// What its sweeper does.
    pub fn sweeps(&self) -> Vec<Arc<dyn Sweep>> {
        let (db, transitions) = (self.deps.db.clone(), self.saga.transitions.clone());
        vec![Arc::new(OrderSweep::new(db, transitions, &self.links, self.saga.config.close_patience()))]
    }

    /// What sends its outbox.
    pub fn relay(&self) -> Relay {
        self.relay.clone()
    }
}
