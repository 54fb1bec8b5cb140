//! The contract of whatever an order holds and gives back again: one suite, run over stock, coupons, balance and points.
//!
//! A participant is two bodies over batches, one that takes under a hold and one that gives back, and the SQL that finds
//! rows which contradict each other. Every test here ends by asking for those. What is absent: the rules of any service.

use std::fmt::Debug;

use futures::future::BoxFuture;
use sea_orm::{ConnectionTrait, Statement};
use shop_common::{
    batch::Command,
    code::ShopCode,
    db::{Db, Failure, Result, Tx},
    hold::{Done, Undone},
    migrate::{SqlFile, seed},
    time::Millis,
};

use crate::{TestDb, databases, dump};

/// The time of every body that a test runs.
pub const NOW: Millis = Millis::new(1_700_000_000_000);
/// What is expected of `fresh` rows that are not scarce.
const PLENTY: i64 = 100;

/// A body over a batch, as the files of `tx/` have it.
pub type Body<C, O> = for<'a> fn(&'a Tx, &'a [C], Millis) -> BoxFuture<'a, Result<Vec<O>>>;

/// Something that an order (or payment) takes and gives back.
#[derive(Clone, Copy)]
pub struct Participant<D, U> {
    /// Its schema.
    pub schema: &'static [SqlFile],
    /// The SQL of rows enough for about this many orders; scarce for few.
    pub rows: fn(i64) -> String,
    /// Takes.
    pub take: Body<D, Done>,
    /// Gives back.
    pub give_back: Body<U, Undone>,
    /// The taking of this order; of orders 10, 20, 30 … none stands in another's way.
    pub take_of: fn(i64) -> D,
    /// The giving back of this order.
    pub give_back_of: fn(i64) -> U,
    /// Its table of holds.
    pub holds: &'static str,
    /// Each counts, as `n`, rows that contradict each other.
    pub violations: fn() -> Vec<String>,
}

impl<D: Command + Debug, U: Command + Debug> Participant<D, U> {
    /// Fresh databases with rows for `orders`.
    pub async fn fresh(&self, orders: i64) -> Vec<TestDb> {
        let tests = databases(self.schema).await;
        for test in &tests {
            execute(&test.db, &(self.rows)(orders)).await;
        }
        tests
    }

    /// Takes in one batch.
    pub async fn takes(&self, db: &Db, commands: &[D]) -> Vec<Done> {
        let taken = db.write_tx(async |tx| (self.take)(tx, commands, NOW).await).await;
        taken.unwrap_or_else(|failure| panic!("{failure}: {commands:?}"))
    }

    /// Gives back in one batch.
    pub async fn gives_back(&self, db: &Db, orders: &[i64]) -> Vec<Undone> {
        let commands: Vec<U> = orders.iter().map(|order| (self.give_back_of)(*order)).collect();
        let undone = db.write_tx(async |tx| (self.give_back)(tx, &commands, NOW).await).await;
        undone.unwrap_or_else(|failure| panic!("{failure}: {commands:?}"))
    }

    /// Takes these orders in one batch.
    pub async fn takes_of(&self, db: &Db, orders: &[i64]) -> Vec<Done> {
        let commands: Vec<D> = orders.iter().map(|order| (self.take_of)(*order)).collect();
        self.takes(db, &commands).await
    }

    /// Fails when rows contradict each other.
    pub async fn check(&self, test: &TestDb) {
        for sql in (self.violations)() {
            assert_eq!(number(&test.db, &sql).await, 0, "{}: {sql}", test.name);
        }
    }

    /// A do, its repeat, the undo, its repeat, the late do.
    pub async fn repeats_change_nothing(&self) {
        for test in self.fresh(PLENTY).await {
            let (db, before) = (&test.db, dump(&test.db).await);
            assert_eq!(self.takes_of(db, &[10]).await, [Done::Done], "{}", test.name);
            let taken = dump(db).await;
            assert_ne!(taken, before, "{}", test.name);
            assert_eq!(self.takes_of(db, &[10]).await, [Done::Already], "{}", test.name);
            assert_eq!(dump(db).await, taken, "{}", test.name);

            assert_eq!(self.gives_back(db, &[10]).await, [Undone::Undone], "{}", test.name);
            let given_back = dump(db).await;
            assert_ne!(given_back, taken, "{}", test.name);
            assert_eq!(self.gives_back(db, &[10]).await, [Undone::AlreadyUndone], "{}", test.name);
            assert_eq!(self.takes_of(db, &[10]).await, [Done::Cancelled], "{}", test.name);
            assert_eq!(dump(db).await, given_back, "{}", test.name);
            self.check(&test).await;
        }
    }

    /// An undo without a do leaves a tombstone and nothing else; the late do finds it.
    pub async fn an_undo_that_comes_first_keeps_the_do_out(&self) {
        for test in self.fresh(PLENTY).await {
            let (db, before) = (&test.db, dump(&test.db).await);
            assert_eq!(self.gives_back(db, &[10]).await, [Undone::NeverDone], "{}", test.name);
            let tombstone = dump(db).await;
            assert_eq!(tombstone.lines().count(), before.lines().count() + 1, "{}: {tombstone}", test.name);
            assert_eq!(self.takes_of(db, &[10]).await, [Done::Cancelled], "{}", test.name);
            assert_eq!(self.gives_back(db, &[10]).await, [Undone::NeverDone], "{}", test.name);
            assert_eq!(dump(db).await, tombstone, "{}", test.name);
            self.check(&test).await;
        }
    }

