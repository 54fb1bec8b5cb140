//! Rows that owe something say until when (`due_ms`); one sweeper per service finds them, with the broker off too.
//!
//! Claiming moves `due_ms` forward: lease and exponential backoff in one column. A claimed row that was not finished,
//! because its sweeper died or the other side was away, comes up again by itself. One that comes up again and again is an
//! alarm: an ERROR and a counter say what is owed, by whom, since when and of which rows.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::future::join_all;
use sea_orm::{Statement, Value};
use tokio::{sync::watch, time::timeout};

use crate::{
    db::{Cell, Db, Failure, Result, Row, Rows, Tx},
    shutdown::Shutdown,
    sql::{self, Update},
    time::{Clock, Millis},
};

/// Earlier claims from which a row is an alarm: the backoff of the sweepers has it wait for four minutes until then. It is
/// logged then and whenever they have doubled, so that an outage of a night is told and does not fill the log.
pub const ALARM_FROM: i64 = 8;
/// Rows that one line of the log names at most.
const NAMED: usize = 20;

/// A table with `due_ms` and `attempts`.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// Finds due rows in due order; parameters: now, limit. Columns: at least the key, `attempts`, and what `owing`
    /// reads.
    pub select: &'static str,
    /// Name of the key column.
    pub key: &'static str,
    /// Moves `due_ms` on; values: `k`, `later`.
    pub lease: Update,
    /// What a row that was found owes.
    pub owing: fn(&Row) -> Result<Owing>,
}

/// What a row owes, for whoever has to see to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owing {
    /// The row: `order 5`.
    pub row: String,
    /// Since when.
    pub since: Millis,
    /// What, and who has to do it; nothing where waiting is no fault.
    pub debts: Vec<Debt>,
}

/// Something that is owed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Debt {
    /// What: `stock`.
    pub owed: &'static str,
    /// By which service, channel or broker.
    pub by: Cow<'static, str>,
}

impl Debt {
    /// `owed` by one that has always the same name.
    pub const fn new(owed: &'static str, by: &'static str) -> Self {
        Self { owed, by: Cow::Borrowed(by) }
    }
}

/// Makes the [`Due`] of a table from its name, its key, the columns that are read of a row, and what it owes by them.
#[macro_export]
macro_rules! due_table {
    ($table:literal, $key:literal, $columns:literal, $owing:expr) => {
        $crate::due::Due {
            select: concat!("SELECT ", $columns, " FROM ", $table, " WHERE due_ms <= ? ORDER BY due_ms LIMIT ?"),
            key: $key,
            owing: $owing,
            lease: $crate::sql::Update {
                table: $table,
                values: &["k", "later"],
                set: "due_ms = v.later, attempts = t.attempts + 1",
                guard: concat!("t.", $key, " = v.k"),
            },
        }
    };
}

/// How long a claimed row stays away: doubled with every attempt, with jitter, capped.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// After the first attempt.
    pub base: Duration,
    /// At most.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_secs(2), cap: Duration::from_secs(60) }
    }
}

impl Backoff {
    /// The delay after `attempts` earlier attempts: between three quarters and the whole of the doubled base.
    pub fn delay(&self, attempts: i64) -> Duration {
        let doublings = u32::try_from(attempts.clamp(0, 16)).unwrap_or(16);
        let full = self.base.saturating_mul(2_u32.saturating_pow(doublings)).min(self.cap);
        let quarter = u64::try_from(full.as_millis()).unwrap_or(u64::MAX) / 4;
        full.saturating_sub(Duration::from_millis(rand::random_range(0..=quarter)))
    }
}

impl Due {
    /// Claims up to `limit` rows that are due, in due order: their keys and how often they were claimed before.
    ///
    /// # Errors
    /// The database's.
    pub async fn claim<K>(&self, db: &Db, limit: u32, backoff: Backoff, now: Millis) -> Result<Vec<(K, i64)>>
    where
        K: Cell,
    {
        let rows = self.claim_rows::<K>(db, limit, backoff, now).await?;
        rows.iter().map(|row| Ok((row.get(self.key)?, row.get("attempts")?))).collect()
    }

    /// The same; answers with the rows as they were found.
    ///
    /// # Errors
    /// As [`Due::claim`].
    pub async fn claim_rows<K>(&self, db: &Db, limit: u32, backoff: Backoff, now: Millis) -> Result<Vec<Row>>
    where
        K: Cell,
    {
        // Claiming writes; an idle sweeper must not, so it looks first.
        if self.find(db.read(), self.select, 1, now).await?.is_empty() {
            return Ok(Vec::new());
        }
        let rows = db.write_tx(async |tx| self.claim_within::<K>(tx, limit, backoff, now).await).await?;
        // Before anything is done about them: it may be what kills the process.
        if let Err(error) = self.alarm(&rows) {
            tracing::warn!(%error, "what is owed for long cannot be told");
        }
        Ok(rows)
    }

    /// The claim itself, as part of a transaction: nothing is told, since it may yet roll back.
    ///
    /// # Errors
    /// As [`Due::claim`].
    pub async fn claim_within<K>(&self, tx: &Tx, limit: u32, backoff: Backoff, now: Millis) -> Result<Vec<Row>>
    where
        K: Cell,
    {
        // Locked until they are leased, so that no other instance takes them too: it takes others.
        let select = [self.select, sql::skip_locked(tx)].concat();
        let rows = self.find(tx, &select, limit, now).await?;
        let mut leases = Vec::with_capacity(rows.len());
        for row in &rows {
            let key: K = row.get(self.key)?;
            let later = now.after(backoff.delay(row.get("attempts")?)).get();
            leases.push(vec![key.into(), later.into()]);
        }
        self.lease.run(tx, &leases).await?;
        Ok(rows)
    }

