//! An order as it is shown, and the numbers of its row.

use std::borrow::Cow;

use shop_common::{
    code::ShopCode,
    db::{Failure, Result},
    error::ShopError,
    id::OrderId,
    time::Millis,
};
use shop_proto::order::v1 as proto;

use crate::{
    entity::{item, order},
    order::{Order, PayStatus, Status},
};

/// An order and its lines, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) row: order::Model,
    pub(crate) items: Vec<item::Model>,
}

pub(crate) const fn status_number(status: Status) -> i16 {
    match status {
        Status::Unconfirmed => 0,
        Status::Confirmed => 1,
        Status::Cancelled => 2,
        Status::Invalid => 3,
        Status::Refunded => 4,
    }
}

pub(crate) const fn pay_status_number(status: PayStatus) -> i16 {
    match status {
        PayStatus::Unpaid => 0,
        PayStatus::Paying => 1,
        PayStatus::Paid => 2,
    }
}

pub(crate) fn status_of(number: i16) -> Result<Status> {
    match number {
        0 => Ok(Status::Unconfirmed),
        1 => Ok(Status::Confirmed),
        2 => Ok(Status::Cancelled),
        3 => Ok(Status::Invalid),
        4 => Ok(Status::Refunded),
        _ => Err(Failure::guard("order_status")),
    }
}

pub(crate) fn pay_status_of(number: i16) -> Result<PayStatus> {
    match number {
        0 => Ok(PayStatus::Unpaid),
        1 => Ok(PayStatus::Paying),
        2 => Ok(PayStatus::Paid),
        _ => Err(Failure::guard("pay_status")),
    }
}

/// The refusal that stands in a row; `SHOP_ORDER_CANCELLED` where it was cancelled without one.
pub(crate) fn refusal(code: Option<i32>, field: Option<String>, message: Option<String>) -> ShopError {
    let Some(code) = code.and_then(ShopCode::from_number) else { return ShopCode::OrderCancelled.into() };
    ShopError {
        code,
        field: field.map(Cow::Owned),
        message: message.map_or_else(|| code.row().message.into(), Cow::Owned),
    }
}

/// What a repeat of a request finds.
pub(crate) enum Repeat {
    /// The saga still runs.
    Running,
    /// The order was confirmed, whatever followed.
    Confirmed,
    /// The saga ended in this refusal.
    Refused(ShopError),
}

impl Stored {
    pub(crate) const fn id(&self) -> OrderId {
        OrderId::new(self.row.order_id)
    }

    /// This order after a transition of its state.
    #[must_use]
    pub(crate) fn moved(mut self, order: &Order) -> Self {
        self.row.order_status = status_number(order.status);
        self.row.pay_status = pay_status_number(order.pay_status);
        self.row.confirm_ms = order.confirmed.map(Millis::get);
        self.row.pay_ms = order.paid.map(Millis::get);
        self.row.pay_deadline_ms = order.pay_deadline.map(Millis::get);
        self
    }

    pub(crate) fn repeat(&self) -> Repeat {
        if self.row.confirm_ms.is_some() {
            return Repeat::Confirmed;
        }
        let order::Model { order_status, refuse_code, refuse_field, refuse_message, .. } = &self.row;
        if *order_status == status_number(Status::Unconfirmed) {
            return Repeat::Running;
        }
        Repeat::Refused(refusal(*refuse_code, refuse_field.clone(), refuse_message.clone()))
    }
}

impl From<Stored> for proto::Order {
    fn from(Stored { row, items }: Stored) -> Self {
        let line = |item: item::Model| proto::OrderItem {
            goods_id: item.goods_id,
            quantity: item.quantity,
            price_fen: item.price_fen,
        };
        let refused = row.refuse_message.clone().filter(|_| row.refuse_code.is_some());
        let late = match row.cancel_cause {
            Some(2) => Some("not confirmed in time".to_owned()),
            Some(4) => Some("not paid in time".to_owned()),
            _ => None,
        };
        Self {
            order_id: row.order_id,
            user_id: row.user_id,
            request_id: row.request_id,
            status: i32::from(row.order_status),
            pay_status: i32::from(row.pay_status),
            items: items.into_iter().map(line).collect(),
            items_total_fen: row.items_total_fen,
            shipping_fen: row.shipping_fen,
            order_total_fen: row.order_total_fen,
            coupon_id: row.coupon_id,
            coupon_discount_fen: row.coupon_discount_fen,
            balance_used_fen: row.balance_used_fen,
            amount_due_fen: row.amount_due_fen,
            cancel_reason: row.cancel_reason.or(refused).or(late).unwrap_or_default(),
            created_ms: row.add_ms,
            confirmed_ms: row.confirm_ms,
            paid_ms: row.pay_ms,
            cancelled_ms: row.cancel_ms,
            pay_deadline_ms: row.pay_deadline_ms,
        }
    }
}