    /// A batch that holds a command twice does what two batches do.
    pub async fn a_batch_may_repeat_itself(&self) {
        for (test, alone) in self.fresh(PLENTY).await.into_iter().zip(self.fresh(PLENTY).await) {
            let taken = self.takes_of(&test.db, &[10, 10, 20]).await;
            assert_eq!(taken, [Done::Done, Done::Already, Done::Done], "{}", test.name);
            let undone = self.gives_back(&test.db, &[10, 10, 30, 30]).await;
            let once = [Undone::Undone, Undone::AlreadyUndone, Undone::NeverDone, Undone::NeverDone];
            assert_eq!(undone, once, "{}", test.name);

            for order in [10, 20] {
                self.takes_of(&alone.db, &[order]).await;
            }
            for order in [10, 30] {
                self.gives_back(&alone.db, &[order]).await;
            }
            assert_eq!(dump(&test.db).await, dump(&alone.db).await, "{}", test.name);
            self.check(&test).await;
        }
    }

    /// Each of `commands` is refused by its code and field, spoils no neighbour and leaves no row.
    pub async fn refusals_leave_no_rows(&self, commands: &[(D, ShopCode, &str)]) {
        for (test, without) in self.fresh(PLENTY).await.into_iter().zip(self.fresh(PLENTY).await) {
            self.takes_of(&without.db, &[10]).await;
            let mut batch: Vec<D> = commands.iter().map(|(command, ..)| command.clone()).collect();
            batch.push((self.take_of)(10));
            let mut outcomes = self.takes(&test.db, &batch).await;
            assert_eq!(outcomes.pop(), Some(Done::Done), "{}", test.name);
            for (outcome, (command, code, field)) in outcomes.iter().zip(commands) {
                let Done::Refused(refusal) = outcome else { panic!("{}: {command:?} {outcome:?}", test.name) };
                assert_eq!((refusal.code, refusal.field.as_deref()), (*code, Some(*field)), "{command:?}");
            }
            assert_eq!(dump(&test.db).await, dump(&without.db).await, "{}", test.name);
            self.check(&test).await;
        }
    }

    /// The rows of `sql/seed/` stand once however often they are sown, and contradict nothing.
    pub async fn seeds_once(&self, sql: &'static str) {
        for test in databases(self.schema).await {
            let empty = dump(&test.db).await;
            seed(&test.db, sql).await.expect("the seed is legal");
            let sown = dump(&test.db).await;
            assert_ne!(sown, empty, "{}", test.name);
            seed(&test.db, sql).await.expect("the seed is legal twice");
            assert_eq!(dump(&test.db).await, sown, "{}", test.name);
            self.check(&test).await;
        }
    }
}

/// Runs one statement.
pub async fn execute(db: &Db, sql: &str) {
    let done = db.write_tx(async |tx| Ok(tx.execute_unprepared(sql).await?)).await;
    done.unwrap_or_else(|failure| panic!("{failure}: {sql}"));
}

/// The number that `sql` selects as `n`, whatever the type of its column.
pub async fn number(db: &Db, sql: &str) -> i64 {
    let widened = format!("SELECT n + 0 AS n FROM ({sql}) AS found");
    let statement = Statement::from_string(db.read().get_database_backend(), widened);
    let row = db.read().query_one_raw(statement).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
    row.and_then(|row| row.try_get("", "n").ok()).unwrap_or_else(|| panic!("no number: {sql}"))
}

/// Each of `wrong` is refused by the database itself, whatever the code above it thinks, and leaves nothing behind.
pub async fn the_last_fence_holds(schema: &'static [SqlFile], rows: &str, wrong: &[&str]) {
    for test in databases(schema).await {
        if !rows.is_empty() {
            execute(&test.db, rows).await;
        }
        let before = dump(&test.db).await;
        for statement in wrong {
            let done = test.db.write_tx(async |tx| Ok(tx.execute_unprepared(statement).await?)).await;
            assert!(matches!(done, Err(Failure::Rollback(_))), "{}: {statement}: {:?}", test.name, done.is_ok());
            assert_eq!(dump(&test.db).await, before, "{}: {statement}", test.name);
        }
    }
}

/// What one transaction has loaded to decide on, another cannot load before the first has ended. On MariaDB: SQLite has
/// one writer.
pub async fn what_is_decided_on_is_locked<T: Debug>(
    schema: &'static [SqlFile],
    rows: &str,
    load: impl AsyncFn(&Tx) -> Result<T>,
) {
    for test in databases(schema).await.into_iter().filter(|test| test.name == "mariadb") {
        execute(&test.db, rows).await;
        let meanwhile = test.db.write_tx(async |tx| {
            load(tx).await?;
            let other = test.db.write_tx(async |other| {
                other.execute_unprepared("SET SESSION innodb_lock_wait_timeout = 1").await?;
                load(other).await
            });
            Ok(other.await)
        });
        let other = meanwhile.await.expect("nobody else is there");
        assert!(matches!(&other, Err(Failure::Rollback(why)) if why.contains("Lock wait")), "{other:?}");
    }
}
