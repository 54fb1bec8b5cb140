//! What goes wrong at a provider: by chance from a seed, or the very next time when a test says so.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};

/// Chances in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Odds {
    /// A notification is not sent; it counts as sent.
    pub drop_notice: u32,
    /// A notification is sent twice.
    pub double_notice: u32,
    /// A notification comes a minute later.
    pub delay_notice: u32,
    /// A request is done and its answer lost.
    pub lose_answer: u32,
    /// A request is not done and answered with a system error.
    pub unknown: u32,
    /// A request is refused for a reason of the provider's own.
    pub refuse: u32,
}

/// Chances that leave none for what goes right, and then some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} are more than 100 percent together: one thing goes wrong at a time")]
pub struct TooMuch(&'static str);

impl Odds {
    /// Whether they can be thrown: for a notification, and for a request, at most one thing goes wrong.
    ///
    /// # Errors
    /// [`TooMuch`].
    pub fn check(&self) -> Result<(), TooMuch> {
        let Self { drop_notice, double_notice, delay_notice, lose_answer, unknown, refuse } = *self;
        for (what, chances) in [
            ("faults of notifications", [drop_notice, double_notice, delay_notice]),
            ("faults of requests", [lose_answer, unknown, refuse]),
        ] {
            if chances.into_iter().fold(0, u32::saturating_add) > 100 {
                return Err(TooMuch(what));
            }
        }
        Ok(())
    }
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFault {
    /// It is done and its answer lost.
    LoseAnswer,
    /// It is not done and answered with a system error.
    Unknown,
    /// It is refused for a reason of the provider's own.
    Refuse,
}

/// What goes wrong with a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeFault {
    /// It is not sent.
    Drop,
    /// It is sent twice.
    Double,
    /// It comes later.
    Delay,
}

/// The dice, and what was ordered.
#[derive(Debug)]
pub struct Faults(Mutex<State>);

#[derive(Debug)]
struct State {
    dice: StdRng,
    odds: Odds,
    calls: VecDeque<CallFault>,
    notices: VecDeque<NoticeFault>,
}

impl Faults {
    /// Nothing goes wrong unless it is ordered.
    pub fn none() -> Self {
        Self::seeded(0, Odds::default())
    }

    /// The same seed and requests give the same faults.
    pub fn seeded(seed: u64, odds: Odds) -> Self {
        let dice = StdRng::seed_from_u64(seed);
        Self(Mutex::new(State { dice, odds, calls: VecDeque::new(), notices: VecDeque::new() }))
    }

    /// The next request that is done or refused meets `fault`; more of them queue up.
    pub fn next_call(&self, fault: CallFault) {
        self.state().calls.push_back(fault);
    }

    /// The next notification meets `fault`; more of them queue up.
    pub fn next_notice(&self, fault: NoticeFault) {
        self.state().notices.push_back(fault);
    }

    /// What goes wrong with this request.
    pub fn call(&self) -> Option<CallFault> {
        let mut state = self.state();
        let Odds { lose_answer, unknown, refuse, .. } = state.odds;
        let ordered = state.calls.pop_front();
        ordered.or_else(|| {
            let chances =
                [(lose_answer, CallFault::LoseAnswer), (unknown, CallFault::Unknown), (refuse, CallFault::Refuse)];
            thrown(&mut state.dice, chances)
        })
    }

    /// What goes wrong with this notification.
    pub(crate) fn notice(&self) -> Option<NoticeFault> {
        let mut state = self.state();
        let Odds { drop_notice, double_notice, delay_notice, .. } = state.odds;
        let ordered = state.notices.pop_front();
        ordered.or_else(|| {
            let chances = [
                (drop_notice, NoticeFault::Drop),
                (double_notice, NoticeFault::Double),
                (delay_notice, NoticeFault::Delay),
            ];
            thrown(&mut state.dice, chances)
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One throw for all chances: at most one of them happens.
fn thrown<F, const N: usize>(dice: &mut impl Rng, chances: [(u32, F); N]) -> Option<F> {
    let throw = dice.random_range(0..100_u32);
    let mut below = 0_u32;
    for (percent, fault) in chances {
        below = below.saturating_add(percent);
        if throw < below {
            return Some(fault);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let odds = Odds { lose_answer: 30, unknown: 20, refuse: 10, ..Odds::default() };
        let calls = |seed| {
            let faults = Faults::seeded(seed, odds);
            (0..100).map(|_| faults.call()).collect::<Vec<_>>()
        };
        assert_eq!(calls(7), calls(7));
        assert_ne!(calls(7), calls(8));
        let hit = calls(7).into_iter().flatten().count();
        assert!((30..90).contains(&hit), "{hit} of 100 at 60 percent");
    }

    #[test]
    fn what_is_ordered_comes_first_and_once() {
        let faults = Faults::none();
        faults.next_call(CallFault::Refuse);
        faults.next_notice(NoticeFault::Double);
        assert_eq!((faults.call(), faults.call()), (Some(CallFault::Refuse), None));
        assert_eq!((faults.notice(), faults.notice()), (Some(NoticeFault::Double), None));
    }
}
