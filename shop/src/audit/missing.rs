//! What confirmed orders should hold and nobody knows of: what a service has forgotten whose database was restored to an
//! earlier moment.

use shop_common::{db::Failure, time::Millis};
use shop_proto::{
    coupon::v1::RedeemCouponCommand,
    goods::v1::{ReserveStockCommand, StockLine},
    user::v1::DebitBalanceCommand,
};

use super::{Schemas, rows::OrderRow, snapshot::Snapshot};

/// The commands of the sagas that took it, as they were.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    pub(crate) stock: Vec<ReserveStockCommand>,
    pub(crate) coupons: Vec<RedeemCouponCommand>,
    pub(crate) balance: Vec<DebitBalanceCommand>,
}

impl Missing {
    /// Looks at all schemas.
    ///
    /// # Errors
    /// One cannot be read.
    pub(crate) async fn find(schemas: &Schemas, now: Millis) -> Result<Self, Failure> {
        let view = Snapshot::read(schemas, now).await?;
        let mut missing = Self::default();
        // A barrier that is there, whatever it says, is what the service knows: that is for the audit.
        for order in view.orders.values().filter(|order| order.is_confirmed()) {
            let order_id = &order.order_id;
            if !view.stock.holds.contains_key(order_id) {
                missing.stock.push(reserve(&view, order));
            }
            if let Some(coupon_id) = order.coupon_id.filter(|_| !view.coupon_holds.contains_key(order_id)) {
                missing.coupons.push(redeem(order, coupon_id));
            }
            if order.money_paid_fen > 0 && !view.money.holds.contains_key(order_id) {
                missing.balance.push(debit(order));
            }
        }
        Ok(missing)
    }
}

fn reserve(view: &Snapshot, order: &OrderRow) -> ReserveStockCommand {
    let lines = view.items.get(&order.order_id).into_iter().flatten();
    let lines = lines.map(|line| StockLine { goods_id: line.goods_id, quantity: line.goods_number }).collect();
    ReserveStockCommand { context: None, order_id: order.order_id, lines }
}

const fn redeem(order: &OrderRow, coupon_id: i64) -> RedeemCouponCommand {
    RedeemCouponCommand {
        context: None,
        order_id: order.order_id,
        coupon_id,
        user_id: order.user_id,
        items_total_fen: order.goods_amount_fen,
        discount_fen: order.coupon_paid_fen,
    }
}

const fn debit(order: &OrderRow) -> DebitBalanceCommand {
    DebitBalanceCommand {
        context: None,
        order_id: order.order_id,
        user_id: order.user_id,
        amount_fen: order.money_paid_fen,
    }
}
