//! Goods and their stock. The pattern of every service: `grpc` → `tx` → `store` → `entity`, rules in `stock`.

mod config;
mod consume;
mod entity;
mod grpc;
pub mod stock;
mod store;
pub mod tx;

pub use config::Config;

use shop_common::{
    batch::Batcher,
    consume as common_consume,
    hold::{Done, Undone},
    link::Link,
    migrate::{MESSAGES, SqlFile},
    service::{Deps, INTERNAL_MESSAGE_BYTES, PUBLIC_MESSAGE_BYTES},
    transactions,
};
use shop_proto::{
    goods::v1::{goods_service_server::GoodsServiceServer, stock_service_server::StockServiceServer},
    topic::ORDER_CANCEL,
};
use tonic::service::RoutesBuilder;

use crate::{
    consume::on_order_cancelled::on_order_cancelled,
    tx::{ReleaseStock, ReserveStock, release_stock, reserve_stock},
};

/// The schema, in order.
pub const SCHEMA: [SqlFile; 2] =
    [MESSAGES, SqlFile { version: 2, name: "goods", sql: include_str!("../../sql/goods/0002_goods.sql") }];

/// The course's rows.
pub const SEED: &str = include_str!("../../sql/seed/goods.sql");

/// The running service.
#[derive(Clone)]
pub struct Goods {
    deps: Deps,
    reserve: Batcher<ReserveStock, Done>,
    release: Batcher<ReleaseStock, Undone>,
}

impl Goods {
    /// Starts its batchers; nothing is served or heard yet.
    pub fn new(config: &Config, deps: Deps) -> Self {
        let reserve = transactions!(deps, config.batch, reserve_stock);
        let release = transactions!(deps, config.batch, release_stock);
        Self { deps, reserve, release }
    }

    /// Adds what clients may call.
    pub fn add_public(&self, routes: &mut RoutesBuilder) {
        let catalogue = grpc::Catalogue { db: self.deps.db.clone() };
        routes.add_service(GoodsServiceServer::new(catalogue).max_decoding_message_size(PUBLIC_MESSAGE_BYTES));
    }

    /// Adds what only other services may call.
    pub fn add_internal(&self, routes: &mut RoutesBuilder) {
        let stock =
            grpc::Stock { db: self.deps.db.clone(), reserve: self.reserve.clone(), release: self.release.clone() };
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
}
