//! What clients know of their orders, and what the shop must therefore have.

use shop_common::code::{ShopCode, Verdict};
use shop_proto::order::v1::{Order, OrderStatus};
use shop_testkit::participant::number;

use super::Wish;
use crate::world::{
    Answer, World, code,
    data::{BALANCE, GOODS, Look, SCORE, STOCK},
};

/// Buyers 1 to 3, each with a coupon of the same number.
pub(super) const BUYERS: i64 = 3;

/// What the client of an order knows of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Nothing: it may be confirmed, cancelled or not there.
    Unknown,
    Confirmed,
    /// By the shop or by the buyer: nothing of it is left, for ever.
    Over,
}

/// An order that was asked for.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) buyer: i64,
    pub(super) quantity: i32,
    pub(super) with_coupon: bool,
    pub(super) balance_used: i64,
    told: Told,
    order: Option<Order>,
    paid_by: Vec<i64>,
    seen: OrderStatus,
}

impl Placed {
    pub(super) fn of(buyer: i64, quantity: i32, with_coupon: bool, balance_used: i64) -> Self {
        let (told, order, paid_by) = (Told::Unknown, None, Vec::new());
        Self { buyer, quantity, with_coupon, balance_used, told, order, paid_by, seen: OrderStatus::Unconfirmed }
    }
}

/// All orders that were asked for.
#[derive(Debug, Default)]
pub(super) struct Reference {
    pub(super) placed: Vec<Placed>,
}

impl Reference {
    pub(super) fn place(&mut self, placed: Placed) -> usize {
        self.placed.push(placed);
        self.placed.len() - 1
    }

    pub(super) fn any(&self, nth: usize) -> Option<usize> {
        nth.checked_rem(self.placed.len())
    }

    /// One of the orders whose number a client knows.
    pub(super) fn any_order(&self, nth: usize) -> Option<(usize, Order)> {
        let known: Vec<_> = self.placed.iter().enumerate().filter_map(|(n, p)| Some((n, p.order.clone()?))).collect();
        known.get(nth.checked_rem(known.len())?).cloned()
    }

    pub(super) fn answered(&mut self, nth: usize, answer: Answer<Order>) {
        let placed = &mut self.placed[nth];
        match answer {
            Ok(order) => {
                assert!(placed.order.as_ref().is_none_or(|known| known.order_id == order.order_id), "two orders");
                // One that was confirmed stays an answer, whatever became of it.
                let is_live = order.status() == OrderStatus::Confirmed;
                assert!(placed.told != Told::Over || !is_live, "an order that was over lives again: {order:?}");
                placed.told = if is_live { Told::Confirmed } else { Told::Over };
                placed.order = Some(order);
            }
            Err(error) if error.verdict() != Verdict::Refused => {}
            Err(error) => {
                assert!(placed.told != Told::Confirmed, "a confirmed order was refused: {error:?}");
                placed.told = Told::Over;
            }
        }
    }

    pub(super) fn cancelled(&mut self, nth: usize, answer: &Answer<Order>) {
        let placed = &mut self.placed[nth];
        match code(answer) {
            None => placed.told = Told::Over,
            Some(ShopCode::OrderNotCancellable) => assert!(!placed.paid_by.is_empty(), "{placed:?}: {answer:?}"),
            _ => panic!("{placed:?}: {answer:?}"),
        }
    }

    pub(super) fn paid(&mut self, nth: usize, pay_id: i64) {
        if !self.placed[nth].paid_by.contains(&pay_id) {
            self.placed[nth].paid_by.push(pay_id);
        }
    }

    /// Whether an order must be confirmed, or must not, while nothing goes wrong; what is owed back may be back or not.
    pub(super) fn foretell(&self, wish: &Wish) -> Option<bool> {
        let is_there = |may_hold: &dyn Fn(&Placed) -> bool| {
            let held = |of: &dyn Fn(&Placed) -> i64| self.placed.iter().filter(|p| may_hold(p)).map(of).sum::<i64>();
            let mine = |p: &Placed| p.buyer == wish.buyer;
            let stock = STOCK - held(&|p| i64::from(p.quantity)) >= i64::from(wish.quantity);
            let balance = BALANCE - held(&|p| if mine(p) { p.balance_used } else { 0 }) >= wish.balance_used;
            let coupon = !wish.with_coupon || held(&|p| i64::from(mine(p) && p.with_coupon)) == 0;
            stock && balance && coupon
        };
        if is_there(&|_| true) {
            return Some(true);
        }
        if is_there(&|placed| placed.told == Told::Confirmed) { None } else { Some(false) }
    }

    /// Nobody sees an order come back: once over, over; once confirmed, no more than over.
    pub(super) async fn look(&mut self, world: &World) {
        for placed in &mut self.placed {
            let Some(order) = &placed.order else { continue };
            let (was, is) = (placed.seen, world.status(order.order_id).await);
            assert!(is >= was, "{was:?} became {is:?}: {placed:?}");
            placed.seen = is;
        }
    }

    /// At rest every order is whole or gone, as its client was told, and nobody has more or less than that.
    pub(super) async fn check(&self, world: &World) {
        let mut expected: Vec<Look> =
            (0..BUYERS).map(|_| Look { stock: STOCK, balance: BALANCE, score: SCORE, spent_by: None }).collect();
        for (nth, placed) in self.placed.iter().enumerate() {
            let stands = stands(world, nth, placed).await;
            let is_live = stands.is_some();
            assert!(placed.told != Told::Over || !is_live, "{placed:?}");
            assert!(placed.told != Told::Confirmed || is_live, "{placed:?}");
            self.check_money(world, placed, is_live).await;
            let Some(order_id) = stands else { continue };
            for look in &mut expected {
                look.stock -= i64::from(placed.quantity);
            }
            let buyer = &mut expected[usize::try_from(placed.buyer).unwrap() - 1];
            buyer.balance -= placed.balance_used;
            if placed.with_coupon {
                assert_eq!(buyer.spent_by.replace(order_id), None, "one coupon, two orders");
            }
            if !placed.paid_by.is_empty() {
                buyer.score += placed.order.as_ref().unwrap().amount_due_fen / 100;
            }
        }
        for (buyer, expected) in (1..=BUYERS).zip(expected) {
            assert_eq!(world.look_at(GOODS, buyer, buyer).await, expected, "buyer {buyer}: {:#?}", self.placed);
        }
    }

    /// Of the payments of a live order one is kept; everything else that arrived goes back.
    async fn check_money(&self, world: &World, placed: &Placed, is_live: bool) {
        let mut kept = 0;
        for pay_id in &placed.paid_by {
            let of = |column: &str| format!("SELECT {column} AS n FROM trade_pay WHERE pay_id = {pay_id}");
            let pay = &world.schemas.pay;
            assert_eq!(number(pay, &of("is_paid")).await, 2, "money that arrived is never ignored: {placed:?}");
            kept += i64::from(number(pay, &of("refund_fen")).await == 0);
        }
        let expected = i64::from(is_live && !placed.paid_by.is_empty());
        assert_eq!(kept, expected, "{placed:?}");
    }
}

/// The number of this order, if it stands.
async fn stands(world: &World, nth: usize, placed: &Placed) -> Option<i64> {
    let of = |column: &str| {
        let buyer = placed.buyer;
        format!(
            "SELECT COALESCE(MAX({column}), 0) AS n FROM trade_order WHERE user_id = {buyer} AND request_id = 'k{nth}' AND order_status = 1"
        )
    };
    Some(number(&world.schemas.order, &of("order_id")).await).filter(|order_id| *order_id != 0)
}
