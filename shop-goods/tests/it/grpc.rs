//! gRPC of the goods service, over a link as others call it.

use shop_common::{code::ShopCode, error::ShopError, link::Link};
use shop_goods::Goods;
use shop_proto::{
    common::v1::{DoOutcome, UndoOutcome, do_outcome, undo_outcome},
    goods::v1::{
        GetGoodsRequest, ListGoodsRequest, QuoteGoodsRequest, ReleaseStockCommand, ReleaseStockRequest,
        ReserveStockCommand, ReserveStockRequest, StockLine, goods_service_client::GoodsServiceClient,
        stock_service_client::StockServiceClient,
    },
};
use shop_testkit::{TestDb, bus, service::deps};
use tonic::service::RoutesBuilder;

use crate::stock::{STOCK, service};

fn link(test: &TestDb) -> Link {
    let (deps, _running) = deps(test, bus());
    let (goods, mut routes) = (service(test, deps), RoutesBuilder::default());
    goods.add_public(&mut routes);
    goods.add_internal(&mut routes);
    Link::local(routes.routes())
}

/// A client of the stock that `goods` keeps.
pub(crate) fn stock_client(goods: &Goods) -> StockServiceClient<Link> {
    let mut routes = RoutesBuilder::default();
    goods.add_internal(&mut routes);
    StockServiceClient::new(Link::local(routes.routes()))
}

/// Closes these orders, until each is known to be closed.
pub(crate) async fn release(client: &mut StockServiceClient<Link>, orders: &[i64]) {
    use undo_outcome::Kind::{AlreadyUndone, Undone};
    loop {
        let command = |order_id: &i64| ReleaseStockCommand { order_id: *order_id, context: None };
        let request = ReleaseStockRequest { commands: orders.iter().map(command).collect() };
        let outcomes = client.release_stock(request).await.unwrap().into_inner().outcomes;
        if outcomes.iter().all(|outcome| matches!(outcome.kind(), Undone | AlreadyUndone)) {
            return;
        }
    }
}

fn reserve(order_id: i64, goods_id: i64, quantity: i32) -> ReserveStockCommand {
    ReserveStockCommand { order_id, lines: vec![StockLine { goods_id, quantity }], context: None }
}

#[tokio::test]
async fn goods_are_read_one_by_one_and_by_page() {
    for test in STOCK.fresh(0).await {
        let mut client = GoodsServiceClient::new(link(&test));
        let one = client.get_goods(GetGoodsRequest { goods_id: 2 }).await.unwrap().into_inner();
        assert_eq!((one.goods_id, &*one.goods_name, one.price_fen, one.stock_on_hand), (2, "goods 2", 200, 10));
        for (goods_id, code) in [(99, ShopCode::GoodsNotFound), (0, ShopCode::ParameterInvalid)] {
            let status = client.get_goods(GetGoodsRequest { goods_id }).await.unwrap_err();
            let error = ShopError::from_status(&status);
            assert_eq!((error.code, error.field.as_deref()), (code, Some("goods_id")), "{}", test.name);
        }

        let mut page = ListGoodsRequest { page_size: 2, page_token: String::new() };
        let mut seen = Vec::new();
        loop {
            let answer = client.list_goods(page.clone()).await.unwrap().into_inner();
            seen.push(answer.goods.iter().map(|goods| goods.goods_id).collect::<Vec<_>>());
            page.page_token = answer.next_page_token;
            if page.page_token.is_empty() {
                break;
            }
        }
        assert_eq!(seen, [vec![1, 2], vec![3]], "{}", test.name);
    }
}

#[tokio::test]
async fn a_quote_leaves_out_what_does_not_exist() {
    for test in STOCK.fresh(0).await {
        let mut client = StockServiceClient::new(link(&test));
        let quote = client.quote_goods(QuoteGoodsRequest { goods_ids: vec![3, 99, 1, 3] }).await.unwrap().into_inner();
        let mut found: Vec<i64> = quote.goods.iter().map(|goods| goods.goods_id).collect();
        found.sort_unstable();
        assert_eq!(found, [1, 3], "{}", test.name);
    }
}

#[tokio::test]
async fn outcomes_come_in_the_order_of_the_commands() {
    use do_outcome::Kind::{Already, Cancelled, Done, Refused};
    use undo_outcome::Kind::{AlreadyUndone, NeverDone, Undone};
    for test in STOCK.fresh(0).await {
        let mut client = StockServiceClient::new(link(&test));
        let orders = |orders: &[i64]| ReleaseStockRequest {
            commands: orders
                .iter()
                .map(|order_id| ReleaseStockCommand { order_id: *order_id, context: None })
                .collect(),
        };
        let undone = client.release_stock(orders(&[4])).await.unwrap().into_inner().outcomes;
        assert_eq!(undone[0].kind(), NeverDone, "{}", test.name);

        let commands = vec![reserve(1, 1, 2), reserve(2, 1, 9), reserve(1, 1, 2), reserve(4, 1, 1), reserve(3, 1, 8)];
        let taken = client.reserve_stock(ReserveStockRequest { commands }).await.unwrap().into_inner().outcomes;
        let kinds: Vec<_> = taken.iter().map(DoOutcome::kind).collect();
        assert_eq!(kinds, [Done, Refused, Already, Cancelled, Done], "{}", test.name);
        let refusal = taken[1].refusal.clone().unwrap();
        assert_eq!((&*refusal.reason, &*refusal.field), ("SHOP_GOODS_NUM_NOT_ENOUGH", "items[0].quantity"));

        let undone = client.release_stock(orders(&[1, 2, 1])).await.unwrap().into_inner().outcomes;
        let kinds: Vec<_> = undone.iter().map(UndoOutcome::kind).collect();
        assert_eq!(kinds, [Undone, NeverDone, AlreadyUndone], "{}", test.name);
        STOCK.check(&test).await;
    }
}

#[tokio::test]
async fn a_call_of_too_many_commands_is_refused_as_a_whole() {
    for test in STOCK.fresh(0).await {
        let mut client = StockServiceClient::new(link(&test));
        let before = shop_testkit::dump(&test.db).await;
        let commands = (1..=1001).map(|order| reserve(order, 1, 1)).collect();
        let status = client.reserve_stock(ReserveStockRequest { commands }).await.unwrap_err();
        assert_eq!(ShopError::from_status(&status).code, ShopCode::ParameterInvalid, "{}", test.name);
        let commands = (1..=1001).map(|order_id| ReleaseStockCommand { order_id, context: None }).collect();
        let status = client.release_stock(ReleaseStockRequest { commands }).await.unwrap_err();
        assert_eq!(ShopError::from_status(&status).code, ShopCode::ParameterInvalid, "{}", test.name);
        assert_eq!(shop_testkit::dump(&test.db).await, before, "{}", test.name);
    }
}
