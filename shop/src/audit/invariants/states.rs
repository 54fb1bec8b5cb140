//! Which states go together, within one schema.

use std::collections::BTreeSet;

use shop_order::order::Owed as OrderOwes;
use shop_pay::payment::owed::Owed as PayOwes;

use super::implies;
use crate::audit::{
    Check,
    rows::{CONFIRMED, DONE, GATE_CLOSED, Hold, OrderRow, PAID, PayRow, REFUNDED, UNCONFIRMED, UNDONE},
    snapshot::{Books, Snapshot},
};

/// A rule and what it says.
type Rule<R> = (&'static str, fn(&R) -> bool);

const ORDERS: [Rule<OrderRow>; 15] = [
    ("a status that exists", |o| (0..=4).contains(&o.order_status) && (0..=2).contains(&o.pay_status)),
    ("unconfirmed: nothing has happened yet", |o| {
        let is_untouched = o.pay_status == 0 && o.owed == 0 && o.confirm_ms.is_none() && o.cancel_ms.is_none();
        implies(o.order_status == UNCONFIRMED, is_untouched)
    }),
    ("confirmed: at a moment, and not cancelled", |o| {
        implies(o.order_status == CONFIRMED, o.confirm_ms.is_some() && o.cancel_ms.is_none())
    }),
    ("confirmed with something due: until when", |o| {
        implies(o.order_status == CONFIRMED && o.pay_amount_fen > 0, o.pay_deadline_ms.is_some())
    }),
    ("confirmed with nothing due: paid", |o| {
        implies(o.order_status == CONFIRMED && o.pay_amount_fen == 0, o.pay_status == PAID)
    }),
    ("cancelled or refunded: at a moment, for a cause", |o| {
        implies(o.is_given_back(), o.cancel_ms.is_some() && o.cancel_cause.is_some())
    }),
    ("refunded: it was paid", |o| implies(o.order_status == REFUNDED, o.pay_status == PAID)),
    ("confirmed and unpaid: due until it is paid or cancelled", |o| implies(o.is_unpaid(), o.due_ms.is_some())),
    ("closing: confirmed and unpaid", |o| implies(o.closing_ms.is_some(), o.is_unpaid())),
    ("paid: only confirmed or refunded", |o| {
        implies(o.pay_status == PAID, matches!(o.order_status, CONFIRMED | REFUNDED))
    }),
    ("paid: if and only if at a moment", |o| (o.pay_status == PAID) == o.pay_ms.is_some()),
    ("bound to a payment: if and only if paid with something due", |o| {
        (o.pay_status == PAID && o.pay_amount_fen > 0) == o.pay_id.is_some()
    }),
    ("owing: until when, and only what it took", |o| {
        let took = OrderOwes::STOCK
            .with_if(OrderOwes::COUPON, o.coupon_id.is_some())
            .with_if(OrderOwes::BALANCE, o.money_paid_fen > 0)
            .with_if(OrderOwes::REFUND, o.order_status == REFUNDED && o.pay_id.is_some());
        implies(o.owed != 0, o.due_ms.is_some()) && o.owed & !(took | OrderOwes::CLOSE).bits() == 0
    }),
    ("owing while confirmed: the close of payments alone", |o| {
        implies(o.order_status == CONFIRMED, o.owed & !OrderOwes::CLOSE.bits() == 0)
    }),
    ("owing nothing and over: not due", |o| implies(o.is_given_back() && o.owed == 0, o.due_ms.is_none())),
];

const PAYMENTS: [Rule<PayRow>; 8] = [
    ("a status that exists", |p| (0..=2).contains(&p.is_paid)),
    ("paid: if and only if at a moment", |p| p.is_paid() == p.pay_ms.is_some()),
    ("unpaid: either open or closed; paid: not open", |p| {
        if p.is_paid() { p.open_key.is_none() } else { p.open_key.is_some() != p.closed_ms.is_some() }
    }),
    ("open: under the key of its order and channel", |p| {
        p.open_key.as_ref().is_none_or(|key| *key == format!("{}/{}", p.order_id, p.channel))
    }),
    ("owing: if and only if due", |p| (p.owed != 0) == p.due_ms.is_some()),
    ("owing a question: open; a close: closed and unpaid; anything else: paid", |p| {
        let unpaid = PayOwes::ASK.with(PayOwes::CLOSE);
        implies(p.owes(PayOwes::ASK), p.open_key.is_some())
            && implies(p.owes(PayOwes::CLOSE), !p.is_paid() && p.closed_ms.is_some())
            && implies(p.owed & !unpaid.bits() != 0, p.is_paid())
            && (0..128).contains(&p.owed)
    }),
    ("given back whole: owing no points, and judgement only if the order is told too", |p| {
        let is_told_first = implies(p.owes(PayOwes::ORDER), p.owes(PayOwes::TELL_ORDER));
        implies(p.is_paid() && !p.is_kept(), !p.owes(PayOwes::POINTS) && is_told_first)
    }),
    ("kept: owing no way back; untouched: owing no refund", |p| {
        let back = PayOwes::REVERSE_POINTS.with(PayOwes::TELL_ORDER);
        implies(p.is_kept(), p.owed & back.bits() == 0) && implies(p.refund_fen == 0, !p.owes(PayOwes::REFUND))
    }),
];

/// I19: the columns of orders and payments go together, a gate that is closed has no open payment, and every hold says
/// what its ledger says.
pub(super) fn states_are_legal(view: &Snapshot) -> Check {
    let mut check = Check::new("I19", "the states of orders, payments and holds are legal");
    for (id, order) in &view.orders {
        obey(&mut check, "order", *id, order, &ORDERS);
    }
    for (id, payment) in &view.pay.payments {
        obey(&mut check, "payment", *id, payment, &PAYMENTS);
        let order_id = payment.order_id;
        match view.pay.gates.get(&order_id) {
            None => check.certain([*id, order_id], format!("payment {id} was made past the gate of order {order_id}")),
            Some(gate) if gate.state == GATE_CLOSED && payment.open_key.is_some() => {
                check.certain([*id, order_id], format!("payment {id} is open, the gate of order {order_id} is closed"));
            }
            Some(_) => {}
        }
    }
    for (what, books) in [("stock", &view.stock), ("balance", &view.money), ("points", &view.points)] {
        holds(&mut check, what, books);
    }
    check
}

fn obey<R>(check: &mut Check, what: &str, id: i64, row: &R, rules: &[Rule<R>]) {
    check.count();
    for (rule, holds) in rules {
        if !holds(row) {
            check.certain([id], format!("{what} {id} breaks: {rule}"));
        }
    }
}

/// Held or final: taken. Undone: taken and given back. Never, or no hold: neither.
fn holds(check: &mut Check, what: &str, books: &Books) {
    let moved = books.ledger.keys().filter(|id| books.movements(**id).next().is_some());
    for id in moved.chain(books.holds.keys()).collect::<BTreeSet<_>>() {
        check.count();
        let hold = books.holds.get(id);
        let has = |log_type| books.movements(*id).any(|movement| movement.log_type == log_type);
        let wanted = (hold.is_some_and(|hold| hold.is_live() || hold.is_undone()), hold.is_some_and(Hold::is_undone));
        let is_balanced = !hold.is_some_and(Hold::is_undone) || books.net_by_account(*id).is_empty();
        if (has(DONE), has(UNDONE)) != wanted || !is_balanced {
            let state = hold.map_or_else(|| "no hold".to_owned(), |hold| format!("a hold in state {}", hold.state));
            check.certain([id], format!("{what} of {id}: {state} does not go with its ledger"));
        }
    }
}
