//! The Batcher: what queued up while the last batch ran goes together in the next one. Nobody waits for a batch to fill.
//!
//! One type coalesces local transactions, calls to another process and sends to the broker. It alone retries: a batch
//! that rolls back is run once more as a whole (another writer was faster), then each command alone in queue order, so
//! that one poisonous command never fails its neighbours; and a command alone once more, which may have lost a deadlock.

use std::{
    collections::VecDeque,
    future::{Future, ready},
    mem,
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};

use crate::{
    code::ShopCode,
    config::at_least_one,
    db::{Db, Failure, Turn, Tx},
    error::ShopError,
    time::{Clock, Millis},
};

/// Why there is no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// The queue was full: certainly not run.
    #[error("the queue is full")]
    Busy,
    /// The deadline passed in the queue: certainly not run.
    #[error("the deadline passed in the queue")]
    Expired,
    /// What it needs is away or turned it away: certainly not run.
    #[error("not run: {0}")]
    Away(Arc<str>),
    /// May or may not have run: ask again under the same id.
    #[error("{0}")]
    Unknown(Arc<str>),
}

impl NotDone {
    /// Whether it certainly was not run.
    pub const fn is_not_run(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }
}

/// How much a command weighs in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Rows it touches.
    pub rows: usize,
    /// Bytes it carries.
    pub bytes: usize,
}

/// What a [`Batcher`] takes.
pub trait Command: Clone + Send + Sync + 'static {
    /// Its weight; a few rows and no blob unless said otherwise.
    fn weight(&self) -> Weight {
        Weight { rows: 4, bytes: 256 }
    }
}

/// The limits of one [`Batcher`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Commands that may wait; one more is refused as busy.
    #[serde(deserialize_with = "at_least_one")]
    pub queue: usize,
    /// Commands of one batch.
    #[serde(deserialize_with = "at_least_one")]
    pub commands: usize,
    /// Rows of one batch (SQLite takes 32,766 variables).
    #[serde(deserialize_with = "at_least_one")]
    pub rows: usize,
    /// Bytes of one batch.
    #[serde(deserialize_with = "at_least_one")]
    pub bytes: usize,
    /// Longest time one batch may run, in milliseconds.
    #[serde(deserialize_with = "at_least_one")]
    pub body_ms: u64,
    /// Batches that may run at once: 1 for transactions, more for calls.
    #[serde(deserialize_with = "at_least_one")]
    pub in_flight: usize,
}

impl Limits {
    /// Of transactions.
    const OF_TRANSACTIONS: Self =
        Self { queue: 4096, commands: 256, rows: 2000, bytes: 1 << 20, body_ms: 10_000, in_flight: 1 };
    /// Of calls to another service: one that is answered and one that travels; more of them carry less each.
    pub const OF_CALLS: Self = Self { in_flight: 2, ..Self::OF_TRANSACTIONS };
}

impl Default for Limits {
    fn default() -> Self {
        Self::OF_TRANSACTIONS
    }
}

/// A [`Batcher`] whose batches are the local transaction `$body`, on the database and clock of `$deps`.
#[macro_export]
macro_rules! transactions {
    ($deps:expr, $limits:expr, $body:path) => {
        $crate::batch::Batcher::of_transactions($deps.db.clone(), $deps.clock.clone(), $limits, |tx, commands, now| {
            Box::pin($body(tx, commands, now))
        })
    };
}

struct Job<C, O> {
    command: C,
    deadline: Option<Instant>,
    reply: oneshot::Sender<Result<O, NotDone>>,
}

/// Waits until a batch may run.
type Gate = dyn Fn() -> BoxFuture<'static, Result<Turn, Failure>> + Send + Sync;

type Body<C, O> = dyn Fn(Turn, Arc<[C]>) -> BoxFuture<'static, Result<Vec<O>, Failure>> + Send + Sync;

/// What a batch is for.
struct Work<C, O> {
    turn: Box<Gate>,
    body: Box<Body<C, O>>,
    limits: Limits,
}

/// Runs commands in batches; clones share one queue. Its worker ends when all clones are gone and the queue is empty.
#[derive(Debug)]
pub struct Batcher<C, O>(mpsc::Sender<Job<C, O>>);

