//! Rows that owe something say until when (`due_ms`); one sweeper per service finds them, with the broker off too.
//!
//! Claiming moves `due_ms` forward: lease and exponential backoff in one column. A claimed row that was not finished,
//! because its sweeper died or the other side was away, comes up again by itself.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, QueryResult, Statement, TryGetable, Value};
use tokio::sync::Notify;

use crate::{
    db::{Failure, Result, Tx},
    shutdown::Shutdown,
    sql::Update,
    time::{Clock, Millis},
};

/// A table with `due_ms` and `attempts`.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// Finds due rows in due order; parameters: now, limit. Columns: at least the key, `due_ms`, `attempts`.
    pub select: &'static str,
    /// Name of the key column.
    pub key: &'static str,
    /// Moves `due_ms` on; values: `k`, `seen`, `later`.
    pub lease: Update,
}

/// Makes the [`Due`] of a table, whose rows are found with the columns that [`Due`] needs or with those that are named.
#[macro_export]
macro_rules! due_table {
    ($table:literal, $key:literal) => {
        $crate::due_table!($table, $key, $key, ", due_ms, attempts")
    };
    ($table:literal, $key:literal, $($columns:literal),+) => {
        $crate::due::Due {
            select: concat!(
                "SELECT ",
                $($columns,)+
                " FROM ",
                $table,
                " WHERE due_ms <= ? ORDER BY due_ms LIMIT ?"
            ),
            key: $key,
            lease: $crate::sql::Update {
                table: $table,
                values: &["k", "seen", "later"],
                set: "due_ms = v.later, attempts = t.attempts + 1",
                guard: concat!("t.", $key, " = v.k AND t.due_ms = v.seen"),
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
    /// Whether any row is due. Claiming writes; an idle sweeper must not, so it looks first.
    pub async fn any(&self, db: &impl ConnectionTrait, now: Millis) -> Result<bool> {
        let values = [Value::from(now.get()), Value::from(1_i64)];
        let select = Statement::from_sql_and_values(db.get_database_backend(), self.select, values);
        Ok(db.query_one_raw(select).await?.is_some())
    }

    /// Claims up to `limit` rows that are due, in due order: their keys and how often they were claimed before.
    ///
    /// # Errors
    /// [`Failure::Rollback`] when another sweeper was faster.
    pub async fn claim<K>(&self, tx: &Tx, limit: u32, backoff: Backoff, now: Millis) -> Result<Vec<(K, i64)>>
    where
        K: TryGetable + Into<Value>,
    {
        let rows = self.claim_rows::<K>(tx, limit, backoff, now).await?;
        rows.iter().map(|row| Ok((row.try_get("", self.key)?, row.try_get("", "attempts")?))).collect()
    }

    /// The same; answers with the rows as they were found.
    ///
    /// # Errors
    /// As [`Due::claim`].
    pub async fn claim_rows<K>(&self, tx: &Tx, limit: u32, backoff: Backoff, now: Millis) -> Result<Vec<QueryResult>>
    where
        K: TryGetable + Into<Value>,
    {
        let values = [Value::from(now.get()), Value::from(i64::from(limit))];
        let select = Statement::from_sql_and_values(tx.get_database_backend(), self.select, values);
        let rows = tx.query_all_raw(select).await?;
        let mut leases = Vec::with_capacity(rows.len());
        for row in &rows {
            let key: K = row.try_get("", self.key)?;
            let seen: i64 = row.try_get("", "due_ms")?;
            let later = now.after(backoff.delay(row.try_get("", "attempts")?)).get();
            leases.push(vec![key.into(), seen.into(), later.into()]);
        }
        self.lease.run(tx, &leases).await?;
        Ok(rows)
    }
}

/// Something a sweeper does again and again.
#[async_trait]
pub trait Sweep: Send + Sync + 'static {
    /// For logs.
    fn name(&self) -> &'static str;

    /// Does what is due at `now`; how many rows it claimed. Zero ends the round.
    async fn run_once(&self, now: Millis) -> Result<usize, Failure>;
}

/// Runs every sweep until nothing is due, then waits for `wake` or the interval (with jitter), until it is stopped.
pub async fn sweep_until_stopped(
    sweeps: Vec<Arc<dyn Sweep>>,
    interval: Duration,
    wake: Arc<Notify>,
    clock: Clock,
    shutdown: Shutdown,
) {
    while !shutdown.is_stopped() {
        for sweep in &sweeps {
            round(sweep, &clock, &shutdown).await;
        }
        let jitter = interval.mul_f64(rand::random_range(0.8..1.2));
        let pause = async {
            tokio::select! {
                () = wake.notified() => {}
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
        match tokio::spawn(async move { running.run_once(now).await }).await {
            Ok(Ok(0)) => return,
            Ok(Ok(claimed)) => tracing::debug!(sweep = sweep.name(), claimed, "swept"),
            Ok(Err(error)) => {
                tracing::warn!(sweep = sweep.name(), %error, "sweep failed; trying again later");
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
