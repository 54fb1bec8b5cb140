//! An order as JSON.

use serde::Serialize;
use shop_common::{
    id::{CouponId, GoodsId, OrderId, UserId},
    money::Fen,
};
use shop_proto::order::v1 as proto;
use utoipa::ToSchema;

use crate::json::Moment;

/// An order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are what clients rely on")]
pub(crate) struct Order {
    #[schema(value_type = String, example = "352537369385242624")]
    pub(super) order_id: OrderId,
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
    /// Empty unless it was cancelled or refunded.
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
pub(crate) struct OrderItem {
    #[schema(value_type = String, example = "345959443973935104")]
    goods_id: GoodsId,
    #[schema(example = 1)]
    quantity: i32,
    /// Price of one when the order was placed.
    #[schema(value_type = String, example = "1000.00")]
    price: Fen,
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
