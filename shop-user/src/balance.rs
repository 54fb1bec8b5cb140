//! The rules of balance; no database, no clock, no async.

use std::collections::BTreeMap;

use shop_common::{
    code::ShopCode,
    error::ShopError,
    hold::{Before, Done, Holds, Undone},
    id::{OrderId, UserId},
    money::Fen,
};

/// The field of an order that says how much.
const FIELD: &str = "balance_used_fen";

/// What a movement of money was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogType {
    /// Paid for an order.
    Taken,
    /// Given back by it.
    GivenBack,
}

/// A movement of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The order that caused it.
    pub order_id: OrderId,
    /// On whose balance.
    pub user_id: UserId,
    /// What it was.
    pub log_type: LogType,
    /// Signed: negative when taken.
    pub delta: Fen,
}

/// Money of a user, as loaded and as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Purse {
    pub(crate) loaded: Fen,
    pub(crate) balance: Fen,
}

/// The rows of the orders and users that a batch touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    pub(crate) holds: Holds,
    pub(crate) purses: BTreeMap<UserId, Purse>,
    /// What each order took, from the ledger.
    pub(crate) taken: BTreeMap<OrderId, (UserId, Fen)>,
    /// What this batch adds to the ledger.
    pub(crate) movements: Vec<Movement>,
}

impl Balances {
    /// Takes the amount for the order. Course, text 003 §8.2, traps 7, 14, 16.
    pub fn debit(&mut self, order_id: OrderId, user_id: UserId, amount: Fen) -> Done {
        match self.holds.before(order_id.get()) {
            Before::TooLate => return Done::Cancelled,
            Before::Held => return Done::Already,
            Before::Free => {}
        }
        if amount <= Fen::ZERO {
            return Done::Refused(ShopError::invalid(FIELD, "an amount to take is greater than zero"));
        }
        let Some(purse) = self.purses.get_mut(&user_id) else {
            return Done::Refused(ShopError::at(ShopCode::UserNotFound, "user_id"));
        };
        let Some(left) = purse.balance.checked_sub(amount).filter(|left| !left.is_negative()) else {
            return Done::Refused(ShopError::at(ShopCode::MoneyPaidInvalid, FIELD));
        };
        purse.balance = left;
        self.holds.hold(order_id.get(), None);
        self.taken.insert(order_id, (user_id, amount));
        let delta = Fen::new(amount.get().saturating_neg());
        self.movements.push(Movement { order_id, user_id, log_type: LogType::Taken, delta });
        Done::Done
    }

    /// Gives back what our ledger says was taken; leaves a tombstone where nothing was. Traps 20, 30, 33.
    ///
    /// `None` when the balance would not fit: nothing of this view may be kept.
    pub fn refund(&mut self, order_id: OrderId) -> Option<Undone> {
        let undone = self.holds.undo(order_id.get());
        if undone == Undone::Undone
            && let Some((user_id, delta)) = self.taken.remove(&order_id)
        {
            let purse = self.purses.get_mut(&user_id)?;
            purse.balance = purse.balance.checked_add(delta)?;
            self.movements.push(Movement { order_id, user_id, log_type: LogType::GivenBack, delta });
        }
        Some(undone)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USER: UserId = UserId::new(7);

    fn balances(fen: i64) -> Balances {
        let balance = Fen::new(fen);
        Balances { purses: BTreeMap::from([(USER, Purse { loaded: balance, balance })]), ..Balances::default() }
    }

    /// How a fresh balance of `fen` refuses; nothing may have changed.
    #[track_caller]
    fn refused(fen: i64, user_id: UserId, amount: i64) -> (ShopCode, String) {
        let mut view = balances(fen);
        let done = view.debit(OrderId::new(1), user_id, Fen::new(amount));
        let Done::Refused(refusal) = done else { panic!("{done:?}") };
        assert_eq!(view, balances(fen));
        (refusal.code, refusal.field.unwrap_or_default().into_owned())
    }

    #[test]
    fn the_last_fen_can_be_spent_and_no_more() {
        let mut view = balances(300);
        assert_eq!(view.debit(OrderId::new(1), USER, Fen::new(300)), Done::Done);
        assert_eq!(view.purses[&USER].balance, Fen::ZERO);
        assert_eq!(refused(300, USER, 301), (ShopCode::MoneyPaidInvalid, "balance_used_fen".to_owned()));
        assert_eq!(refused(0, USER, i64::MAX).0, ShopCode::MoneyPaidInvalid);
    }

    #[test]
    fn an_amount_below_one_fen_is_refused() {
        for amount in [0, -1, i64::MIN] {
            assert_eq!(refused(300, USER, amount), (ShopCode::ParameterInvalid, "balance_used_fen".to_owned()));
        }
    }

    #[test]
    fn an_unknown_user_is_refused() {
        assert_eq!(refused(300, UserId::new(8), 1), (ShopCode::UserNotFound, "user_id".to_owned()));
    }

    #[test]
    fn a_repeat_inside_one_batch_is_a_repeat() {
        let mut view = balances(300);
        assert_eq!(view.debit(OrderId::new(1), USER, Fen::new(200)), Done::Done);
        assert_eq!(view.debit(OrderId::new(1), USER, Fen::new(200)), Done::Already);
        assert_eq!(view.purses[&USER].balance, Fen::new(100));
    }

    #[test]
    fn a_refund_that_would_not_fit_keeps_nothing() {
        let mut view = balances(300);
        view.debit(OrderId::new(1), USER, Fen::new(200));
        view.purses.insert(USER, Purse { loaded: Fen::new(i64::MAX - 199), balance: Fen::new(i64::MAX - 199) });
        assert_eq!(view.refund(OrderId::new(1)), None);
    }

    proptest! {
        /// Whatever is taken and given back in whatever order: nothing is made, nothing is lost, nothing goes below zero.
        #[test]
        fn money_is_conserved(steps in prop::collection::vec((any::<bool>(), 1_i64..6, 1_i64..5), 0..60)) {
            let mut view = balances(10);
            let mut undone = std::collections::BTreeSet::new();
            for (is_debit, order, fen) in steps {
                let order_id = OrderId::new(order);
                if is_debit {
                    let done = view.debit(order_id, USER, Fen::new(fen));
                    prop_assert!(!undone.contains(&order) || done == Done::Cancelled);
                } else {
                    prop_assert!(view.refund(order_id).is_some());
                    undone.insert(order);
                }
                let moved: i64 = view.movements.iter().map(|movement| movement.delta.get()).sum();
                prop_assert_eq!(view.purses[&USER].balance, Fen::new(10 + moved));
                prop_assert!(!view.purses[&USER].balance.is_negative());
            }
            for order in &undone {
                let of_order = view.movements.iter().filter(|movement| movement.order_id.get() == *order);
                prop_assert_eq!(of_order.map(|movement| movement.delta.get()).sum::<i64>(), 0);
            }
        }
    }
}
