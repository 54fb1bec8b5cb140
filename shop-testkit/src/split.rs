//! However a stream of commands is cut into batches, the outcomes and the rows are the same.

use std::fmt::Debug;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use shop_common::batch::Command;

use crate::{TestDb, dump, participant::Participant};

/// Scripts, one for each seed.
const SEEDS: u64 = 4;
/// Commands of a script.
const STEPS: usize = 48;
/// Orders of a script: few, so that they repeat themselves and stand in each other's way.
const ORDERS: std::ops::RangeInclusive<i64> = 1..=8;
/// How often a batch ends where it need not, percent: every command alone, some together, all that can be.
const CUTS: [u8; 3] = [100, 30, 0];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Take,
    GiveBack,
}

/// Commands of one kind in a row.
type Script = Vec<(Kind, Vec<i64>)>;

impl<D: Command + Debug, U: Command + Debug> Participant<D, U> {
    /// Plays the same scripts in batches of every size on both engines.
    pub async fn splits_alike(&self) {
        for seed in 1..=SEEDS {
            let mut dice = StdRng::seed_from_u64(seed);
            let script = script(&mut dice);
            let mut first = None;
            for percent in CUTS {
                let batches = cut(&script, percent, &mut dice);
                for test in self.fresh(0).await {
                    let played = self.play(&test, &batches).await;
                    let expected = first.get_or_insert_with(|| played.clone());
                    assert_eq!(&played, expected, "{}: seed {seed}, cut {percent}", test.name);
                }
            }
        }
    }

    /// What came of it: outcomes and rows.
    async fn play(&self, test: &TestDb, batches: &Script) -> (Vec<String>, String) {
        let mut outcomes = Vec::new();
        for (kind, orders) in batches {
            match kind {
                Kind::Take => outcomes.extend(shown(self.takes_of(&test.db, orders).await)),
                Kind::GiveBack => outcomes.extend(shown(self.gives_back(&test.db, orders).await)),
            }
        }
        self.check(test).await;
        (outcomes, dump(&test.db).await)
    }
}

fn shown<O: Debug>(outcomes: Vec<O>) -> impl Iterator<Item = String> {
    outcomes.into_iter().map(|outcome| format!("{outcome:?}"))
}

fn script(dice: &mut StdRng) -> Script {
    let (mut script, mut steps) = (Script::new(), 0);
    while steps < STEPS {
        let orders: Vec<i64> = (0..dice.random_range(1..=12)).map(|_| dice.random_range(ORDERS)).collect();
        steps += orders.len();
        let kind = if dice.random_range(0..3) == 0 { Kind::GiveBack } else { Kind::Take };
        script.push((kind, orders));
    }
    script
}

fn cut(script: &Script, percent: u8, dice: &mut StdRng) -> Script {
    let mut batches = Script::new();
    for (kind, orders) in script {
        let mut batch = Vec::new();
        for order in orders {
            if !batch.is_empty() && dice.random_range(0..100) < percent {
                batches.push((*kind, std::mem::take(&mut batch)));
            }
            batch.push(*order);
        }
        batches.push((*kind, batch));
    }
    batches
}
