//! Money on its way back.

use std::collections::BTreeMap;

use shop_pay::payment::owed::Owed;

use crate::audit::{
    Check,
    rows::{REFUND_DONE, REFUND_OPEN, RefundRow},
    snapshot::Snapshot,
};

/// The channel whose books stand beside ours.
const SANDBOX: &str = "sandbox";

/// I15: what was promised back of a payment is the sum of its refunds, never more than was paid, and the channel has
/// refused none; an open refund is owed; what the sandbox channel paid back is to the fen what we say it did.
pub(super) fn refunds_add_up(view: &Snapshot) -> Check {
    let mut check = Check::new("I15", "refunds are of paid payments, add up, and are paid back by the channel");
    let mut by_payment: BTreeMap<i64, Vec<&RefundRow>> = BTreeMap::new();
    for refund in view.pay.refunds.values() {
        check.count();
        by_payment.entry(refund.pay_id).or_default().push(refund);
        one_refund(&mut check, view, refund);
    }
    for (pay_id, payment) in &view.pay.payments {
        let refunds = by_payment.get(pay_id).map_or(&[][..], Vec::as_slice);
        let sum: i128 = refunds.iter().map(|refund| i128::from(refund.amount_fen)).sum();
        let promised = payment.refund_fen;
        if sum != i128::from(promised) || promised > payment.pay_amount_fen {
            let (paid, text) = (payment.pay_amount_fen, "fen are promised back, its refunds say");
            check.certain([pay_id], format!("of the {paid} fen of payment {pay_id} {promised} {text} {sum}"));
        }
        let is_open = refunds.iter().any(|refund| refund.state == REFUND_OPEN);
        if is_open != payment.owes(Owed::REFUND) {
            check.certain([pay_id], format!("payment {pay_id} owes a refund that is not open, or the other way round"));
        }
    }
    sandbox(&mut check, view);
    check
}

fn one_refund(check: &mut Check, view: &Snapshot, refund: &RefundRow) {
    let RefundRow { refund_id, pay_id, .. } = refund;
    let payment = view.pay.payments.get(pay_id);
    if !payment.is_some_and(|payment| payment.is_paid() && payment.order_id == refund.order_id) {
        let text = format!("refund {refund_id} is of payment {pay_id}, which is not paid or of another order");
        check.certain([refund_id, pay_id], text);
    }
    if !matches!(refund.state, REFUND_OPEN | REFUND_DONE) {
        let why = refund.remark.as_deref().unwrap_or("no reason given");
        check.certain([refund_id, pay_id], format!("refund {refund_id} was refused by the channel: {why}"));
    }
    let is_sandbox = payment.is_some_and(|payment| payment.channel == SANDBOX);
    let paid_back = view.pay.returns.get(refund_id).filter(|paid_back| paid_back.pay_id == *pay_id);
    let paid_back_fen = paid_back.map(|paid_back| paid_back.amount_fen);
    if is_sandbox && refund.state == REFUND_DONE && paid_back_fen != Some(refund.amount_fen) {
        let text = format!("refund {refund_id} is done, the channel paid back {} fen", paid_back_fen.unwrap_or(0));
        check.certain([refund_id, pay_id], text);
    }
}

/// The channel's side: it paid back nothing we did not ask for, and its trades say the same as its refunds.
fn sandbox(check: &mut Check, view: &Snapshot) {
    let mut sums: BTreeMap<i64, i128> = view.pay.trades.keys().map(|pay_id| (*pay_id, 0)).collect();
    for (refund_id, paid_back) in &view.pay.returns {
        let asked = view.pay.refunds.get(refund_id).map(|refund| (refund.pay_id, refund.amount_fen));
        if asked != Some((paid_back.pay_id, paid_back.amount_fen)) {
            let text = format!("the channel paid back {} fen as refund {refund_id}, not ours", paid_back.amount_fen);
            check.certain([refund_id], text);
        }
        *sums.entry(paid_back.pay_id).or_default() += i128::from(paid_back.amount_fen);
    }
    for (pay_id, sum) in sums {
        let said = view.pay.trades.get(&pay_id).map_or(0, |trade| trade.refund_fen);
        if sum != i128::from(said) {
            check.certain(
                [pay_id],
                format!("the channel paid back {sum} fen of payment {pay_id}, its trade says {said}"),
            );
        }
    }
}
