//! Do and undo of the same orders at once, on two instances of a service: of any two racers exactly one has its way.

use std::fmt::Debug;

use futures::{StreamExt, stream};
use shop_common::{
    batch::{Batcher, Command, Limits, NotDone},
    code::ShopCode,
    db::Db,
    hold::{Done, Undone},
    time::Clock,
};

use crate::{
    TestDb,
    participant::{NOW, Participant, execute, number},
};

/// Orders at once.
const AT_ONCE: usize = 16;
/// How often a racer that lost asks again.
const PATIENCE: usize = 100;

/// An instance of a service, with a pool and queues of its own.
struct Instance<D, U> {
    take: Batcher<D, Done>,
    give_back: Batcher<U, Undone>,
}

/// What one order was answered: by both instances each.
struct Met {
    order: i64,
    taken: [Done; 2],
    undone: Option<[Undone; 2]>,
}

impl<D: Command + Debug, U: Command + Debug> Participant<D, U> {
    /// Takes every order twice and, but for every fourth, gives it back twice, all at once.
    pub async fn do_and_undo_race(&self, orders: i64) {
        for test in self.fresh(orders).await {
            let instances = self.instances(&test).await;
            let racing = (1..=orders).map(|order| meet(self, order, &instances));
            let met: Vec<Met> = stream::iter(racing).buffer_unordered(AT_ONCE).collect().await;
            met.iter().for_each(Met::check);

            let (held, undone) = (count(&met, Met::is_held), count(&met, Met::is_undone));
            let never = count(&met, |met| met.undone == Some([Undone::NeverDone; 2]));
            assert!(held > 0 && undone > 0 && never > 0, "{}: no race: {held} {undone} {never}", test.name);
            for (state, expected) in [(1, held), (2, 0), (3, undone), (4, never)] {
                let sql = format!("SELECT COUNT(*) AS n FROM {} WHERE state = {state}", self.holds);
                assert_eq!(number(&test.db, &sql).await, expected, "{}: state {state}", test.name);
            }
            self.check(&test).await;
        }
    }

    /// Runs `commands`, of which the rows of `sql` allow one, all at once.
    pub async fn exactly_one_wins(&self, sql: &str, commands: Vec<D>, loses: ShopCode) {
        for test in self.fresh(0).await {
            execute(&test.db, sql).await;
            let instances = self.instances(&test).await;
            let racing = commands.iter().zip(instances.iter().cycle());
            let racing = racing.map(|(command, instance)| ask(&instance.take, command));
            let outcomes = futures::future::join_all(racing).await;
            let lost = |done: &&Done| matches!(done, Done::Refused(refusal) if refusal.code == loses);
            assert_eq!(outcomes.iter().filter(lost).count(), commands.len() - 1, "{}: {outcomes:?}", test.name);
            assert_eq!(outcomes.iter().filter(|done| **done == Done::Done).count(), 1, "{}", test.name);
            self.check(&test).await;
        }
    }

    async fn instances(&self, test: &TestDb) -> [Instance<D, U>; 2] {
        [self.instance(test.db.clone()), self.instance(test.connect_again().await)]
    }

    fn instance(&self, db: Db) -> Instance<D, U> {
        let (clock, limits) = (Clock::manual(NOW), Limits { body_ms: 60_000, ..Limits::default() });
        let take = Batcher::of_transactions(db.clone(), clock.clone(), limits, self.take);
        Instance { take, give_back: Batcher::of_transactions(db, clock, limits, self.give_back) }
    }
}

/// The undo of an order is sent after its do, before it, when one do has been answered, or never.
async fn meet<D: Command, U: Command>(
    participant: &Participant<D, U>,
    order: i64,
    [one, other]: &[Instance<D, U>; 2],
) -> Met {
    let (take, give_back) = ((participant.take_of)(order), (participant.give_back_of)(order));
    let (first, second) = (ask(&one.take, &take), ask(&other.take, &take));
    let undoes = async { tokio::join!(ask(&other.give_back, &give_back), ask(&one.give_back, &give_back)).into() };
    let (taken, undone) = match order % 4 {
        0 => (tokio::join!(first, second), None),
        1 => {
            let (first, second, undone) = tokio::join!(first, second, undoes);
            ((first, second), Some(undone))
        }
        2 => {
            let (undone, first, second) = tokio::join!(undoes, first, second);
            ((first, second), Some(undone))
        }
        _ => {
            let first = first.await;
            let (second, undone) = tokio::join!(second, undoes);
            ((first, second), Some(undone))
        }
    };
    Met { order, taken: taken.into(), undone }
}

/// Asks until there is an outcome, under the same id, as every caller of a participant must.
async fn ask<C: Command, O: Send + 'static>(batcher: &Batcher<C, O>, command: &C) -> O {
    for _ in 0..PATIENCE {
        match batcher.run(command.clone(), None).await {
            Ok(outcome) => return outcome,
            Err(NotDone::Unknown(_)) => {}
            Err(not_done) => panic!("{not_done}"),
        }
    }
    panic!("no outcome after {PATIENCE} tries");
}

fn count(met: &[Met], of: impl Fn(&Met) -> bool) -> i64 {
    i64::try_from(met.iter().filter(|met| of(met)).count()).expect("few orders")
}

impl Met {
    fn took(&self) -> bool {
        self.taken.contains(&Done::Done)
    }

    fn is_held(&self) -> bool {
        self.took() && self.undone.is_none()
    }

    fn is_undone(&self) -> bool {
        self.took() && self.undone.is_some()
    }

    /// At most one take took, and exactly what was taken was given back, once.
    fn check(&self) {
        let Self { order, taken, undone } = self;
        let both = *taken != [Done::Done, Done::Done];
        let already = self.took() || !taken.contains(&Done::Already);
        let cancelled = undone.is_some() || !taken.contains(&Done::Cancelled);
        assert!(both && already && cancelled, "order {order}: {taken:?} {undone:?}");
        let legal = match undone {
            None | Some([Undone::NeverDone, Undone::NeverDone]) => undone.is_none() || !self.took(),
            Some([Undone::Undone, Undone::AlreadyUndone] | [Undone::AlreadyUndone, Undone::Undone]) => self.took(),
            Some(_) => false,
        };
        assert!(legal, "order {order}: {taken:?} {undone:?}");
    }
}
