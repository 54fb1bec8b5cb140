//! What stands in the databases, and how the shop is asked.

use std::time::Duration;

use shop_common::{code::ShopCode, db::Db, error::ShopError, link::call};
use shop_proto::order::v1::{
    CancelOrderRequest, ConfirmItem, ConfirmOrderRequest, GetOrderRequest, Order, OrderStatus,
    order_service_client::OrderServiceClient,
};
use shop_testkit::{
    eventually,
    participant::{execute, number},
};
use tokio::task::{JoinError, JoinHandle};
use tonic::Response;

use super::{Answer, PATIENCE, World};

/// Longest time a client waits; the longest the services allow.
const DEADLINE: Duration = Duration::from_secs(60);

/// 50.00 each, ten of them.
pub(crate) const GOODS: i64 = 1;
pub(crate) const PRICE: i64 = 5_000;
pub(crate) const STOCK: i64 = 10;
/// With 100.00 on the balance and 100 points.
pub(crate) const USER: i64 = 11;
pub(crate) const BALANCE: i64 = 10_000;
pub(crate) const SCORE: i64 = 100;
/// 20.00, of [`USER`].
pub(crate) const COUPON: i64 = 21;
pub(crate) const DISCOUNT: i64 = 2_000;
/// What [`order`] takes, and what is due then: two desks and shipping less coupon and balance.
pub(crate) const QUANTITY: i32 = 2;
pub(crate) const BALANCE_USED: i64 = 3_000;
pub(crate) const DUE: i64 = 6_000;

/// What the shop has and what its customers have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) stock: i64,
    pub(crate) balance: i64,
    pub(crate) score: i64,
    /// The order that has spent the coupon.
    pub(crate) spent_by: Option<i64>,
}

/// Before anything was ordered.
pub(crate) const UNTOUCHED: Look = Look { stock: STOCK, balance: BALANCE, score: SCORE, spent_by: None };

/// As [`order`] left it, under this number.
pub(crate) fn taken_by(order_id: i64) -> Look {
    Look { stock: STOCK - i64::from(QUANTITY), balance: BALANCE - BALANCE_USED, score: SCORE, spent_by: Some(order_id) }
}

/// An order of [`USER`] with coupon and balance.
pub(crate) fn order(request_id: &str) -> ConfirmOrderRequest {
    let item = ConfirmItem { goods_id: GOODS, quantity: QUANTITY, expected_price_fen: Some(PRICE) };
    ConfirmOrderRequest {
        coupon_id: Some(COUPON),
        balance_used_fen: BALANCE_USED,
        ..plain(request_id, USER, vec![item])
    }
}

/// An order of these lines and nothing else.
pub(crate) fn plain(request_id: &str, user_id: i64, items: Vec<ConfirmItem>) -> ConfirmOrderRequest {
    ConfirmOrderRequest { request_id: request_id.to_owned(), user_id, items, ..ConfirmOrderRequest::default() }
}

/// One line.
pub(crate) fn line(goods_id: i64, quantity: i32) -> ConfirmItem {
    ConfirmItem { goods_id, quantity, expected_price_fen: None }
}

impl World {
    /// [`GOODS`], [`USER`] and [`COUPON`].
    pub(crate) async fn stocked(self) -> Self {
        self.add_goods(GOODS, STOCK, PRICE).await;
        self.add_user(USER, BALANCE).await;
        self.add_coupon(COUPON, USER, DISCOUNT).await;
        self
    }

    pub(crate) async fn add_goods(&self, goods_id: i64, stock: i64, price: i64) {
        let goods = format!(
            "INSERT INTO trade_goods (goods_id, goods_name, goods_number, goods_price_fen, add_ms)
             VALUES ({goods_id}, 'desk', {stock}, {price}, 0)"
        );
        let opening = format!("INSERT INTO trade_goods_number_log VALUES (0, {goods_id}, 0, {stock}, 0)");
        execute(&self.schemas.goods, &goods).await;
        execute(&self.schemas.goods, &opening).await;
    }

    pub(crate) async fn add_user(&self, user_id: i64, balance: i64) {
        self.add_users(&[user_id], balance).await;
    }

    /// Many at once, each with this balance.
    pub(crate) async fn add_users(&self, user_ids: &[i64], balance: i64) {
        let rows = |row: &dyn Fn(&i64) -> String| user_ids.iter().map(row).collect::<Vec<_>>().join(", ");
        let users = rows(&|user| format!("({user}, 'zs', {SCORE}, 0, {balance})"));
        let users = format!(
            "INSERT INTO trade_user (user_id, user_name, user_score, user_reg_ms, user_money_fen) VALUES {users}"
        );
        execute(&self.schemas.user, &users).await;
        let money = rows(&|user| format!("(0, {user}, 0, {balance}, 0)"));
        execute(&self.schemas.user, &format!("INSERT INTO trade_user_money_log VALUES {money}")).await;
        let score = rows(&|user| format!("(0, {user}, 0, {SCORE}, 0)"));
        execute(&self.schemas.user, &format!("INSERT INTO trade_user_score_log VALUES {score}")).await;
    }

    pub(crate) async fn add_coupon(&self, coupon_id: i64, user_id: i64, discount: i64) {
        let coupon = format!(
            "INSERT INTO trade_coupon (coupon_id, coupon_price_fen, user_id) VALUES ({coupon_id}, {discount}, {user_id})"
        );
        execute(&self.schemas.coupon, &coupon).await;
    }