impl<C, O> Clone for Batcher<C, O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Command, O: Send + 'static> Batcher<C, O> {
    /// A batcher whose batches are run by `body`: one outcome for each command, in their order.
    pub fn new<F, Fut>(limits: Limits, body: F) -> Self
    where
        F: Fn(Arc<[C]>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<O>, Failure>> + Send + 'static,
    {
        Self::start(Work {
            turn: Box::new(|| Box::pin(ready(Ok(Turn::FREE)))),
            body: Box::new(move |_, commands| Box::pin(body(commands))),
            limits,
        })
    }

    /// A batcher whose batches are one local transaction each. A batch is made when it is its turn to write: what
    /// arrives while others write goes with it.
    pub fn of_transactions<F>(db: Db, clock: Clock, limits: Limits, body: F) -> Self
    where
        F: for<'a> Fn(&'a Tx, &'a [C], Millis) -> BoxFuture<'a, Result<Vec<O>, Failure>>
            + Clone
            + Send
            + Sync
            + 'static,
    {
        let writer = db.clone();
        Self::start(Work {
            turn: Box::new(move || {
                let db = writer.clone();
                Box::pin(async move { db.turn().await })
            }),
            body: Box::new(move |turn, commands| {
                let (db, now, body) = (db.clone(), clock.now(), body.clone());
                Box::pin(async move { db.write_tx_in(turn, async |tx| body(tx, &commands, now).await).await })
            }),
            limits,
        })
    }

    fn start(work: Work<C, O>) -> Self {
        let limits = work.limits;
        let (queue, jobs) = mpsc::channel(limits.queue.max(1));
        tokio::spawn(Arc::new(work).run(jobs));
        Self(queue)
    }

    /// Runs one command; its outcome is durable. Dropping this future leaves the command in.
    ///
    /// # Errors
    /// See [`NotDone`]; a `deadline` of `None` never passes.
    pub async fn run(&self, command: C, deadline: Option<Instant>) -> Result<O, NotDone> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(Job { command, deadline, reply }).map_err(|_| NotDone::Busy)?;
        let answer = match deadline {
            Some(deadline) => timeout_at(deadline, answer).await.map_err(|_| NotDone::Unknown("deadline".into()))?,
            None => answer.await,
        };
        answer.unwrap_or_else(|_| Err(NotDone::Unknown("stopping".into())))
    }

    /// Runs many commands, each on its own terms; answers in their order.
    pub async fn run_all(&self, commands: impl IntoIterator<Item = (C, Option<Instant>)>) -> Vec<Result<O, NotDone>> {
        futures::future::join_all(commands.into_iter().map(|(command, deadline)| self.run(command, deadline))).await
    }
}

impl From<NotDone> for ShopError {
    fn from(not_done: NotDone) -> Self {
        match not_done {
            NotDone::Busy | NotDone::Expired => ShopCode::Busy.into(),
            NotDone::Away(_) => ShopCode::Unavailable.into(),
            NotDone::Unknown(_) => ShopCode::Unknown.into(),
        }
    }
}

