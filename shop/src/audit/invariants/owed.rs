//! What follows from a state, in the other services.

use shop_order::order::Owed as OrderOwes;
use shop_pay::payment::owed::Owed as PayOwes;

use super::SLACK_MS;
use crate::audit::{
    Check,
    rows::{GATE_CLOSED, Hold, OrderRow, PAID, PayRow, REFUNDED, UNCONFIRMED},
    snapshot::Snapshot,
};

/// Attempts from which a row is not in flight but stuck: a quarter of an hour with the backoff of the sweepers.
const ATTEMPTS: i64 = 18;

/// I20: nothing is owed past its time or in vain, and whatever is no longer owed has left its mark: the holds of an
/// order, its closed payments, the order and the points of a payment.
pub(super) fn what_is_owed_is_done(view: &Snapshot) -> Check {
    let mut check = Check::new("I20", "nothing is overdue, and all that followed from a paid payment has happened");
    for (id, order) in &view.orders {
        check.count();
        if order.order_status != UNCONFIRMED {
            overdue(&mut check, view, "order", *id, order.due_ms);
            stuck(&mut check, "order", *id, order.owed, order.attempts);
        }
        for missing in marks_of_order(view, order) {
            check.apparent([id], format!("order {id} owes nothing of it, but {missing}"));
        }
    }
    for (id, payment) in &view.pay.payments {
        check.count();
        overdue(&mut check, view, "payment", *id, payment.due_ms);
        // A buyer who takes his time is asked about in vain as often as it needs.
        stuck(&mut check, "payment", *id, payment.owed & !PayOwes::ASK.bits(), payment.attempts);
        for missing in marks_of_payment(view, payment) {
            check.apparent([id], format!("payment {id} owes nothing of it, but {missing}"));
        }
    }
    for (what, holds) in [("stock hold of order", &view.stock.holds), ("coupon hold of order", &view.coupon_holds)] {
        for (id, hold) in holds {
            overdue(&mut check, view, what, *id, hold.due_ms);
        }
    }
    stock_holds(&mut check, view);
    check
}

/// What is held says until when, and nothing else does; what is final is of an order that was paid.
fn stock_holds(check: &mut Check, view: &Snapshot) {
    for (id, hold) in &view.stock.holds {
        check.count();
        if hold.is_held() && hold.due_ms.is_none() {
            check.certain([id], format!("stock is held for order {id}, and nobody will ask what became of it"));
        }
        if !hold.is_held() && hold.due_ms.is_some() {
            check.certain([id], format!("stock hold of order {id} is due, but not held"));
        }
        if hold.is_final() && view.orders.get(id).is_some_and(|order| order.pay_status != PAID) {
            check.apparent([id], format!("stock hold of order {id} is final, but the order was never paid"));
        }
    }
}

fn overdue(check: &mut Check, view: &Snapshot, what: &str, id: i64, due_ms: Option<i64>) {
    if due_ms.is_some_and(|due_ms| due_ms.saturating_add(SLACK_MS) < view.now.get()) {
        check.late([id], format!("{what} {id} is past its due time and nobody looks"));
    }
}

fn stuck(check: &mut Check, what: &str, id: i64, owed: i64, attempts: i64) {
    if owed != 0 && attempts >= ATTEMPTS {
        check.apparent([id], format!("{what} {id} owes, and was tried many times in vain"));
    }
}

/// What an order that owes no more must have left elsewhere, and has not.
fn marks_of_order(view: &Snapshot, order: &OrderRow) -> Vec<&'static str> {
    let id = &order.order_id;
    let expects = |what, took| took && order.is_given_back() && !order.owes(what);
    let mut missing = Vec::new();
    if expects(OrderOwes::STOCK, true) && !view.stock.holds.contains_key(id) {
        missing.push("its stock was never given back");
    }
    if expects(OrderOwes::COUPON, order.coupon_id.is_some()) && !view.coupon_holds.contains_key(id) {
        missing.push("its coupon was never given back");
    }
    if expects(OrderOwes::BALANCE, order.money_paid_fen > 0) && !view.money.holds.contains_key(id) {
        missing.push("its balance was never given back");
    }
    let is_promised = |pay_id| view.pay.payments.get(&pay_id).is_some_and(|payment| !payment.is_kept());
    if order.order_status == REFUNDED && !order.owes(OrderOwes::REFUND) && !order.pay_id.is_none_or(is_promised) {
        missing.push("its money was never promised back");
    }
    let was_payable = order.confirm_ms.is_some() && order.pay_amount_fen > 0;
    let is_over = was_payable && (order.is_given_back() || order.pay_status == PAID);
    let gate = view.pay.gates.get(id);
    if is_over && !order.owes(OrderOwes::CLOSE) && gate.is_none_or(|gate| gate.state != GATE_CLOSED) {
        missing.push("its payments were never closed");
    }
    missing
}

/// What a paid payment that owes no more must have left elsewhere, and has not.
fn marks_of_payment(view: &Snapshot, payment: &PayRow) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !payment.is_paid() {
        return missing;
    }
    let order = view.orders.get(&payment.order_id);
    let is_bound = order.is_some_and(|order| order.pay_id == Some(payment.pay_id));
    if payment.is_kept() && !payment.owes(PayOwes::ORDER) && !is_bound {
        missing.push("its order does not know it");
    }
    let hold = view.points.holds.get(&payment.pay_id);
    if payment.is_kept() && !payment.owes(PayOwes::POINTS) && !hold.is_some_and(Hold::is_live) {
        missing.push("its points were never credited");
    }
    let is_reversed = hold.is_some_and(|hold| !hold.is_live());
    if !payment.is_kept() && !payment.owes(PayOwes::REVERSE_POINTS) && !is_reversed {
        missing.push("its points were never reversed");
    }
    missing
}
