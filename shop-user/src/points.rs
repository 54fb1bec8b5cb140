//! The rules of points; no database, no clock, no async.

use std::collections::BTreeMap;

use shop_common::{
    code::ShopCode,
    error::ShopError,
    hold::{Before, Done, Holds, Undone},
    id::{PayId, UserId},
    money::Fen,
};

/// What a movement of points was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogType {
    /// Credited by a payment.
    Credited,
    /// Taken back with it.
    Reversed,
}

/// A movement of points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The payment that caused it.
    pub pay_id: PayId,
    /// On whose score.
    pub user_id: UserId,
    /// What it was.
    pub log_type: LogType,
    /// Signed: negative when reversed.
    pub delta: i64,
}

/// Points of a user, as loaded and as they are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Score {
    pub(crate) loaded: i64,
    pub(crate) points: i64,
}

/// The rows of the payments and users that a batch touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Points {
    pub(crate) holds: Holds,
    pub(crate) scores: BTreeMap<UserId, Score>,
    /// What each payment earned, from the ledger.
    pub(crate) credited: BTreeMap<PayId, (UserId, i64)>,
    /// What this batch adds to the ledger.
    pub(crate) movements: Vec<Movement>,
}

impl Points {
    /// Credits one point for each whole yuan paid. Course, text 003 chapter 10, traps 36, 49.
    pub fn award(&mut self, pay_id: PayId, user_id: UserId, paid: Fen) -> Done {
        match self.holds.before(pay_id.get()) {
            Before::TooLate => return Done::Cancelled,
            Before::Held => return Done::Already,
            Before::Free => {}
        }
        if paid <= Fen::ZERO {
            return Done::Refused(ShopError::invalid("paid_fen", "an amount paid is greater than zero"));
        }
        let Some(score) = self.scores.get_mut(&user_id) else {
            return Done::Refused(ShopError::at(ShopCode::UserNotFound, "user_id"));
        };
        let delta = paid.whole_yuan();
        let Some(points) = score.points.checked_add(delta) else {
            return Done::Refused(ShopError::invalid("paid_fen", "the score would not fit"));
        };
        score.points = points;
        self.holds.hold(pay_id.get(), None);
        self.credited.insert(pay_id, (user_id, delta));
        self.movements.push(Movement { pay_id, user_id, log_type: LogType::Credited, delta });
        Done::Done
    }

    /// Takes back what our ledger says was credited; leaves a tombstone where nothing was. Trap 49.
    ///
    /// `None` when the score would fall below zero: nothing of this view may be kept.
    pub fn reverse(&mut self, pay_id: PayId) -> Option<Undone> {
        let undone = self.holds.undo(pay_id.get());
        if undone == Undone::Undone
            && let Some((user_id, points)) = self.credited.remove(&pay_id)
        {
            let score = self.scores.get_mut(&user_id)?;
            score.points = score.points.checked_sub(points).filter(|points| *points >= 0)?;
            let delta = points.saturating_neg();
            self.movements.push(Movement { pay_id, user_id, log_type: LogType::Reversed, delta });
        }
        Some(undone)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USER: UserId = UserId::new(7);

    fn points(points: i64) -> Points {
        Points { scores: BTreeMap::from([(USER, Score { loaded: points, points })]), ..Points::default() }
    }

    /// How a fresh score of `held` refuses; nothing may have changed.
    #[track_caller]
    fn refused(held: i64, user_id: UserId, paid: i64) -> (ShopCode, String) {
        let mut view = points(held);
        let done = view.award(PayId::new(1), user_id, Fen::new(paid));
        let Done::Refused(refusal) = done else { panic!("{done:?}") };
        assert_eq!(view, points(held));
        (refusal.code, refusal.field.unwrap_or_default().into_owned())
    }

    #[test]
    fn every_whole_yuan_earns_one_point() {
        for (paid, earned) in [(88_000, 880), (88_099, 880), (100, 1), (99, 0), (1, 0)] {
            let mut view = points(100);
            assert_eq!(view.award(PayId::new(1), USER, Fen::new(paid)), Done::Done);
            assert_eq!(view.scores[&USER].points, 100 + earned, "{paid}");
        }
    }

    #[test]
    fn a_payment_of_nothing_is_refused() {
        for paid in [0, -1, i64::MIN] {
            assert_eq!(refused(100, USER, paid), (ShopCode::ParameterInvalid, "paid_fen".to_owned()));
        }
    }

    #[test]
    fn an_unknown_user_is_refused() {
        assert_eq!(refused(100, UserId::new(8), 100), (ShopCode::UserNotFound, "user_id".to_owned()));
    }

    #[test]
    fn a_score_that_would_not_fit_is_refused() {
        assert_eq!(refused(i64::MAX, USER, 100), (ShopCode::ParameterInvalid, "paid_fen".to_owned()));
    }

    #[test]
    fn a_repeat_inside_one_batch_is_a_repeat() {
        let mut view = points(100);
        assert_eq!(view.award(PayId::new(1), USER, Fen::new(500)), Done::Done);
        assert_eq!(view.award(PayId::new(1), USER, Fen::new(500)), Done::Already);
        assert_eq!(view.scores[&USER].points, 105);
    }

    #[test]
    fn a_reversal_below_zero_keeps_nothing() {
        let mut view = points(0);
        view.award(PayId::new(1), USER, Fen::new(500));
        view.scores.insert(USER, Score { loaded: 4, points: 4 });
        assert_eq!(view.reverse(PayId::new(1)), None);
    }

    proptest! {
        /// Whatever is credited and reversed in whatever order: nothing is made, nothing is lost, nothing goes below zero.
        #[test]
        fn points_are_conserved(steps in prop::collection::vec((any::<bool>(), 1_i64..6, 1_i64..1000), 0..60)) {
            let mut view = points(10);
            let mut undone = std::collections::BTreeSet::new();
            for (is_award, pay, fen) in steps {
                let pay_id = PayId::new(pay);
                if is_award {
                    let done = view.award(pay_id, USER, Fen::new(fen));
                    prop_assert!(!undone.contains(&pay) || done == Done::Cancelled);
                } else {
                    prop_assert!(view.reverse(pay_id).is_some());
                    undone.insert(pay);
                }
                let moved: i64 = view.movements.iter().map(|movement| movement.delta).sum();
                prop_assert_eq!(view.scores[&USER].points, 10 + moved);
                prop_assert!(view.scores[&USER].points >= 10);
            }
            for pay in &undone {
                let net: i64 = view.movements.iter().filter(|m| m.pay_id.get() == *pay).map(|m| m.delta).sum();
                prop_assert_eq!(net, 0);
            }
        }
    }
}
