//! Orders: place, read, list, cancel.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use shop_common::{
    code::ShopCode,
    id::{CouponId, GoodsId, UserId},
    money::Fen,
};
use shop_proto::order::v1 as proto;
use utoipa::ToSchema;

use super::order::Order;
use crate::{
    app::App,
    body::JsonText,
    json::{self, Json, Object},
    params::{Key, PageParams, Params, PathId, User},
    problem::{Problem, ProblemBody},
};

/// A page of orders, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderPage {
    orders: Vec<Order>,
    /// Empty on the last page.
    next_page_token: String,
}

/// An order to be placed.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewOrder {
    /// 1 to 50 lines, each goods once.
    #[schema(value_type = Vec<NewItem>)]
    items: Vec<Object<NewItem>>,
    /// A coupon of the buyer.
    #[schema(value_type = Option<String>, example = "345988230098857984")]
    coupon_id: Option<CouponId>,
    /// What to take from the balance; nothing if absent.
    #[schema(value_type = Option<String>, example = "100.00")]
    balance_used: Option<Fen>,
    /// Shipping the buyer was shown.
    #[schema(value_type = Option<String>, example = "0.00")]
    expected_shipping: Option<Fen>,
    /// Total the buyer was shown.
    #[schema(value_type = Option<String>, example = "1000.00")]
    expected_total: Option<Fen>,
    /// Where to, at most 255 characters.
    #[serde(default)]
    address: String,
    /// To whom, at most 255 characters.
    #[serde(default)]
    consignee: String,
    /// Whom to call, at most 255 characters.
    #[serde(default)]
    phone: String,
}

/// One line of an order to be placed.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewItem {
    #[schema(value_type = String, example = "345959443973935104")]
    goods_id: GoodsId,
    /// 1 to 9999.
    #[schema(example = 1)]
    quantity: i32,
    /// Price of one the buyer was shown.
    #[schema(value_type = Option<String>, example = "1000.00")]
    expected_price: Option<Fen>,
}

/// Why an order is cancelled or refunded.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Cancellation {
    /// At most 255 characters.
    #[serde(default)]
    reason: String,
}

/// Places an order. The same key and content again: the same order.
#[utoipa::path(
    post, path = "/api/v1/orders", tag = "orders", request_body = NewOrder,
    params(
        ("x-user-id" = String, Header, description = "The acting user"),
        ("Idempotency-Key" = String, Header, description = "1 to 64 visible ASCII characters"),
    ),
    responses(
        (status = 201, description = "Confirmed", body = Order, headers(("Location" = String))),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Not known", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn place_order(
    State(app): State<App>,
    User(user): User,
    Key(key): Key,
    Json(order): Json<NewOrder>,
) -> Result<Response, Problem> {
    let response = app.orders().confirm_order(app.call(order.into_request(user, key))).await?.into_inner();
    let order = Order::from(response.order.ok_or(ShopCode::Internal)?);
    let location = format!("/api/v1/orders/{}", order.order_id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(order)).into_response())
}

/// The orders of the acting user, newest first.
#[utoipa::path(
    get, path = "/api/v1/orders", tag = "orders",
    params(PageParams, ("x-user-id" = String, Header, description = "The acting user")),
    responses(
        (status = 200, description = "A page", body = OrderPage),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list_orders(
    State(app): State<App>,
    User(user): User,
    Params(PageParams { page_size, page_token }): Params<PageParams>,
) -> Result<axum::Json<OrderPage>, Problem> {
    let request = proto::ListOrdersRequest { user_id: user.get(), page_size, page_token };
    let page = app.orders().list_orders(app.call(request)).await?.into_inner();
    let orders = page.orders.into_iter().map(Order::from).collect();
    Ok(axum::Json(OrderPage { orders, next_page_token: page.next_page_token }))
}

/// One order.
#[utoipa::path(
    get, path = "/api/v1/orders/{id}", tag = "orders",
    params(
        ("id" = String, Path, description = "The order"),
        ("x-user-id" = String, Header, description = "The acting user"),
    ),
    responses(
        (status = 200, description = "The order", body = Order),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get_order(
    State(app): State<App>,
    User(user): User,
    PathId(order_id): PathId,
) -> Result<axum::Json<Order>, Problem> {
    let request = proto::GetOrderRequest { order_id, user_id: user.get() };
    Ok(axum::Json(app.orders().get_order(app.call(request)).await?.into_inner().into()))
}

/// Cancels an unpaid order, refunds a paid one; a second cancel answers the same. The body may be absent.
#[utoipa::path(
    post, path = "/api/v1/orders/{id}/cancel", tag = "orders", request_body = Option<Cancellation>,
    params(
        ("id" = String, Path, description = "The order"),
        ("x-user-id" = String, Header, description = "The acting user"),
    ),
    responses(
        (status = 200, description = "Cancelled, or refunded if it was paid", body = Order),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn cancel_order(
    State(app): State<App>,
    User(user): User,
    PathId(order_id): PathId,
    JsonText(body): JsonText,
) -> Result<axum::Json<Order>, Problem> {
    let Cancellation { reason } = if body.is_empty() { Cancellation::default() } else { json::read(&body)? };
    let request = proto::CancelOrderRequest { order_id, user_id: user.get(), reason };
    Ok(axum::Json(app.orders().cancel_order(app.call(request)).await?.into_inner().into()))
}

impl NewOrder {
    fn into_request(self, user: UserId, key: String) -> proto::ConfirmOrderRequest {
        let item = |Object(item): Object<NewItem>| proto::ConfirmItem {
            goods_id: item.goods_id.get(),
            quantity: item.quantity,
            expected_price_fen: item.expected_price.map(Fen::get),
        };
        proto::ConfirmOrderRequest {
            request_id: key,
            user_id: user.get(),
            items: self.items.into_iter().map(item).collect(),
            coupon_id: self.coupon_id.map(CouponId::get),
            balance_used_fen: self.balance_used.unwrap_or_default().get(),
            expected_shipping_fen: self.expected_shipping.map(Fen::get),
            expected_total_fen: self.expected_total.map(Fen::get),
            address: self.address,
            consignee: self.consignee,
            phone: self.phone,
        }
    }
}
