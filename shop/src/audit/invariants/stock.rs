//! Stock, and movements that nobody asked for.

use std::collections::BTreeMap;

use shop_order::order::Owed;

use super::add_up;
use crate::audit::{
    Check,
    rows::{DONE, OPENING, OrderRow, UNDONE},
    snapshot::{Books, Snapshot},
};

/// I01: the stock of goods is the sum of its ledger, and never below zero.
pub(super) fn stock_is_its_ledger(view: &Snapshot) -> Check {
    let mut check = Check::new("I01", "stock is the sum of its ledger and never below zero");
    add_up(&mut check, "goods", &view.stock);
    check
}

/// I02: a confirmed order holds the quantity of each of its lines, every other order nothing; an order in status 0, or
/// that owes its stock, is left out.
pub(super) fn orders_hold_their_stock(view: &Snapshot) -> Check {
    let mut check = Check::new("I02", "a confirmed order holds exactly its stock, every other order none");
    for (order_id, order) in view.orders.iter().filter(|(_, order)| !order.is_moving(Owed::STOCK)) {
        check.count();
        let moved = view.stock.net_by_account(*order_id);
        let wanted = if order.is_confirmed() { quantities(view, *order_id) } else { BTreeMap::new() };
        let goods = wanted.keys().chain(moved.keys().filter(|goods| !wanted.contains_key(goods)));
        for goods_id in goods {
            let held = -moved.get(goods_id).copied().unwrap_or(0);
            let wanted = wanted.get(goods_id).copied().unwrap_or(0);
            if held != wanted {
                let text = format!("order {order_id} holds {held} of goods {goods_id} instead of {wanted}");
                check.apparent([order_id, goods_id], text);
            }
        }
    }
    check
}

fn quantities(view: &Snapshot, order_id: i64) -> BTreeMap<i64, i128> {
    let lines = view.items.get(&order_id).into_iter().flatten();
    lines.map(|line| (line.goods_id, i128::from(line.goods_number))).collect()
}

/// I03: every movement of stock or balance, and every barrier, belongs to an order: of these goods, of this user; what
/// is taken is taken, what is given back is given.
pub(super) fn movements_have_an_order(view: &Snapshot) -> Check {
    let mut check = Check::new("I03", "every movement and every hold belongs to an order, its goods and its user");
    belong(&mut check, view, "stock", &view.stock, |order, goods_id| {
        view.items.get(&order.order_id).into_iter().flatten().any(|line| line.goods_id == goods_id)
    });
    belong(&mut check, view, "balance", &view.money, |order, user_id| order.user_id == user_id);
    let holds = [("stock", &view.stock.holds), ("coupon", &view.coupon_holds), ("balance", &view.money.holds)];
    for (what, holds) in holds {
        for order_id in holds.keys() {
            check.count();
            if !view.orders.contains_key(order_id) {
                check.apparent([order_id], format!("a {what} hold is for order {order_id}, which does not exist"));
            }
        }
    }
    check
}

fn belong(check: &mut Check, view: &Snapshot, what: &str, books: &Books, is_its_own: impl Fn(&OrderRow, i64) -> bool) {
    for movement in books.ledger.values().flatten() {
        check.count();
        let (order_id, account) = (movement.ref_id, movement.account);
        let has_its_sign = match movement.log_type {
            DONE => movement.delta < 0,
            OPENING | UNDONE => movement.delta >= 0,
            _ => false,
        };
        if !has_its_sign {
            let (log_type, delta) = (movement.log_type, movement.delta);
            let text = format!("the {what} ledger moves {account} by {delta} for {order_id} as type {log_type}");
            check.certain([order_id, account], text);
        }
        if movement.log_type == OPENING {
            continue;
        }
        match view.orders.get(&order_id) {
            None => {
                let text = format!("the {what} ledger moves {account} for order {order_id}, which does not exist");
                check.apparent([order_id, account], text);
            }
            Some(order) if !is_its_own(order, account) => {
                let text = format!("the {what} ledger moves {account} for order {order_id}, which is not about it");
                check.apparent([order_id, account], text);
            }
            Some(_) => {}
        }
    }
}
