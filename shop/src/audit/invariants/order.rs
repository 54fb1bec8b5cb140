//! What stands in the order schema alone.

use super::SLACK_MS;
use crate::audit::{
    Check, Options,
    rows::{INVALID, ItemRow, OrderRow, UNCONFIRMED},
    snapshot::Snapshot,
};

/// I09: an order has lines, its total is their sum and the shipping, and what is due is the total less coupon and
/// balance; nothing is below zero. Status 3 is left out: imported rows, kept as they came.
pub(super) fn orders_add_up(view: &Snapshot) -> Check {
    let mut check = Check::new("I09", "the amounts of an order add up");
    for (order_id, order) in view.orders.iter().filter(|(_, order)| order.order_status != INVALID) {
        check.count();
        let lines = view.items.get(order_id).map_or(&[][..], Vec::as_slice);
        if let Err(why) = adds_up(order, lines) {
            check.certain([order_id], format!("order {order_id}: {why}"));
        }
    }
    for (order_id, _) in view.items.iter().filter(|(order_id, _)| !view.orders.contains_key(order_id)) {
        check.certain([order_id], format!("order {order_id} does not exist, but has lines"));
    }
    check
}

fn adds_up(order: &OrderRow, lines: &[ItemRow]) -> Result<(), &'static str> {
    let OrderRow { goods_amount_fen, shipping_fee_fen, order_amount_fen, .. } = order;
    let OrderRow { coupon_paid_fen, money_paid_fen, pay_amount_fen, .. } = order;
    let amounts =
        [goods_amount_fen, shipping_fee_fen, order_amount_fen, coupon_paid_fen, money_paid_fen, pay_amount_fen];
    let [goods, shipping, total, coupon, balance, due] = amounts.map(|amount| i128::from(*amount));
    if amounts.iter().any(|amount| **amount < 0) {
        return Err("an amount is below zero");
    }
    if lines.is_empty() || lines.iter().any(|line| line.goods_number <= 0 || line.goods_price_fen < 0) {
        return Err("a line is missing, or is about nothing");
    }
    let sum: i128 = lines.iter().map(|line| i128::from(line.goods_number) * i128::from(line.goods_price_fen)).sum();
    if sum != goods {
        return Err("the items' total is not the sum of the lines");
    }
    if goods + shipping != total {
        return Err("the total is not items and shipping");
    }
    if total - coupon - balance != due {
        return Err("the amount due is not the total less coupon and balance");
    }
    if order.coupon_id.is_none() && coupon != 0 {
        return Err("a discount without a coupon");
    }
    Ok(())
}

/// I18: no order is in status 0 past its due time, and none is unpaid past its deadline and the channel's time to close it.
pub(super) fn sagas_end(view: &Snapshot, options: &Options) -> Check {
    let mut check = Check::new("I18", "no order is unconfirmed past its due time or unpaid past its deadline");
    let late = |since: i64| since.saturating_add(SLACK_MS) < view.now.get();
    for (order_id, order) in &view.orders {
        if order.is_unpaid() {
            check.count();
            let last = order.pay_deadline_ms.map(|deadline| deadline.saturating_add(options.close_patience_ms));
            if last.is_some_and(late) {
                check.late([order_id], format!("order {order_id} is unpaid long past its deadline"));
            }
        }
        if order.order_status != UNCONFIRMED {
            continue;
        }
        check.count();
        match order.due_ms {
            None => check.certain([order_id], format!("order {order_id} is unconfirmed and nobody will look at it")),
            Some(due_ms) if late(due_ms) => {
                check.late([order_id], format!("order {order_id} is unconfirmed past its due time"));
            }
            Some(_) => {}
        }
    }
    check
}