    /// [`GOODS`], [`USER`] and [`COUPON`] as they are now.
    pub(crate) async fn look(&self) -> Look {
        self.look_at(GOODS, USER, COUPON).await
    }

    pub(crate) async fn look_at(&self, goods_id: i64, user_id: i64, coupon_id: i64) -> Look {
        let of_user = |column: &str| format!("SELECT {column} AS n FROM trade_user WHERE user_id = {user_id}");
        let coupon = format!("SELECT COALESCE(order_id, 0) AS n FROM trade_coupon WHERE coupon_id = {coupon_id}");
        Look {
            stock: self.stock(goods_id).await,
            balance: number(&self.schemas.user, &of_user("user_money_fen")).await,
            score: number(&self.schemas.user, &of_user("user_score")).await,
            spent_by: Some(number(&self.schemas.coupon, &coupon).await).filter(|order_id| *order_id != 0),
        }
    }

    pub(crate) async fn stock(&self, goods_id: i64) -> i64 {
        let stock = format!("SELECT goods_number AS n FROM trade_goods WHERE goods_id = {goods_id}");
        number(&self.schemas.goods, &stock).await
    }

    /// How many orders there are, of all users and in all states.
    pub(crate) async fn orders(&self) -> i64 {
        number(&self.schemas.order, "SELECT COUNT(*) AS n FROM trade_order").await
    }

    /// The number of the order under this key, as soon as there is one.
    pub(crate) async fn order_under(&self, request_id: &str) -> i64 {
        let count = format!("SELECT COUNT(*) AS n FROM trade_order WHERE request_id = '{request_id}'");
        eventually("the order is there", PATIENCE, async || self.number_of_orders(&count).await > 0).await;
        self.number_of_orders(&format!("SELECT order_id AS n FROM trade_order WHERE request_id = '{request_id}'")).await
    }

    async fn number_of_orders(&self, sql: &str) -> i64 {
        number(&self.schemas.order, sql).await
    }

    /// Places an order.
    pub(crate) async fn confirm(&self, request: ConfirmOrderRequest) -> Answer<Order> {
        answered(self.confirming(request, DEADLINE).await)
    }

    /// The same with little patience.
    pub(crate) async fn confirm_within(&self, request: ConfirmOrderRequest, deadline: Duration) -> Answer<Order> {
        answered(self.confirming(request, deadline).await)
    }

    /// A client that places an order by itself; dropped at any moment by `abort`.
    pub(crate) fn confirming(
        &self,
        request: ConfirmOrderRequest,
        deadline: Duration,
    ) -> JoinHandle<Result<Order, tonic::Status>> {
        let mut client = OrderServiceClient::new(self.process().link());
        self.process().run(async move {
            let answer = client.confirm_order(call(request, deadline)).await?;
            Ok(answer.into_inner().order.unwrap())
        })
    }

    /// A client that places an order by itself, with all the patience there is.
    pub(crate) fn places(&self, request: ConfirmOrderRequest) -> JoinHandle<Result<Order, tonic::Status>> {
        self.confirming(request, DEADLINE)
    }

    /// The buyer cancels.
    pub(crate) async fn cancel(&self, order_id: i64, user_id: i64) -> Answer<Order> {
        let mut client = OrderServiceClient::new(self.process().link());
        let request = CancelOrderRequest { order_id, user_id, reason: "changed my mind".to_owned() };
        answered(self.process().run(async move { client.cancel_order(request).await.map(Response::into_inner) }).await)
    }

    /// The order as its owner sees it.
    pub(crate) async fn order(&self, order_id: i64, user_id: i64) -> Answer<Order> {
        let mut client = OrderServiceClient::new(self.process().link());
        let request = GetOrderRequest { order_id, user_id };
        answered(self.process().run(async move { client.get_order(request).await.map(Response::into_inner) }).await)
    }

    /// The state of an order, without asking the shop.
    pub(crate) async fn status(&self, order_id: i64) -> OrderStatus {
        let sql = format!("SELECT order_status AS n FROM trade_order WHERE order_id = {order_id}");
        OrderStatus::try_from(i32::try_from(self.number_of_orders(&sql).await).unwrap()).unwrap()
    }
}

/// What a client makes of an answer, or of none because the process died.
pub(crate) fn answered<T>(answer: Result<Result<T, tonic::Status>, JoinError>) -> Answer<T> {
    match answer {
        Ok(answer) => answer.map_err(|status| ShopError::from_status(&status)),
        Err(gone) if gone.is_cancelled() => Err(ShopCode::Unknown.into()),
        Err(panicked) => panic!("{panicked}"),
    }
}

/// Forbids a change of the orders: `BEFORE INSERT`, or `BEFORE UPDATE` of the rows that `condition` names. SQLite only.
pub(crate) async fn forbid(orders: &Db, event: &str, condition: &str) {
    let trigger = format!(
        "CREATE TRIGGER forbidden BEFORE {event} ON trade_order WHEN {condition}
         BEGIN SELECT RAISE(ABORT, 'forbidden by the test'); END"
    );
    execute(orders, &trigger).await;
}

/// Takes that back.
pub(crate) async fn allow(orders: &Db) {
    execute(orders, "DROP TRIGGER forbidden").await;
}
