//! The barrier of do and undo: one row per order (or payment) and participant, with the effect in one transaction.
//!
//! Do inserts the row as *held*; undo without a do inserts it as *never*. So a repeat finds its own row, an undo that
//! comes first leaves a tombstone that keeps the late do out, and of two racers one meets the unique key, rolls back
//! and decides from rows (traps 16, 20, 33). *Undone* and *never* are terminal.
//!
//! A table may say until when its holds may stand (`due_ms`): past that, somebody asks what became of the order.

use std::{collections::BTreeMap, fmt::Debug};

use sea_orm::Value;
use shop_proto::common::v1::{DoOutcome, UndoOutcome, do_outcome, undo_outcome};

use crate::{
    db::{Failure, Result, Tx},
    error::ShopError,
    sql::{self, Update},
    time::Millis,
};

/// State of a hold; the numbers stand in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Taken.
    Held,
    /// Taken for good; an undo still gives it back.
    Final,
    /// Taken and given back.
    Undone,
    /// Undone before it was taken.
    Never,
}

impl State {
    const fn number(self) -> i16 {
        match self {
            Self::Held => 1,
            Self::Final => 2,
            Self::Undone => 3,
            Self::Never => 4,
        }
    }

    const fn of(number: i16) -> Option<Self> {
        match number {
            1 => Some(Self::Held),
            2 => Some(Self::Final),
            3 => Some(Self::Undone),
            4 => Some(Self::Never),
            _ => None,
        }
    }
}

/// What became of a do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// By this very command.
    Done,
    /// The state is what this command would produce.
    Already,
    /// A tombstone was there: nothing was done, nothing ever will be.
    Cancelled,
    /// By the rules; nothing was done.
    Refused(ShopError),
}

/// What became of an undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    /// What was taken was given back.
    Undone,
    /// Nothing had been taken; a tombstone is there now.
    NeverDone,
    /// Given back before.
    AlreadyUndone,
}

/// What became of making a hold final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// By this very command.
    Now,
    /// It was final before.
    Already,
    /// There is no hold, or what it held was given back.
    NotHeld,
}

impl From<Done> for DoOutcome {
    fn from(done: Done) -> Self {
        let kind = match done {
            Done::Done => do_outcome::Kind::Done,
            Done::Already => do_outcome::Kind::Already,
            Done::Cancelled => do_outcome::Kind::Cancelled,
            Done::Refused(error) => return error.into(),
        };
        Self { kind: kind.into(), ..Self::default() }
    }
}

impl From<Undone> for UndoOutcome {
    fn from(undone: Undone) -> Self {
        let kind = match undone {
            Undone::Undone => undo_outcome::Kind::Undone,
            Undone::NeverDone => undo_outcome::Kind::NeverDone,
            Undone::AlreadyUndone => undo_outcome::Kind::AlreadyUndone,
        };
        Self { kind: kind.into(), detail: String::new() }
    }
}

/// Whether a do may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// No hold: decide by the rules, then [`Holds::hold`].
    Free,
    /// Held: the repeat of a do.
    Held,
    /// Undone or never: too late.
    TooLate,
}

/// A hold as loaded and as it is now; `subject` is what is held, where the table says so, and `until` is when somebody
/// asks about a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Row {
    loaded: Option<State>,
    state: State,
    subject: Option<i64>,
    until: Option<Millis>,
}

/// The holds of a batch, by order or payment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Holds(BTreeMap<i64, Row>);

impl Holds {
    /// Whether a do of `key` may go on.
    pub fn before(&self, key: i64) -> Before {
        match self.0.get(&key).map(|row| row.state) {
            None => Before::Free,
            Some(State::Held | State::Final) => Before::Held,
            Some(State::Undone | State::Never) => Before::TooLate,
        }
    }

    /// What `key` holds, where the table says so.
    pub fn subject(&self, key: i64) -> Option<i64> {
        self.0.get(&key).and_then(|row| row.subject)
    }

