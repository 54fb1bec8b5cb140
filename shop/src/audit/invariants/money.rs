//! Balance.

use shop_order::order::Owed;

use super::add_up;
use crate::audit::{Check, rows::OPENING, snapshot::Snapshot};

/// I04: the balance of a user is the sum of its ledger, and never below zero.
pub(super) fn balances_are_their_ledger(view: &Snapshot) -> Check {
    let mut check = Check::new("I04", "a balance is the sum of its ledger and never below zero");
    add_up(&mut check, "the balance of user", &view.money);
    check
}

/// I05: a confirmed order holds exactly its share of the balance, every other order nothing; an order in status 0, or
/// that owes its balance, is left out.
pub(super) fn orders_hold_their_balance(view: &Snapshot) -> Check {
    let mut check = Check::new("I05", "a confirmed order holds exactly its share of the balance, every other none");
    for (order_id, order) in view.orders.iter().filter(|(_, order)| !order.is_moving(Owed::BALANCE)) {
        check.count();
        let held = -view.money.net(*order_id);
        let wanted = i128::from(order.keeps_fen());
        if held != wanted {
            check.apparent([order_id], format!("order {order_id} holds {held} fen of the balance instead of {wanted}"));
        }
    }
    check
}

/// I06: what left all balances is what confirmed orders hold. An order in flight holds what its ledger says. Beside
/// running traffic the two sums are of different moments, so that only a quiet shop can fail.
pub(super) fn what_left_the_balances_is_held(view: &Snapshot) -> Check {
    let mut check = Check::new("I06", "what left all balances is what orders hold");
    let opened = view.money.ledger.values().flatten().filter(|movement| movement.log_type == OPENING);
    let opened: i128 = opened.map(|movement| i128::from(movement.delta)).sum();
    let left: i128 = view.money.accounts.values().copied().map(i128::from).sum();
    let (mut held, mut odd) = (0_i128, Vec::new());
    for (order_id, order) in &view.orders {
        check.count();
        let moved = -view.money.net(*order_id);
        let keeps = if order.is_moving(Owed::BALANCE) { moved } else { i128::from(order.keeps_fen()) };
        held += keeps;
        if keeps != moved {
            odd.push(*order_id);
        }
    }
    let strangers = view.money.ledger.keys().filter(|ref_id| !view.orders.contains_key(ref_id));
    odd.extend(strangers.filter(|ref_id| view.money.net(**ref_id) != 0));
    let gone = opened - left;
    if gone != held {
        check.apparent(odd, format!("{gone} fen left the balances, orders hold {held}"));
    }
    check
}
