//! Users, their balance and their points. Logging in is absent, and so is topping a balance up.

pub mod balance;
mod config;
mod consume;
mod entity;
mod grpc;
pub mod points;
mod store;
pub mod tx;

pub use config::Config;

use std::sync::Arc;

use shop_common::{
    batch::Batcher,
    consume as common_consume,
    hold::{Done, Undone},
    link::Link,
    lookup::Lookup,
    migrate::{DEAD_LETTERS, DELIVER_AT, MESSAGES, SqlFile},
    outbox::{Relay, RelayConfig},
    service::{Deps, INTERNAL_MESSAGE_BYTES, PUBLIC_MESSAGE_BYTES},
    transactions,
};
use shop_proto::{
    topic::{ORDER_CANCEL, PAY_SUCCESS},
    user::v1::{
        balance_service_server::BalanceServiceServer, points_service_server::PointsServiceServer,
        user_service_server::UserServiceServer,
    },
};
use tonic::service::RoutesBuilder;

use crate::{
    consume::{on_order_cancelled::on_order_cancelled, on_payment_succeeded::on_payment_succeeded},
    tx::{
        AwardPoints, DebitBalance, RefundBalance, ReversePoints, award_points, debit_balance, refund_balance,
        reverse_points,
    },
};

/// The schema, in order.
pub const SCHEMA: [SqlFile; 4] = [
    MESSAGES,
    SqlFile { version: 2, name: "user", sql: include_str!("../../sql/user/0002_user.sql") },
    DEAD_LETTERS,
    DELIVER_AT,
];

/// The course's rows.
pub const SEED: &str = include_str!("../../sql/seed/user.sql");

/// The running service.
#[derive(Clone)]
pub struct User {
    deps: Deps,
    relay: Relay,
    users: Lookup<i64, entity::user::Model>,
    debit: Batcher<DebitBalance, Done>,
    refund: Batcher<RefundBalance, Undone>,
    award: Batcher<AwardPoints, Done>,
    reverse: Batcher<ReversePoints, Undone>,
}

impl User {
    /// Starts its batchers; nothing is served or heard yet.
    pub fn new(config: &Config, deps: Deps) -> Self {
        let debit = transactions!(deps, config.batch, debit_balance);
        let refund = transactions!(deps, config.batch, refund_balance);
        let award = transactions!(deps, config.batch, award_points);
        let reverse = transactions!(deps, config.batch, reverse_points);
        let relay = Relay::new(deps.db.clone(), Arc::clone(&deps.bus), RelayConfig::SMALL);
        let users = Lookup::new(deps.db.clone(), |db, user_ids| Box::pin(store::users(db, user_ids)));
        Self { deps, relay, users, debit, refund, award, reverse }
    }

    /// Adds what clients may call.
    pub fn add_public(&self, routes: &mut RoutesBuilder) {
        let users = grpc::Users { users: self.users.clone() };
        routes.add_service(UserServiceServer::new(users).max_decoding_message_size(PUBLIC_MESSAGE_BYTES));
    }

    /// Adds what only other services may call.
    pub fn add_internal(&self, routes: &mut RoutesBuilder) {
        let db = self.deps.db.clone();
        let balance = grpc::Balance { db, debit: self.debit.clone(), refund: self.refund.clone() };
        let points = grpc::Points { award: self.award.clone(), reverse: self.reverse.clone() };
        routes
            .add_service(BalanceServiceServer::new(balance).max_decoding_message_size(INTERNAL_MESSAGE_BYTES))
            .add_service(PointsServiceServer::new(points).max_decoding_message_size(INTERNAL_MESSAGE_BYTES));
    }

    /// Listens to the cancel and the paid topic; `orders` and `payments` are where their services are asked.
    pub fn listen(&self, orders: Link, payments: Link) {
        self.listen_to_cancels(orders);
        self.listen_to_payments(payments);
    }

    fn listen_to_cancels(&self, orders: Link) {
        let Deps { db, bus, clock, instance, shutdown } = self.deps.clone();
        let refund = self.refund.clone();
        let Some(group) = ORDER_CANCEL.group_of("user") else { return };
        let handler = common_consume::handler(db, clock, group, move |events| {
            Box::pin(on_order_cancelled(events, orders.clone(), refund.clone()))
        });
        common_consume::subscribe(bus, ORDER_CANCEL, "user", &instance, handler, shutdown);
    }

    fn listen_to_payments(&self, payments: Link) {
        let Deps { db, bus, clock, instance, shutdown } = self.deps.clone();
        let award = self.award.clone();
        let Some(group) = PAY_SUCCESS.group_of("user") else { return };
        let handler = common_consume::handler(db, clock, group, move |events| {
            Box::pin(on_payment_succeeded(events, payments.clone(), award.clone()))
        });
        common_consume::subscribe(bus, PAY_SUCCESS, "user", &instance, handler, shutdown);
    }

    /// What sends its outbox: messages that an operator resends.
    pub fn relay(&self) -> Relay {
        self.relay.clone()
    }
}
