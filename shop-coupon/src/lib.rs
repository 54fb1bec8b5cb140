//! Coupons: each belongs to a user and is spent on at most one order. Issuing coupons is absent; they come with the
//! schema's owner.

mod config;
mod consume;
pub mod coupon;
mod entity;
mod grpc;
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
    coupon::v1::{coupon_service_server::CouponServiceServer, redemption_service_server::RedemptionServiceServer},
    topic::ORDER_CANCEL,
};
use tonic::service::RoutesBuilder;

use crate::{
    consume::on_order_cancelled::on_order_cancelled,
    tx::{RedeemCoupon, ReinstateCoupon, redeem_coupon, reinstate_coupon},
};

/// The schema, in order.
pub const SCHEMA: [SqlFile; 4] = [
    MESSAGES,
    SqlFile { version: 2, name: "coupon", sql: include_str!("../../sql/coupon/0002_coupon.sql") },
    DEAD_LETTERS,
    DELIVER_AT,
];

/// The course's rows.
pub const SEED: &str = include_str!("../../sql/seed/coupon.sql");

/// The running service.
#[derive(Clone)]
pub struct Coupon {
    deps: Deps,
    relay: Relay,
    wallet: Lookup<i64, entity::coupon::Model>,
    redeem: Batcher<RedeemCoupon, Done>,
    reinstate: Batcher<ReinstateCoupon, Undone>,
}

impl Coupon {
    /// Starts its batchers; nothing is served or heard yet.
    pub fn new(config: &Config, deps: Deps) -> Self {
        let redeem = transactions!(deps, config.batch, redeem_coupon);
        let reinstate = transactions!(deps, config.batch, reinstate_coupon);
        let relay = Relay::new(deps.db.clone(), Arc::clone(&deps.bus), RelayConfig::SMALL);
        let wallet = Lookup::new(deps.db.clone(), |db, coupon_ids| Box::pin(store::coupons_by_id(db, coupon_ids)));
        Self { deps, relay, wallet, redeem, reinstate }
    }

    /// Adds what clients may call.
    pub fn add_public(&self, routes: &mut RoutesBuilder) {
        let wallet = grpc::Wallet { db: self.deps.db.clone(), coupons: self.wallet.clone() };
        routes.add_service(CouponServiceServer::new(wallet).max_decoding_message_size(PUBLIC_MESSAGE_BYTES));
    }

    /// Adds what only other services may call.
    pub fn add_internal(&self, routes: &mut RoutesBuilder) {
        let redemptions = grpc::Redemptions { redeem: self.redeem.clone(), reinstate: self.reinstate.clone() };
        routes.add_service(RedemptionServiceServer::new(redemptions).max_decoding_message_size(INTERNAL_MESSAGE_BYTES));
    }

    /// Listens to the cancel topic; `orders` is where the order service is asked.
    pub fn listen(&self, orders: Link) {
        let Deps { db, bus, clock, instance, shutdown } = self.deps.clone();
        let reinstate = self.reinstate.clone();
        let Some(group) = ORDER_CANCEL.group_of("coupon") else { return };
        let handler = common_consume::handler(db, clock, group, move |events| {
            Box::pin(on_order_cancelled(events, orders.clone(), reinstate.clone()))
        });
        common_consume::subscribe(bus, ORDER_CANCEL, "coupon", &instance, handler, shutdown);
    }

    /// What sends its outbox: messages that an operator resends.
    pub fn relay(&self) -> Relay {
        self.relay.clone()
    }
}
