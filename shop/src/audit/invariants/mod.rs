//! The invariants: pure functions over a [`Snapshot`], one for each, its rule as its comment.

mod coupon;
mod messages;
mod money;
mod order;
mod owed;
mod pay;
mod points;
mod refund;
mod states;
mod stock;

use std::collections::BTreeMap;

use super::{Check, Options, snapshot::Books, snapshot::Snapshot};

/// How long after its due time a row may wait for a sweeper, in milliseconds.
pub(super) const SLACK_MS: i64 = 60_000;

/// All twenty, in order.
pub(super) fn check_all(view: &Snapshot, options: &Options) -> Vec<Check> {
    vec![
        stock::stock_is_its_ledger(view),
        stock::orders_hold_their_stock(view),
        stock::movements_have_an_order(view),
        money::balances_are_their_ledger(view),
        money::orders_hold_their_balance(view),
        money::what_left_the_balances_is_held(view),
        coupon::used_coupons_have_an_order(view),
        coupon::orders_have_their_coupon(view),
        order::orders_add_up(view),
        pay::one_payment_is_kept(view),
        pay::payments_have_an_order(view),
        pay::paid_payments_have_a_log(view),
        points::payments_earn_their_points(view),
        points::scores_are_their_ledger(view),
        refund::refunds_add_up(view),
        messages::messages_leave(view, options),
        messages::messages_are_handled(view),
        order::sagas_end(view, options),
        states::states_are_legal(view),
        owed::what_is_owed_is_done(view),
    ]
}

/// Accounts are the sum of their ledger and never below zero; `what` names them.
fn add_up(check: &mut Check, what: &str, books: &Books) {
    let mut sums: BTreeMap<i64, i128> = books.accounts.keys().map(|id| (*id, 0)).collect();
    for movement in books.ledger.values().flatten() {
        *sums.entry(movement.account).or_default() += i128::from(movement.delta);
    }
    for (id, sum) in sums {
        check.count();
        match books.accounts.get(&id).copied() {
            None => check.certain([id], format!("{what} {id} does not exist, but its ledger says {sum}")),
            Some(amount) if amount < 0 || i128::from(amount) != sum => {
                check.certain([id], format!("{what} {id} has {amount}, its ledger says {sum}"));
            }
            Some(_) => {}
        }
    }
}

const fn implies(condition: bool, consequence: bool) -> bool {
    !condition || consequence
}
