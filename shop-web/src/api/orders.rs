//! Orders: place, read, list, cancel.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use shop_common::{
    code::ShopCode,
    id::{CouponId, GoodsId, OrderId, UserId},
    money::Fen,
};
use shop_proto::order::v1 as proto;
use utoipa::ToSchema;

use crate::{
    app::App,
    body::JsonText,
    json::{self, Json, Moment, Object},
    params::{Key, PageParams, Params, PathId, User},
    problem::{Problem, ProblemBody},
};

/// An order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are the contract's")]
pub(crate) struct Order {
    #[schema(value_type = String, example = "352537369385242624")]
    order_id: OrderId,
    #[schema(value_type = String, example = "345963634385633280")]
    user_id: UserId,
    /// The idempotency key it was placed under.
    request_id: String,
    /// `UNCONFIRMED`, `CONFIRMED`, `CANCELLED`, `INVALID`, `REFUNDED`.
    #[schema(example = "CONFIRMED")]
    status: &'static str,
    /// `UNPAID`, `PAYING`, `PAID`.
    #[schema(example = "UNPAID")]
    pay_status: &'static str,
    items: Vec<OrderItem>,
    #[schema(value_type = String, example = "1000.00")]
    items_total: Fen,
    #[schema(value_type = String, example = "0.00")]
    shipping: Fen,
    /// Items and shipping.
    #[schema(value_type = String, example = "1000.00")]
    order_total: Fen,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    coupon_id: Option<CouponId>,
    #[schema(value_type = String, example = "20.00")]
    coupon_discount: Fen,
    #[schema(value_type = String, example = "100.00")]
    balance_used: Fen,
    /// Total less discount and balance.
    #[schema(value_type = String, example = "880.00")]
    amount_due: Fen,
    /// Empty unless it was cancelled.
    cancel_reason: String,
    #[schema(value_type = String, format = DateTime)]
    created_ms: Moment,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    confirmed_ms: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    paid_ms: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    cancelled_ms: Option<Moment>,
    /// Until when it must be paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pay_deadline_ms: Option<Moment>,
}

/// One line of an order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OrderItem {
    #[schema(value_type = String, example = "345959443973935104")]
    goods_id: GoodsId,
    #[schema(example = 1)]
    quantity: i32,
    /// Price of one when the order was placed.
    #[schema(value_type = String, example = "1000.00")]
    price: Fen,
}

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

/// Why an order is cancelled.
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

/// Cancels an unpaid order; a second cancel answers the same. The body may be absent.
#[utoipa::path(
    post, path = "/api/v1/orders/{id}/cancel", tag = "orders", request_body = Option<Cancellation>,
    params(
        ("id" = String, Path, description = "The order"),
        ("x-user-id" = String, Header, description = "The acting user"),
    ),
    responses(
        (status = 200, description = "Cancelled", body = Order),
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

impl From<proto::Order> for Order {
    fn from(order: proto::Order) -> Self {
        let item = |item: proto::OrderItem| OrderItem {
            goods_id: GoodsId::new(item.goods_id),
            quantity: item.quantity,
            price: Fen::new(item.price_fen),
        };
        Self {
            order_id: OrderId::new(order.order_id),
            user_id: UserId::new(order.user_id),
            status: order.status().as_str_name(),
            pay_status: order.pay_status().as_str_name(),
            request_id: order.request_id,
            items: order.items.into_iter().map(item).collect(),
            items_total: Fen::new(order.items_total_fen),
            shipping: Fen::new(order.shipping_fen),
            order_total: Fen::new(order.order_total_fen),
            coupon_id: order.coupon_id.map(CouponId::new),
            coupon_discount: Fen::new(order.coupon_discount_fen),
            balance_used: Fen::new(order.balance_used_fen),
            amount_due: Fen::new(order.amount_due_fen),
            cancel_reason: order.cancel_reason,
            created_ms: Moment(order.created_ms),
            confirmed_ms: order.confirmed_ms.map(Moment),
            paid_ms: order.paid_ms.map(Moment),
            cancelled_ms: order.cancelled_ms.map(Moment),
            pay_deadline_ms: order.pay_deadline_ms.map(Moment),
        }
    }
}