    /// Takes: only after [`Before::Free`].
    pub fn hold(&mut self, key: i64, subject: Option<i64>) {
        self.0.entry(key).or_insert(Row { loaded: None, state: State::Held, subject, until: None });
    }

    /// Takes in a table whose holds may stand `until` a time: only after [`Before::Free`].
    pub fn hold_until(&mut self, key: i64, until: Millis) {
        self.0.entry(key).or_insert(Row { loaded: None, state: State::Held, subject: None, until: Some(until) });
    }

    /// Makes what is held final; an undo still gives it back.
    pub fn finish(&mut self, key: i64) -> Finished {
        match self.0.get_mut(&key) {
            Some(row) if row.state == State::Held => {
                row.state = State::Final;
                Finished::Now
            }
            Some(row) if row.state == State::Final => Finished::Already,
            _ => Finished::NotHeld,
        }
    }

    /// Undoes; the effect is given back by the caller on [`Undone::Undone`] and on nothing else.
    pub fn undo(&mut self, key: i64) -> Undone {
        let never = Row { loaded: None, state: State::Never, subject: None, until: None };
        let row = self.0.entry(key).or_insert(never);
        match row.state {
            State::Held | State::Final => {
                row.state = State::Undone;
                Undone::Undone
            }
            State::Undone => Undone::AlreadyUndone,
            State::Never => Undone::NeverDone,
        }
    }

    /// Puts a row as if it had been loaded, for tests of the rules.
    pub fn put(&mut self, key: i64, state: State) {
        self.0.insert(key, Row { loaded: Some(state), state, subject: None, until: None });
    }
}

/// A table of holds.
#[derive(Clone, Copy, Debug)]
pub struct HoldTable {
    /// The table.
    pub table: &'static str,
    /// Its key column.
    pub key: &'static str,
    /// The column of what is held, if it has one.
    pub subject: Option<&'static str>,
    /// Whether its holds are due (`due_ms`) while they are *held*.
    pub is_due: bool,
    /// Moves the state on.
    pub update: Update,
}

/// Makes the [`HoldTable`] of a table; with `due`, of one whose holds may stand until a time.
#[macro_export]
macro_rules! hold_table {
    ($table:literal, $key:literal, $subject:expr) => {
        $crate::hold_table!($table, $key, $subject, false, "state = v.becomes, update_ms = v.moment")
    };
    ($table:literal, $key:literal, $subject:expr, due) => {
        // A hold that moves leaves *held*, and nobody asks about it any more.
        $crate::hold_table!($table, $key, $subject, true, "state = v.becomes, update_ms = v.moment, due_ms = NULL")
    };
    ($table:literal, $key:literal, $subject:expr, $is_due:literal, $set:literal) => {
        $crate::hold::HoldTable {
            table: $table,
            key: $key,
            subject: $subject,
            is_due: $is_due,
            update: $crate::sql::Update {
                table: $table,
                values: &["k", "was", "becomes", "moment"],
                set: $set,
                guard: concat!("t.", $key, " = v.k AND t.state = v.was"),
            },
        }
    };
}

impl HoldTable {
    /// Loads and locks the holds of `keys`, in key order.
    pub async fn load(&self, tx: &Tx, keys: Vec<i64>) -> Result<Holds> {
        let columns = format!("{} AS k, state, {} AS subject", self.key, self.subject.unwrap_or("NULL"));
        let mut holds = Holds::default();
        for row in sql::locked(tx, &columns, self.table, self.key, keys).await? {
            let state = State::of(row.get("state")?).ok_or_else(|| Failure::guard(self.table))?;
            let subject = if self.subject.is_some() { row.find("subject")? } else { None };
            holds.0.insert(row.get("k")?, Row { loaded: Some(state), state, subject, until: None });
        }
        Ok(holds)
    }

