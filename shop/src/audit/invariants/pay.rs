//! Payments.

use std::collections::BTreeMap;

use shop_order::order::Owed as OrderOwes;
use shop_pay::payment::owed::Owed;

use crate::audit::{
    Check,
    rows::{OrderRow, PAID, PayRow, WRONG_AMOUNT},
    snapshot::Snapshot,
};

/// I10: a confirmed, paid order with something due keeps one payment, the one bound to it; every other order keeps none.
/// A payment the order has not judged yet is left out, and so is an order that has not heard yet that an operator gave its
/// payment back.
pub(super) fn one_payment_is_kept(view: &Snapshot) -> Check {
    let mut check = Check::new("I10", "a paid order keeps its one payment, every other payment is refunded");
    let mut kept: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for payment in view.pay.payments.values().filter(|payment| payment.is_kept()) {
        let order = view.orders.get(&payment.order_id);
        let is_bound = order.is_some_and(|order| order.pay_id == Some(payment.pay_id));
        if is_bound || !payment.owes(Owed::ORDER) {
            kept.entry(payment.order_id).or_default().push(payment.pay_id);
        }
    }
    let has_not_heard = |order: &OrderRow| {
        let bound = order.pay_id.and_then(|pay_id| view.pay.payments.get(&pay_id));
        bound.is_some_and(|payment| payment.owes(Owed::TELL_ORDER))
    };
    // A refunded order keeps its payment until it is asked back.
    let is_told = |order: &OrderRow| !order.owes(OrderOwes::REFUND) && !has_not_heard(order);
    for (order_id, order) in view.orders.iter().filter(|(_, order)| is_told(order)) {
        check.count();
        let pays = order.is_confirmed() && order.pay_status == PAID && order.pay_amount_fen > 0;
        let wanted = order.pay_id.filter(|_| pays);
        let kept = kept.get(order_id).map_or(&[][..], Vec::as_slice);
        if kept != wanted.as_slice() {
            let odd = kept.iter().chain(wanted.as_slice());
            let text = format!("order {order_id} keeps the payments {kept:?} instead of {:?}", wanted.as_slice());
            check.apparent([order_id].into_iter().chain(odd), text);
        }
    }
    check
}

/// I11: a payment, and the gate of an order's payments, belongs to an order; the payment is of its user and of the
/// amount due, unless it was sent back for being of another amount.
pub(super) fn payments_have_an_order(view: &Snapshot) -> Check {
    let mut check = Check::new("I11", "a payment is of an order, its user and the amount due");
    for (pay_id, payment) in &view.pay.payments {
        check.count();
        let order_id = payment.order_id;
        let fault = match view.orders.get(&order_id) {
            None => "which does not exist",
            Some(order) if order.user_id != payment.user_id => "which is somebody else's",
            Some(order) if order.pay_amount_fen != payment.pay_amount_fen && !is_sent_back(view, payment) => {
                "which has another amount due"
            }
            Some(_) => continue,
        };
        check.apparent([*pay_id, order_id], format!("payment {pay_id} is for order {order_id}, {fault}"));
    }
    for order_id in view.pay.gates.keys().filter(|order_id| !view.orders.contains_key(order_id)) {
        check.apparent([order_id], format!("payments of order {order_id} are known, which does not exist"));
    }
    check
}

fn is_sent_back(view: &Snapshot, payment: &PayRow) -> bool {
    let mut refunds = view.pay.refunds.values().filter(|refund| refund.pay_id == payment.pay_id);
    refunds.any(|refund| refund.cause == WRONG_AMOUNT)
}

/// I12: a payment is paid if and only if it has a pay log, of the same order, amount and channel number.
pub(super) fn paid_payments_have_a_log(view: &Snapshot) -> Check {
    let mut check = Check::new("I12", "a payment is paid if and only if it has its pay log");
    for (pay_id, payment) in &view.pay.payments {
        check.count();
        match view.pay.logs.get(pay_id) {
            None if payment.is_paid() => check.certain([pay_id], format!("payment {pay_id} is paid without a log")),
            Some(_) if !payment.is_paid() => check.certain([pay_id], format!("payment {pay_id} has a log, unpaid")),
            Some(log)
                if log.order_id != payment.order_id
                    || log.pay_amount_fen != payment.pay_amount_fen
                    || payment.channel_trade_no.as_ref() != Some(&log.channel_trade_no) =>
            {
                check.certain([pay_id], format!("payment {pay_id} and its log differ"));
            }
            _ => {}
        }
    }
    for pay_id in view.pay.logs.keys().filter(|pay_id| !view.pay.payments.contains_key(pay_id)) {
        check.certain([pay_id], format!("payment {pay_id} does not exist, but has a log"));
    }
    check
}
