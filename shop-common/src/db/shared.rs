//! Group commit: writers of one SQLite file that queued up while another one ran go on in its transaction, each behind a
//! savepoint of its own, and share its commit. MySQL has this in the engine; SQLite syncs the disk for every commit.
//!
//! Nobody waits for company: whoever has run queues up once more, and commits when its turn comes again, behind all who
//! were waiting by then. A writer is answered after the commit; one that fails takes nobody with it.

use std::sync::Arc;

use sea_orm::{DatabaseConnection, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use tokio::{
    sync::{Mutex, OwnedMutexGuard, watch},
    time::timeout,
};

use super::{
    ACQUIRE_TIMEOUT, Failure, Result, Tx,
    points::{At, Points},
    roll_back,
};

/// The transaction that writers of one file share; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedTx(Arc<Mutex<Option<Open>>>);

/// A writer's turn, and the transaction that is open.
pub(super) type Turn = OwnedMutexGuard<Option<Open>>;

/// A transaction whose members have run and wait for its commit.
#[derive(Debug)]
pub(super) struct Open {
    tx: Tx,
    state: watch::Sender<State>,
}

#[derive(Clone, Debug)]
enum State {
    Open,
    Committing,
    Done(Result<()>),
}

impl SharedTx {
    /// Waits for the turn, behind all who wait already.
    pub(super) async fn turn(&self) -> Result<Turn> {
        let turn = timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.0).lock_owned()).await;
        turn.map_err(|_| Failure::NotRun("other writers took too long".into()))
    }

    /// Runs `body` in a transaction of `connection`, alone or with others; durable when it answers.
    pub(super) async fn write<T>(
        &self,
        mut turn: Turn,
        connection: &DatabaseConnection,
        points: &Points,
        body: impl AsyncFnOnce(&Tx) -> Result<T>,
    ) -> Result<T> {
        let ran = match turn.take() {
            Some(open) => open.join(body, &mut turn).await,
            None => Open::begin(connection).await?.first(body, &mut turn).await,
        };
        drop(turn);
        let (value, state) = ran.map_err(Failure::before_commit)?;
        // In a task of its own: a writer that goes away never leaves the others in an open transaction.
        let committed = tokio::spawn(self.clone().committed(state, points.clone()));
        committed.await.map_err(|error| Failure::Down(error.to_string().into()))??;
        Ok(value)
    }

    /// Rolls back what nobody is left to commit, behind whoever is: its connection would never come back.
    pub(super) async fn give_up(&self) {
        if let Some(open) = self.0.lock().await.take() {
            roll_back(open.tx).await;
        }
    }

    async fn committed(self, mut state: watch::Receiver<State>, points: Points) -> Result<()> {
        tokio::select! {
            biased;
            outcome = outcome(&mut state) => return outcome,
            mut turn = self.0.lock() => if let Some(open) = turn.take() {
                open.commit(&points).await;
            },
        }
        outcome(&mut state).await
    }
}

impl Open {
    #[expect(clippy::disallowed_methods, reason = "with db.rs the one place that begins a transaction")]
    async fn begin(connection: &DatabaseConnection) -> Result<Self> {
        // Deferred transactions that read and then write die of SQLITE_BUSY however long they wait.
        let sqlite_transaction_mode = Some(SqliteTransactionMode::Immediate);
        let options = TransactionOptions { sqlite_transaction_mode, ..Default::default() };
        let tx = connection.begin_with_options(options).await.map_err(|error| Failure::from(error).before_commit())?;
        Ok(Self { tx, state: watch::Sender::new(State::Open) })
    }

    /// The first member needs no savepoint: nobody loses anything when all of it is rolled back.
    async fn first<T>(
        self,
        body: impl AsyncFnOnce(&Tx) -> Result<T>,
        turn: &mut Turn,
    ) -> Result<(T, watch::Receiver<State>)> {
        match body(&self.tx).await {
            Ok(value) => Ok((value, self.wait(turn))),
            Err(failure) => {
                roll_back(self.tx).await;
                Err(failure)
            }
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a savepoint, in the one place that begins transactions")]
    async fn join<T>(
        self,
        body: impl AsyncFnOnce(&Tx) -> Result<T>,
        turn: &mut Turn,
    ) -> Result<(T, watch::Receiver<State>)> {
        let savepoint = self.tx.begin().await?;
        match body(&savepoint).await {
            Ok(value) => {
                savepoint.commit().await?;
                Ok((value, self.wait(turn)))
            }
            Err(failure) => {
                // Where the engine has given up the whole transaction, the others run again in another one.
                if roll_back(savepoint).await {
                    drop(self.wait(turn));
                }
                Err(failure)
            }
        }
    }

    fn wait(self, turn: &mut Turn) -> watch::Receiver<State> {
        let state = self.state.subscribe();
        **turn = Some(self);
        state
    }

    async fn commit(self, points: &Points) {
        self.state.send_replace(State::Committing);
        let done = match points.pass(At::Commit).await {
            Ok(()) => self.tx.commit().await.map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        self.state.send_replace(State::Done(done));
    }
}

/// What became of the transaction; one that was given up before its COMMIT rolled back.
async fn outcome(state: &mut watch::Receiver<State>) -> Result<()> {
    let decided = state.wait_for(|state| matches!(state, State::Done(_))).await.map(|state| state.clone());
    match decided.unwrap_or_else(|_| state.borrow().clone()) {
        State::Done(outcome) => outcome,
        State::Committing => Err(Failure::Down("the answer to COMMIT was lost".into())),
        State::Open => Err(Failure::Rollback("the transaction was given up by another writer".into())),
    }
}
