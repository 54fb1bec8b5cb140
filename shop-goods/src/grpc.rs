//! gRPC of the goods service: protocol in, commands out. No SQL and no rules.

use shop_common::{
    batch::Batcher,
    code::ShopCode,
    db::Db,
    error::ShopError,
    hold::{Done, Undone},
    id::{GoodsId, OrderId},
    lookup::Lookup,
    page,
    service::{COMMANDS_PER_CALL, do_all, undo_all},
};
use shop_proto::goods::v1::{
    GetGoodsRequest, Goods, ListGoodsRequest, ListGoodsResponse, QuoteGoodsRequest, QuoteGoodsResponse,
    ReleaseStockRequest, ReleaseStockResponse, ReserveStockCommand, ReserveStockRequest, ReserveStockResponse,
    goods_service_server::GoodsService, stock_service_server::StockService,
};
use tonic::{Request, Response, Status};

use crate::{
    entity::goods::Model,
    stock::Line,
    store,
    tx::{ReleaseStock, ReserveStock},
};

/// The catalogue.
#[derive(Clone, Debug)]
pub(crate) struct Catalogue {
    pub(crate) db: Db,
    pub(crate) goods: Lookup<i64, Model>,
}

#[tonic::async_trait]
impl GoodsService for Catalogue {
    async fn get_goods(&self, request: Request<GetGoodsRequest>) -> Result<Response<Goods>, Status> {
        let goods_id = GoodsId::parse(request.into_inner().goods_id, "goods_id")?;
        let row = self.goods.get(goods_id.get()).await?;
        let row = row.ok_or(ShopError::at(ShopCode::GoodsNotFound, "goods_id"))?;
        Ok(Response::new(row.into()))
    }

    async fn list_goods(&self, request: Request<ListGoodsRequest>) -> Result<Response<ListGoodsResponse>, Status> {
        let request = request.into_inner();
        let page = page::Page::parse(request.page_size, &request.page_token)?;
        let rows = store::page(self.db.read(), page.after.unwrap_or(0), page.limit()).await.map_err(ShopError::from)?;
        let (rows, next_page_token) = page.cut(rows, |row| row.goods_id);
        Ok(Response::new(ListGoodsResponse { goods: rows.into_iter().map(Goods::from).collect(), next_page_token }))
    }
}

/// Stock of orders.
#[derive(Clone, Debug)]
pub(crate) struct Stock {
    pub(crate) db: Db,
    pub(crate) reserve: Batcher<ReserveStock, Done>,
    pub(crate) release: Batcher<ReleaseStock, Undone>,
}

#[tonic::async_trait]
impl StockService for Stock {
    async fn quote_goods(&self, request: Request<QuoteGoodsRequest>) -> Result<Response<QuoteGoodsResponse>, Status> {
        let goods_ids = request.into_inner().goods_ids;
        COMMANDS_PER_CALL.check(goods_ids.len())?;
        let rows = store::goods(self.db.read(), goods_ids).await.map_err(ShopError::from)?;
        Ok(Response::new(QuoteGoodsResponse { goods: rows.into_iter().map(|(_, row)| Goods::from(row)).collect() }))
    }

    async fn reserve_stock(
        &self,
        request: Request<ReserveStockRequest>,
    ) -> Result<Response<ReserveStockResponse>, Status> {
        let commands = request.into_inner().commands;
        let outcomes = do_all(&self.reserve, commands, |command| command.context.as_ref()).await?;
        Ok(Response::new(ReserveStockResponse { outcomes }))
    }

    async fn release_stock(
        &self,
        request: Request<ReleaseStockRequest>,
    ) -> Result<Response<ReleaseStockResponse>, Status> {
        let commands = request.into_inner().commands.into_iter();
        let commands = commands.map(|command| ReleaseStock { order_id: OrderId::new(command.order_id) });
        Ok(Response::new(ReleaseStockResponse { outcomes: undo_all(&self.release, commands).await? }))
    }
}

impl From<ReserveStockCommand> for ReserveStock {
    fn from(command: ReserveStockCommand) -> Self {
        let line = |line: shop_proto::goods::v1::StockLine| Line {
            goods_id: GoodsId::new(line.goods_id),
            quantity: line.quantity,
        };
        Self { order_id: OrderId::new(command.order_id), lines: command.lines.into_iter().map(line).collect() }
    }
}

impl From<Model> for Goods {
    fn from(row: Model) -> Self {
        Self {
            goods_id: row.goods_id,
            goods_name: row.goods_name,
            goods_desc: row.goods_desc,
            price_fen: row.price_fen,
            stock_on_hand: row.stock_on_hand,
            added_ms: row.add_ms,
        }
    }
}
