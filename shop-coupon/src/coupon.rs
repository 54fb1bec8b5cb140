//! The rules of coupons; no database, no clock, no async.

use std::collections::BTreeMap;

use shop_common::{
    code::ShopCode,
    error::ShopError,
    hold::{Before, Done, Holds, Undone},
    id::{CouponId, OrderId, UserId},
    money::Fen,
    time::Millis,
};

/// The field of an order that every refusal is about.
const FIELD: &str = "coupon_id";

/// What an order spends, and on what terms it was priced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redemption {
    /// Which coupon.
    pub coupon_id: CouponId,
    /// Who must own it.
    pub user_id: UserId,
    /// The order's items' total, for the coupon's minimum.
    pub items_total: Fen,
    /// The discount the order was priced with.
    pub discount: Fen,
}

/// A coupon; who spent it, as loaded and as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coupon {
    pub(crate) owner: UserId,
    pub(crate) discount: Fen,
    pub(crate) minimum: Fen,
    /// Inclusive.
    pub(crate) valid_from: Option<Millis>,
    /// Exclusive.
    pub(crate) valid_until: Option<Millis>,
    pub(crate) loaded: Option<OrderId>,
    pub(crate) spent_by: Option<OrderId>,
}

/// The rows of the orders and coupons that a batch touches. The hold of an order says which coupon it spent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coupons {
    pub(crate) holds: Holds,
    pub(crate) coupons: BTreeMap<CouponId, Coupon>,
}

impl Coupons {
    /// Spends the coupon on the order. Course, text 003 §8.2, traps 9, 13, 16.
    pub fn redeem(&mut self, order_id: OrderId, redemption: &Redemption, now: Millis) -> Done {
        let coupon_id = redemption.coupon_id;
        match self.holds.before(order_id.get()) {
            Before::TooLate => return Done::Cancelled,
            Before::Held if self.holds.subject(order_id.get()) == Some(coupon_id.get()) => return Done::Already,
            Before::Held => return Done::Refused(invalid("the order has spent another coupon")),
            Before::Free => {}
        }
        let owned = self.coupons.get_mut(&coupon_id).filter(|coupon| coupon.owner == redemption.user_id);
        let Some(coupon) = owned else { return Done::Refused(ShopError::at(ShopCode::CouponNotFound, FIELD)) };
        if let Err(refusal) = coupon.check(redemption, now) {
            return Done::Refused(refusal);
        }
        coupon.spent_by = Some(order_id);
        self.holds.hold(order_id.get(), Some(coupon_id.get()));
        Done::Done
    }

    /// Frees the coupon this order spent and no other; leaves a tombstone where none was. Traps 20, 29, 33.
    pub fn reinstate(&mut self, order_id: OrderId) -> Undone {
        let undone = self.holds.undo(order_id.get());
        if undone == Undone::Undone
            && let Some(coupon_id) = self.holds.subject(order_id.get())
            && let Some(coupon) = self.coupons.get_mut(&CouponId::new(coupon_id))
            && coupon.spent_by == Some(order_id)
        {
            coupon.spent_by = None;
        }
        undone
    }
}

impl Coupon {
    fn check(&self, redemption: &Redemption, now: Millis) -> Result<(), ShopError> {
        if self.spent_by.is_some() {
            return Err(invalid("the coupon is used"));
        }
        if self.valid_from.is_some_and(|from| now < from) {
            return Err(invalid("the coupon is not valid yet"));
        }
        if self.valid_until.is_some_and(|until| now >= until) {
            return Err(invalid("the coupon has expired"));
        }
        if redemption.items_total < self.minimum {
            return Err(invalid("the items' total is below the coupon's minimum"));
        }
        if redemption.discount != self.discount {
            return Err(invalid("the discount is not the coupon's"));
        }
        Ok(())
    }
}

