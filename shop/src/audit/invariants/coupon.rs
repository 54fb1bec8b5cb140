//! Coupons, both ways.

use std::collections::BTreeMap;

use shop_order::order::Owed;

use crate::audit::{Check, rows::CouponRow, snapshot::Snapshot};

/// I07: a used coupon names a live order of its owner that names it back, and is held by it; an unused one names and is
/// held by nobody.
pub(super) fn used_coupons_have_an_order(view: &Snapshot) -> Check {
    let mut check = Check::new("I07", "a used coupon belongs to one live order of its owner, an unused one to none");
    let mut holders: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for (order_id, hold) in view.coupon_holds.iter().filter(|(_, hold)| hold.is_live()) {
        holders.entry(hold.coupon_id.unwrap_or_default()).or_default().push(*order_id);
    }
    for (coupon_id, orders) in holders.iter().filter(|(coupon_id, _)| !view.coupons.contains_key(coupon_id)) {
        check.certain([coupon_id], format!("coupon {coupon_id} does not exist, but is held by {orders:?}"));
    }
    for coupon in view.coupons.values() {
        check.count();
        let id = coupon.coupon_id;
        let is_used = coupon.is_used != 0;
        if is_used != coupon.order_id.is_some() || is_used != coupon.used_ms.is_some() {
            check.certain([id], format!("coupon {id} is half used"));
        }
        let holders = holders.get(&id).map_or(&[][..], Vec::as_slice);
        if holders != coupon.order_id.as_slice() {
            let text = format!("coupon {id} is used by {:?}, but held by {holders:?}", coupon.order_id.as_slice());
            check.certain([id], text);
        }
        if let Some(order_id) = coupon.order_id
            && let Err(why) = is_live(view, coupon, order_id)
        {
            check.apparent([id, order_id], format!("coupon {id} is used by order {order_id}, {why}"));
        }
    }
    check
}

fn is_live(view: &Snapshot, coupon: &CouponRow, order_id: i64) -> Result<(), &'static str> {
    let order = view.orders.get(&order_id).ok_or("which does not exist")?;
    if order.user_id != coupon.user_id {
        return Err("which is somebody else's");
    }
    if order.coupon_id != Some(coupon.coupon_id) {
        return Err("which does not name it");
    }
    if !order.is_confirmed() && !order.is_moving(Owed::COUPON) {
        return Err("which is over");
    }
    Ok(())
}

/// I08: a confirmed order holds the coupon it names, at the value it was priced with; every other order holds none. An
/// order in status 0, or that owes its coupon, is left out.
pub(super) fn orders_have_their_coupon(view: &Snapshot) -> Check {
    let mut check =
        Check::new("I08", "a confirmed order holds the coupon it names at its value, every other order none");
    for (order_id, order) in view.orders.iter().filter(|(_, order)| !order.is_moving(Owed::COUPON)) {
        check.count();
        let wanted = order.coupon_id.filter(|_| order.is_confirmed());
        let held = view.coupon_holds.get(order_id).filter(|hold| hold.is_live()).and_then(|hold| hold.coupon_id);
        if held != wanted {
            let ids = [Some(*order_id), wanted, held].into_iter().flatten();
            let (held, wanted) = (shown(held), shown(wanted));
            check.apparent(ids, format!("order {order_id} holds {held} instead of {wanted}"));
        }
        let Some(coupon_id) = wanted else { continue };
        let coupon = view.coupons.get(&coupon_id);
        let is_spent = coupon.is_some_and(|coupon| coupon.order_id == Some(*order_id));
        let is_worth_it = coupon.is_some_and(|coupon| coupon.coupon_price_fen == order.coupon_paid_fen);
        if !is_spent || !is_worth_it {
            let fault = if is_spent { "is worth something else" } else { "is not spent on it" };
            check.apparent([*order_id, coupon_id], format!("coupon {coupon_id} of order {order_id} {fault}"));
        }
    }
    check
}

fn shown(coupon_id: Option<i64>) -> String {
    coupon_id.map_or_else(|| "no coupon".to_owned(), |coupon_id| format!("coupon {coupon_id}"))
}
