//! Points.

use shop_common::money::Fen;
use shop_pay::payment::owed::Owed;

use super::add_up;
use crate::audit::{Check, rows::DONE, snapshot::Snapshot};

/// I13: a payment that is kept earned its buyer one point for each whole yuan, once, though part of it may have gone
/// back; every other payment nothing. A payment that still owes points, or their reversal, is left out.
pub(super) fn payments_earn_their_points(view: &Snapshot) -> Check {
    let mut check = Check::new("I13", "a kept payment earned its buyer one point for each whole yuan, others nothing");
    for (pay_id, payment) in &view.pay.payments {
        check.count();
        if view.points.movements(*pay_id).any(|movement| movement.account != payment.user_id) {
            check.apparent([pay_id], format!("somebody else has the points of payment {pay_id}"));
        }
        if view.points.movements(*pay_id).filter(|movement| movement.log_type == DONE).count() > 1 {
            check.certain([pay_id], format!("payment {pay_id} earned its points twice"));
        }
        if payment.owes(Owed::POINTS) || payment.owes(Owed::REVERSE_POINTS) {
            continue;
        }
        let wanted = if payment.is_kept() { Fen::new(payment.pay_amount_fen).whole_yuan() } else { 0 };
        let earned = view.points.net(*pay_id);
        if earned != i128::from(wanted) {
            check.apparent([pay_id], format!("payment {pay_id} earned {earned} points instead of {wanted}"));
        }
    }
    let moved = view.points.ledger.keys().filter(|pay_id| view.points.movements(**pay_id).next().is_some());
    let strangers = moved.chain(view.points.holds.keys()).filter(|pay_id| !view.pay.payments.contains_key(pay_id));
    for pay_id in strangers {
        check.apparent([pay_id], format!("points moved for payment {pay_id}, which does not exist"));
    }
    check
}

/// I14: the score of a user is the sum of its ledger, and never below zero.
pub(super) fn scores_are_their_ledger(view: &Snapshot) -> Check {
    let mut check = Check::new("I14", "a score is the sum of its ledger and never below zero");
    add_up(&mut check, "the score of user", &view.points);
    check
}