    /// Writes what changed.
    ///
    /// # Errors
    /// [`Failure::Rollback`] when another writer was faster.
    pub async fn save(&self, tx: &Tx, holds: &Holds, now: Millis) -> Result<()> {
        let (mut born, mut moved) = (Vec::new(), Vec::new());
        for (key, row) in &holds.0 {
            let state = Value::from(row.state.number());
            match row.loaded {
                None => {
                    let mut values = vec![Value::from(*key), state, now.get().into(), now.get().into()];
                    values.extend(self.subject.map(|_| Value::from(row.subject)));
                    if self.is_due {
                        // An undo without a do is never due, and neither is a hold undone by its own batch.
                        let until = row.until.filter(|_| row.state == State::Held);
                        values.push(until.map(Millis::get).into());
                    }
                    born.push(values);
                }
                Some(loaded) if loaded != row.state => {
                    moved.push(vec![Value::from(*key), loaded.number().into(), state, now.get().into()]);
                }
                Some(_) => {}
            }
        }
        let mut columns = vec![self.key, "state", "create_ms", "update_ms"];
        columns.extend(self.subject);
        columns.extend(self.is_due.then_some("due_ms"));
        sql::insert_rows(tx, self.table, &columns, &born).await?;
        self.update.run(tx, &moved).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_do_meets_its_own_repeat() {
        let mut holds = Holds::default();
        assert_eq!(holds.before(1), Before::Free);
        holds.hold(1, None);
        assert_eq!(holds.before(1), Before::Held);
    }

    #[test]
    fn an_undo_without_a_do_keeps_the_late_do_out() {
        let mut holds = Holds::default();
        assert_eq!(holds.undo(1), Undone::NeverDone);
        assert_eq!(holds.undo(1), Undone::NeverDone);
        assert_eq!(holds.before(1), Before::TooLate);
    }

    #[test]
    fn an_undo_gives_back_once() {
        for taken in [State::Held, State::Final] {
            let mut holds = Holds::default();
            holds.put(1, taken);
            assert_eq!(holds.undo(1), Undone::Undone);
            assert_eq!(holds.undo(1), Undone::AlreadyUndone);
            assert_eq!(holds.before(1), Before::TooLate);
        }
    }

    #[test]
    fn what_is_held_becomes_final_once_and_is_still_given_back() {
        let mut holds = Holds::default();
        assert_eq!(holds.finish(1), Finished::NotHeld);
        holds.hold_until(1, Millis::new(7));
        assert_eq!(holds.finish(1), Finished::Now);
        assert_eq!(holds.finish(1), Finished::Already);
        assert_eq!(holds.before(1), Before::Held);
        assert_eq!(holds.undo(1), Undone::Undone);
        assert_eq!(holds.finish(1), Finished::NotHeld);
    }

    #[test]
    fn states_are_stored_by_their_numbers() {
        let states = [State::Held, State::Final, State::Undone, State::Never];
        assert_eq!(states.map(State::number), [1, 2, 3, 4]);
        assert_eq!([1, 2, 3, 4].map(State::of), states.map(Some));
        assert_eq!((State::of(0), State::of(5)), (None, None));
    }

    #[test]
    fn a_hold_says_what_it_holds() {
        let mut holds = Holds::default();
        holds.hold(1, Some(70));
        holds.hold(1, Some(71));
        assert_eq!((holds.subject(1), holds.subject(2)), (Some(70), None));
        holds.undo(1);
        assert_eq!(holds.subject(1), Some(70), "whoever gives it back has to know");
    }

    #[test]
    fn outcomes_are_told_by_their_kind() {
        let refusal = ShopError::from(crate::code::ShopCode::GoodsNotEnough);
        for (done, kind) in [
            (Done::Done, do_outcome::Kind::Done),
            (Done::Already, do_outcome::Kind::Already),
            (Done::Cancelled, do_outcome::Kind::Cancelled),
            (Done::Refused(refusal), do_outcome::Kind::Refused),
        ] {
            assert_eq!(DoOutcome::from(done).kind(), kind);
        }
        for (undone, kind) in [
            (Undone::Undone, undo_outcome::Kind::Undone),
            (Undone::NeverDone, undo_outcome::Kind::NeverDone),
            (Undone::AlreadyUndone, undo_outcome::Kind::AlreadyUndone),
        ] {
            assert_eq!(UndoOutcome::from(undone).kind(), kind);
        }
    }
}