impl<C: Command, O: Send + 'static> Work<C, O> {
    async fn run(self: Arc<Self>, mut jobs: mpsc::Receiver<Job<C, O>>) {
        let limits = self.limits;
        let slots = Arc::new(Semaphore::new(limits.in_flight.max(1)));
        let mut waiting = VecDeque::new();
        let mut received = Vec::new();
        loop {
            // The slot first, and the turn: what arrives meanwhile shares the next batch.
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            if waiting.is_empty() && jobs.recv_many(&mut received, limits.commands.max(1)).await == 0 {
                return;
            }
            waiting.extend(received.drain(..));
            // Those who were answered together ask together: the first of them would go alone.
            tokio::task::yield_now().await;
            let turn = (self.turn)().await;
            while waiting.len() < limits.commands
                && let Ok(job) = jobs.try_recv()
            {
                waiting.push_back(job);
            }
            let batch = next_batch(&mut waiting, limits);
            let run = Arc::clone(&self).run_batch(batch, turn, slot);
            if limits.in_flight > 1 {
                tokio::spawn(run);
            } else {
                run.await;
            }
        }
    }

    async fn run_batch(
        self: Arc<Self>,
        batch: Vec<Job<C, O>>,
        turn: Result<Turn, Failure>,
        slot: OwnedSemaphorePermit,
    ) {
        let _slot = slot;
        if batch.is_empty() {
            return;
        }
        let commands: Arc<[C]> = batch.iter().map(|job| job.command.clone()).collect();
        let mut done = self.attempt(turn, Arc::clone(&commands)).await;
        if matches!(done, Err(Failure::Rollback(_))) {
            done = self.attempt((self.turn)().await, commands).await;
        }
        match done {
            Ok(outcomes) => batch.into_iter().zip(outcomes).for_each(|(job, outcome)| answer(job.reply, Ok(outcome))),
            Err(failure) => {
                tracing::warn!(%failure, commands = batch.len(), "batch failed");
                self.run_alone(batch, failure).await;
            }
        }
    }

    /// Each alone, in queue order: the one that spoils the batch fails alone. A database that is away is not asked again.
    async fn run_alone(self: &Arc<Self>, batch: Vec<Job<C, O>>, failure: Failure) {
        let mut away = not_asked_again(&failure);
        // A batch of one was alone twice already.
        let tries = if batch.len() == 1 { 1 } else { 2 };
        for job in batch {
            let outcome = match &away {
                Some(not_done) => Err(not_done.clone()),
                None if job.deadline.is_some_and(|deadline| deadline <= Instant::now()) => Err(NotDone::Expired),
                None => match self.alone(job.command, tries).await {
                    Ok(mut outcomes) => outcomes.pop().ok_or_else(|| NotDone::Unknown("no outcome".into())),
                    Err(Failure::Rollback(why)) => {
                        tracing::error!(%why, "command failed alone");
                        Err(NotDone::Unknown(why))
                    }
                    Err(Failure::Down(why)) => {
                        away = Some(NotDone::Unknown(Arc::clone(&why)));
                        Err(NotDone::Unknown(why))
                    }
                    Err(Failure::NotRun(why)) => {
                        away = Some(NotDone::Away(Arc::clone(&why)));
                        Err(NotDone::Away(why))
                    }
                },
            };
            answer(job.reply, outcome);
        }
    }

    async fn alone(self: &Arc<Self>, command: C, tries: u32) -> Result<Vec<O>, Failure> {
        let commands: Arc<[C]> = [command].into();
        let mut done = self.attempt((self.turn)().await, Arc::clone(&commands)).await;
        for _ in 1..tries {
            if matches!(done, Err(Failure::Rollback(_))) {
                done = self.attempt((self.turn)().await, Arc::clone(&commands)).await;
            }
        }
        done
    }

    /// In a task of its own, so that a panic ends there, also one before the first await.
    async fn attempt(self: &Arc<Self>, turn: Result<Turn, Failure>, commands: Arc<[C]>) -> Result<Vec<O>, Failure> {
        let expected = commands.len();
        let (work, turn) = (Arc::clone(self), turn?);
        let task = tokio::spawn(async move { (work.body)(turn, commands).await });
        let abort = task.abort_handle();
        match timeout(Duration::from_millis(self.limits.body_ms), task).await {
            Ok(Ok(Ok(outcomes))) if outcomes.len() == expected => Ok(outcomes),
            Ok(Ok(Ok(outcomes))) => {
                Err(Failure::Rollback(format!("{} outcomes for {expected} commands", outcomes.len()).into()))
            }
            Ok(Ok(Err(failure))) => Err(failure),
            Ok(Err(panic)) => Err(Failure::Rollback(panic.to_string().into())),
            Err(_) => {
                abort.abort();
                Err(Failure::Down("the body took too long".into()))
            }
        }
    }
}

/// Takes from the front what fits the limits; always at least one. Drops what has expired.
fn next_batch<C: Command, O>(waiting: &mut VecDeque<Job<C, O>>, limits: Limits) -> Vec<Job<C, O>> {
    let now = Instant::now();
    let (mut rows, mut bytes, mut batch) = (0_usize, 0_usize, Vec::new());
    while let Some(job) = waiting.pop_front() {
        if job.deadline.is_some_and(|deadline| deadline <= now) {
            answer(job.reply, Err(NotDone::Expired));
            continue;
        }
        let weight = job.command.weight();
        rows = rows.saturating_add(weight.rows);
        bytes = bytes.saturating_add(weight.bytes);
        if !batch.is_empty() && (rows > limits.rows || bytes > limits.bytes || batch.len() >= limits.commands) {
            waiting.push_front(job);
            break;
        }
        batch.push(job);
    }
    batch
}

/// What all others of a batch are answered after this failure of one; none where each has to be tried.
fn not_asked_again(failure: &Failure) -> Option<NotDone> {
    match failure {
        Failure::Rollback(_) => None,
        Failure::Down(why) => Some(NotDone::Unknown(Arc::clone(why))),
        Failure::NotRun(why) => Some(NotDone::Away(Arc::clone(why))),
    }
}

/// The caller may have gone; the command has run all the same.
fn answer<O>(reply: oneshot::Sender<Result<O, NotDone>>, outcome: Result<O, NotDone>) {
    mem::drop(reply.send(outcome));
}
