//! Group commit: writers of one SQLite file that queued up while another one ran go on in its transaction, each behind a
//! savepoint of its own, and share its commit. MySQL has this in the engine; SQLite syncs the disk for every commit.
//!
//! Nobody waits for company: whoever has run queues up once more, and commits when its turn comes again, behind all who
//! were waiting by then. A writer is answered after the commit; one that fails takes nobody with it.

use std::{path::PathBuf, sync::Arc};

use sea_orm::ConnectionTrait;
use tokio::{
    sync::{Mutex, OwnedMutexGuard, watch},
    time::timeout,
};

use super::{
    ACQUIRE_TIMEOUT, Failure, Result, Tx,
    points::{At, Points},
    sqlite::{Connection, Writing},
};

/// The transaction that writers of one file share; clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct SharedTx {
    connection: Arc<Connection>,
    open: Arc<Mutex<Option<Open>>>,
}

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
    pub(super) async fn open(file: PathBuf) -> Result<Self> {
        Ok(Self { connection: Writing::connect(file).await?, open: Arc::default() })
    }

    /// Waits for the turn, behind all who wait already.
    pub(super) async fn turn(&self) -> Result<Turn> {
        let turn = timeout(ACQUIRE_TIMEOUT, Arc::clone(&self.open).lock_owned()).await;
        turn.map_err(|_| Failure::NotRun("other writers took too long".into()))
    }

    /// Runs `body` in a transaction, alone or with others; durable when it answers.
    pub(super) async fn write<T>(
        &self,
        mut turn: Turn,
        points: &Points,
        body: impl AsyncFnOnce(&Tx) -> Result<T>,
    ) -> Result<T> {
        let ran = match turn.take() {
            Some(open) => open.join(body, &mut turn).await,
            None => Open::begin(&self.connection).await?.first(body, &mut turn).await,
        };
        drop(turn);
        let (value, state) = ran.map_err(Failure::before_commit)?;
        // In a task of its own: a writer that goes away never leaves the others in an open transaction.
        let committed = tokio::spawn(self.clone().committed(state, points.clone()));
        committed.await.map_err(|error| Failure::Down(error.to_string().into()))??;
        Ok(value)
    }

    /// Rolls back what nobody is left to commit, behind whoever is.
    pub(super) async fn close(&self) {
        drop(self.open.lock().await.take());
        self.connection.close();
    }

    async fn committed(self, mut state: watch::Receiver<State>, points: Points) -> Result<()> {
        tokio::select! {
            biased;
            outcome = outcome(&mut state) => return outcome,
            mut turn = self.open.lock() => if let Some(open) = turn.take() {
                open.commit(&points).await;
            },
        }
        outcome(&mut state).await
    }
}

impl Open {
    async fn begin(connection: &Arc<Connection>) -> Result<Self> {
        let tx = Tx::writing(connection).await.map_err(|error| Failure::from(error).before_commit())?;
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
                self.tx.roll_back().await;
                Err(failure)
            }
        }
    }

    async fn join<T>(
        self,
        body: impl AsyncFnOnce(&Tx) -> Result<T>,
        turn: &mut Turn,
    ) -> Result<(T, watch::Receiver<State>)> {
        self.tx.execute_unprepared("SAVEPOINT member").await?;
        match body(&self.tx).await {
            Ok(value) => {
                self.tx.execute_unprepared("RELEASE member").await?;
                Ok((value, self.wait(turn)))
            }
            Err(failure) => {
                // Where the engine has given up the whole transaction, the others run again in another one.
                match self.tx.execute_unprepared("ROLLBACK TO member; RELEASE member").await {
                    Ok(_) => drop(self.wait(turn)),
                    Err(error) => tracing::warn!(%error, "rollback failed; the transaction is given up"),
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
