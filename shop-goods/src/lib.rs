//! Goods and their stock. The pattern of every service: `grpc` → `tx` → `store` → `entity`, rules in `stock`.

mod config;
mod consume;
mod entity;
mod grpc;
pub mod stock;
mod store;
mod sweep;
pub mod tx;
mod work_order;

pub use config::Config;

use std::sync::Arc;

use shop_common::{
    batch::Batcher,
    consume as common_consume,
    due::Sweep,
    hold::{Done, Finished, Undone},
    link::Link,
    lookup::Lookup,
    migrate::{DEAD_LETTERS, DELIVER_AT, MESSAGES, SqlFile},
    outbox::{Relay, RelayConfig},
    service::{Deps, INTERNAL_MESSAGE_BYTES, PUBLIC_MESSAGE_BYTES},
    transactions,
};
use shop_proto::{
    goods::v1::{goods_service_server::GoodsServiceServer, stock_service_server::StockServiceServer},
    order::v1::order_state_service_client::OrderStateServiceClient,
    topic::ORDER_CANCEL,
};
use tonic::service::RoutesBuilder;

use crate::{
    consume::on_order_cancelled::on_order_cancelled,
    sweep::HoldSweep,
    tx::{KeepStock, ReleaseStock, ReserveStock, keep_stock, release_stock, reserve_stock},
};

/// The schema, in order.
pub const SCHEMA: [SqlFile; 5] = [
    MESSAGES,
    SqlFile { version: 2, name: "goods", sql: include_str!("../../sql/goods/0002_goods.sql") },
    SqlFile { version: 3, name: "hold_due", sql: include_str!("../../sql/goods/0003_hold_due.sql") },
    DEAD_LETTERS,
    DELIVER_AT,
];

/// The course's rows.
pub const SEED: &str = include_str!("../../sql/seed/goods.sql");

/// The running service.
#[derive(Clone)]
pub struct Goods {
    deps: Deps,
    relay: Relay,
    catalogue: Lookup<i64, entity::goods::Model>,
    reserve: Batcher<ReserveStock, Done>,
    release: Batcher<ReleaseStock, Undone>,
    keep: Batcher<KeepStock, Finished>,
}

impl Goods {
    /// Starts its batchers; nothing is served or heard yet.
    pub fn new(config: &Config, deps: Deps) -> Self {
        let (limits, hold_timeout) = (config.batch, config.hold_timeout());
        let reserve =
            Batcher::of_transactions(deps.db.clone(), deps.clock.clone(), limits, move |tx, commands, now| {
                Box::pin(reserve_stock(tx, commands, hold_timeout, now))
            });
        let release = transactions!(deps, limits, release_stock);
        let keep = transactions!(deps, limits, keep_stock);
        let relay = Relay::new(deps.db.clone(), Arc::clone(&deps.bus), RelayConfig::SMALL);
        let catalogue = Lookup::new(deps.db.clone(), |db, goods_ids| Box::pin(store::goods(db, goods_ids)));
        Self { deps, relay, catalogue, reserve, release, keep }
    }

    /// Adds what clients may call.
    pub fn add_public(&self, routes: &mut RoutesBuilder) {
        let catalogue = grpc::Catalogue { db: self.deps.db.clone(), goods: self.catalogue.clone() };
        routes.add_service(GoodsServiceServer::new(catalogue).max_decoding_message_size(PUBLIC_MESSAGE_BYTES));
    }

    /// Adds what only other services may call.
    pub fn add_internal(&self, routes: &mut RoutesBuilder) {
        let db = self.deps.db.clone();
        let stock = grpc::Stock { db, reserve: self.reserve.clone(), release: self.release.clone() };
        routes.add_service(StockServiceServer::new(stock).max_decoding_message_size(INTERNAL_MESSAGE_BYTES));
    }

    /// Listens to the cancel topic; `orders` is where the order service is asked.
    pub fn listen(&self, orders: Link) {
        let Deps { db, bus, clock, instance, shutdown } = self.deps.clone();
        let release = self.release.clone();
        let Some(group) = ORDER_CANCEL.group_of("goods") else { return };
        let handler = common_consume::handler(db, clock, group, move |events| {
            Box::pin(on_order_cancelled(events, orders.clone(), release.clone()))
        });
        common_consume::subscribe(bus, ORDER_CANCEL, "goods", &instance, handler, shutdown);
    }

    /// What its sweeper does; `orders` is where the order service is asked.
    pub fn sweeps(&self, orders: Link) -> Vec<Arc<dyn Sweep>> {
        let (db, orders) = (self.deps.db.clone(), OrderStateServiceClient::new(orders));
        vec![Arc::new(HoldSweep { db, orders, keep: self.keep.clone(), release: self.release.clone() })]
    }

    /// What sends its outbox: messages that an operator resends.
    pub fn relay(&self) -> Relay {
        self.relay.clone()
    }
}