fn invalid(why: &'static str) -> ShopError {
    ShopError::at(ShopCode::CouponInvalid, FIELD).because(why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COUPON: CouponId = CouponId::new(7);
    const OWNER: UserId = UserId::new(70);
    const NOW: Millis = Millis::new(1_000);

    /// 20.00 off from 100.00, from 500 ms until 2000 ms.
    const PLAIN: Coupon = Coupon {
        owner: OWNER,
        discount: Fen::new(2_000),
        minimum: Fen::new(10_000),
        valid_from: Some(Millis::new(500)),
        valid_until: Some(Millis::new(2_000)),
        loaded: None,
        spent_by: None,
    };

    const PRICED: Redemption =
        Redemption { coupon_id: COUPON, user_id: OWNER, items_total: Fen::new(10_000), discount: Fen::new(2_000) };

    fn coupons(coupon: Coupon) -> Coupons {
        Coupons { coupons: BTreeMap::from([(COUPON, coupon)]), ..Coupons::default() }
    }

    /// How a fresh `coupon` refuses; nothing may have changed.
    #[track_caller]
    fn refused(coupon: Coupon, redemption: Redemption, now: Millis) -> (ShopCode, String) {
        let mut view = coupons(coupon);
        let done = view.redeem(OrderId::new(1), &redemption, now);
        let Done::Refused(refusal) = done else { panic!("{done:?}") };
        assert_eq!((refusal.field.as_deref(), view), (Some("coupon_id"), coupons(coupon)));
        (refusal.code, refusal.message.into_owned())
    }

    #[track_caller]
    fn invalid_because(coupon: Coupon, redemption: Redemption, now: Millis, why: &str) {
        let (code, message) = refused(coupon, redemption, now);
        assert!(code == ShopCode::CouponInvalid && message.contains(why), "{code:?} {message}");
    }

    #[test]
    fn the_coupon_of_somebody_else_does_not_exist() {
        let stranger = Redemption { user_id: UserId::new(71), ..PRICED };
        assert_eq!(refused(PLAIN, stranger, NOW).0, ShopCode::CouponNotFound);
        let used = Coupon { spent_by: Some(OrderId::new(9)), ..PLAIN };
        assert_eq!(refused(used, stranger, NOW).0, ShopCode::CouponNotFound);
        let unknown = Redemption { coupon_id: CouponId::new(8), ..PRICED };
        assert_eq!(refused(PLAIN, unknown, NOW).0, ShopCode::CouponNotFound);
    }

    #[test]
    fn a_coupon_is_usable_inside_its_window_only() {
        invalid_because(PLAIN, PRICED, Millis::new(499), "not valid yet");
        invalid_because(PLAIN, PRICED, Millis::new(2_000), "expired");
        for now in [500, 1_999] {
            assert_eq!(coupons(PLAIN).redeem(OrderId::new(1), &PRICED, Millis::new(now)), Done::Done);
        }
        let endless = Coupon { valid_from: None, valid_until: None, ..PLAIN };
        for now in [i64::MIN, i64::MAX] {
            assert_eq!(coupons(endless).redeem(OrderId::new(1), &PRICED, Millis::new(now)), Done::Done);
        }
    }

    #[test]
    fn a_total_below_the_minimum_is_refused() {
        invalid_because(PLAIN, Redemption { items_total: Fen::new(9_999), ..PRICED }, NOW, "minimum");
    }

    #[test]
    fn another_discount_than_the_coupons_is_refused() {
        for discount in [1_999, 2_001, 0, -2_000] {
            invalid_because(PLAIN, Redemption { discount: Fen::new(discount), ..PRICED }, NOW, "discount");
        }
    }

    #[test]
    fn a_coupon_is_spent_once() {
        let mut view = coupons(PLAIN);
        assert_eq!(view.redeem(OrderId::new(1), &PRICED, NOW), Done::Done);
        let second = view.redeem(OrderId::new(2), &PRICED, NOW);
        let Done::Refused(refusal) = second else { panic!("{second:?}") };
        assert_eq!((refusal.code, &*refusal.message), (ShopCode::CouponInvalid, "the coupon is used"));
        assert_eq!(view.coupons[&COUPON].spent_by, Some(OrderId::new(1)));
    }

    #[test]
    fn a_repeat_inside_one_batch_is_a_repeat() {
        let mut view = coupons(PLAIN);
        assert_eq!(view.redeem(OrderId::new(1), &PRICED, NOW), Done::Done);
        assert_eq!(view.redeem(OrderId::new(1), &PRICED, NOW), Done::Already);
    }

    #[test]
    fn an_order_spends_one_coupon() {
        let (mut view, other) = (coupons(PLAIN), CouponId::new(8));
        view.coupons.insert(other, PLAIN);
        assert_eq!(view.redeem(OrderId::new(1), &PRICED, NOW), Done::Done);
        let second = view.redeem(OrderId::new(1), &Redemption { coupon_id: other, ..PRICED }, NOW);
        assert!(matches!(&second, Done::Refused(refusal) if refusal.code == ShopCode::CouponInvalid), "{second:?}");
        assert_eq!(view.coupons[&other].spent_by, None);
    }

    #[test]
    fn reinstating_frees_only_the_coupon_of_this_order() {
        let mut view = coupons(PLAIN);
        view.redeem(OrderId::new(1), &PRICED, NOW);
        view.coupons.insert(COUPON, Coupon { spent_by: Some(OrderId::new(2)), ..PLAIN });
        assert_eq!(view.reinstate(OrderId::new(1)), Undone::Undone);
        assert_eq!(view.coupons[&COUPON].spent_by, Some(OrderId::new(2)));
    }

    #[test]
    fn a_late_duplicate_never_frees_the_coupon_of_a_newer_order() {
        let mut view = coupons(PLAIN);
        view.redeem(OrderId::new(1), &PRICED, NOW);
        assert_eq!(view.reinstate(OrderId::new(1)), Undone::Undone);
        assert_eq!(view.redeem(OrderId::new(2), &PRICED, NOW), Done::Done);
        assert_eq!(view.reinstate(OrderId::new(1)), Undone::AlreadyUndone);
        assert_eq!(view.coupons[&COUPON].spent_by, Some(OrderId::new(2)));
    }

    proptest! {
        /// Whatever is spent and given back in whatever order: a coupon is used by the one order that holds it, or free.
        #[test]
        fn coupons_are_conserved(steps in prop::collection::vec((any::<bool>(), 1_i64..6, 7_i64..9), 0..60)) {
            let mut view = coupons(PLAIN);
            view.coupons.insert(CouponId::new(8), PLAIN);
            let mut undone = std::collections::BTreeSet::new();
            for (is_redeem, order, coupon) in steps {
                let order_id = OrderId::new(order);
                if is_redeem {
                    let done = view.redeem(order_id, &Redemption { coupon_id: CouponId::new(coupon), ..PRICED }, NOW);
                    prop_assert!(!undone.contains(&order) || done == Done::Cancelled);
                } else {
                    view.reinstate(order_id);
                    undone.insert(order);
                }
                for (coupon_id, coupon) in &view.coupons {
                    let holds = |order: &i64| view.holds.before(*order) == Before::Held;
                    let holders = (1..6).filter(holds).filter(|order| view.holds.subject(*order) == Some(coupon_id.get()));
                    let spent_by = coupon.spent_by.map(OrderId::get);
                    prop_assert_eq!(holders.collect::<Vec<_>>(), spent_by.into_iter().collect::<Vec<_>>());
                }
            }
        }
    }
}