    async fn find(&self, db: &impl Rows, select: &str, limit: u32, now: Millis) -> Result<Vec<Row>> {
        let values = [Value::from(now.get()), Value::from(i64::from(limit))];
        db.rows(Statement::from_sql_and_values(db.get_database_backend(), select, values)).await
    }

    /// Tells of rows that were claimed often in vain: all of them in the counter, and in the log whenever their claims
    /// have doubled.
    fn alarm(&self, rows: &[Row]) -> Result<()> {
        let mut told: BTreeMap<Debt, Vec<(Millis, String)>> = BTreeMap::new();
        for row in rows {
            let attempts: i64 = row.get("attempts")?;
            if attempts < ALARM_FROM {
                continue;
            }
            let Owing { row, since, debts } = (self.owing)(row)?;
            for debt in debts {
                metrics::counter!("shop_owed_for_long_total", "owed" => debt.owed, "by" => debt.by.clone())
                    .increment(1);
                if attempts.unsigned_abs().is_power_of_two() {
                    told.entry(debt).or_default().push((since, row.clone()));
                }
            }
        }
        for (Debt { owed, by }, mut rows) in told {
            rows.sort();
            let since = rows.first().map_or_else(String::new, |(since, _)| since.rfc3339());
            let count = rows.len();
            let rows = named(rows.into_iter().map(|(_, row)| row));
            tracing::error!(owed, %by, since, count, rows, "{owed} is owed by {by} since {since}: {rows}");
        }
        Ok(())
    }
}

/// `order 1, order 2 and 3 more`, the oldest first.
fn named(rows: impl ExactSizeIterator<Item = String>) -> String {
    let more = rows.len().saturating_sub(NAMED);
    let first = rows.take(NAMED).collect::<Vec<_>>().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}

/// Longest round: the leases of its rows ended long ago, and a database that vanished without a word is not waited for
/// until TCP gives up on it.
const ROUND_MAX: Duration = Duration::from_mins(2);

/// Something a sweeper does again and again.
#[async_trait]
pub trait Sweep: Send + Sync + 'static {
    /// For logs.
    fn name(&self) -> &'static str;

    /// Does what is due at `now`; how many rows it claimed. Zero ends the round.
    async fn run_once(&self, now: Millis) -> Result<usize, Failure>;
}

/// Wakes sweepers before their pause is over; said while one works, it is heard when that is done.
#[derive(Clone, Debug, Default)]
pub struct Wake(watch::Sender<()>);

impl Wake {
    /// Something is due.
    pub fn now(&self) {
        self.0.send_replace(());
    }

    /// Hears of what is said from now on.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}

/// Runs each sweep until nothing is due, then waits for `wake` or the interval (with jitter), until it is stopped. None
/// waits for another: one that asks a provider who does not answer holds up nobody.
pub async fn sweep_until_stopped(
    sweeps: Vec<Arc<dyn Sweep>>,
    interval: Duration,
    wake: Wake,
    clock: Clock,
    shutdown: Shutdown,
) {
    let swept = sweeps.iter().map(|sweep| sweep_one(sweep, interval, wake.listen(), &clock, &shutdown));
    join_all(swept).await;
}

async fn sweep_one(
    sweep: &Arc<dyn Sweep>,
    interval: Duration,
    mut woken: watch::Receiver<()>,
    clock: &Clock,
    shutdown: &Shutdown,
) {
    while !shutdown.is_stopped() {
        woken.mark_unchanged();
        round(sweep, clock, shutdown).await;
        let jitter = interval.mul_f64(rand::random_range(0.8..1.2));
        let pause = async {
            tokio::select! {
                // Its sender is held above.
                _ = woken.changed() => {}
                () = tokio::time::sleep(jitter) => {}
            }
        };
        shutdown.race(pause).await;
    }
}

async fn round(sweep: &Arc<dyn Sweep>, clock: &Clock, shutdown: &Shutdown) {
    while !shutdown.is_stopped() {
        let (running, now) = (Arc::clone(sweep), clock.now());
        // In a task of its own, so that a panic costs one round and not the sweeper.
        let swept = tokio::spawn(timeout(ROUND_MAX, async move { running.run_once(now).await }));
        match swept.await {
            Ok(Ok(Ok(0))) => return,
            Ok(Ok(Ok(claimed))) => tracing::debug!(sweep = sweep.name(), claimed, "swept"),
            Ok(Ok(Err(error))) => {
                tracing::warn!(sweep = sweep.name(), %error, "sweep failed; trying again later");
                return;
            }
            Ok(Err(_)) => {
                tracing::error!(sweep = sweep.name(), "sweep did not come to its end; it is given up and tried again");
                return;
            }
            Err(panic) => {
                tracing::error!(sweep = sweep.name(), %panic, "sweep panicked; trying again later");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_cap() {
        let backoff = Backoff { base: Duration::from_secs(2), cap: Duration::from_secs(60) };
        for (attempts, full) in [(0, 2), (1, 4), (3, 16), (5, 60), (1_000, 60)] {
            let delay = backoff.delay(attempts);
            assert!(
                delay <= Duration::from_secs(full) && delay >= Duration::from_millis(full * 750),
                "{attempts}: {delay:?}"
            );
        }
    }
}
