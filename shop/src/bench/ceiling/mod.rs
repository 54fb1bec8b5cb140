//! The ceiling: the rows and statements of placing orders, on fresh files of the same engine and disk, with no service
//! around them. What the shop reaches of it is what everything around the SQL costs. Beside it, what a commit and an empty
//! call cost on this machine.

mod call;
mod statements;

use std::{
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

use sea_orm::ConnectionTrait;
use shop_common::{
    db::{DatabaseConfig, Db, Failure},
    time::Clock,
};

use super::{Outcome, histogram::Latencies, report::Ceiling, rows};
use crate::{assemble::open_all, audit::Schemas, config::Config};

/// Orders of one transaction, where as many are on their way.
const BATCH: usize = 64;
/// How long it is measured.
const LONG_ENOUGH: Duration = Duration::from_secs(3);
/// Commits that are timed.
const COMMITS: usize = 300;

/// Measures beneath `dir` with up to `at_once` orders on their way together.
pub(super) async fn measure(dir: &Path, at_once: usize) -> Outcome<Ceiling> {
    let dir = tempfile::tempdir_in(dir)?;
    let commit = commits(dir.path()).await?.quantiles();
    let schemas = open(dir.path()).await?;
    let batch = at_once.clamp(1, BATCH);
    let in_flight = at_once.div_ceil(BATCH).max(1);
    let (next, started) = (AtomicI64::new(1), Instant::now());
    let place = || async {
        while started.elapsed() < LONG_ENOUGH {
            place(&schemas, &next, batch).await?;
        }
        Ok::<(), Failure>(())
    };
    futures::future::try_join_all((0..in_flight).map(|_| place())).await?;
    let (orders, took) = (next.load(Ordering::SeqCst) - 1, started.elapsed());
    schemas.close().await;
    Ok(Ceiling::new(u64::try_from(orders)?, took, batch, in_flight, commit, call::cost().await?))
}

/// Fresh databases with the rows of the benchmark.
async fn open(dir: &Path) -> Outcome<Schemas> {
    let config = Config::read(None, &[("data_dir", dir.display().to_string())])?;
    let schemas = open_all(&config).await?;
    rows::write(&schemas).await?;
    Ok(schemas)
}

/// The next `batch` orders, transaction by transaction as the shop does it.
async fn place(schemas: &Schemas, next: &AtomicI64, batch: usize) -> Result<(), Failure> {
    let count = i64::try_from(batch).unwrap_or(1);
    let first = next.fetch_add(count, Ordering::SeqCst);
    let orders: Vec<i64> = (first..first.saturating_add(count)).collect();
    let now = Clock::system().now();
    schemas.order.write_tx(async |tx| statements::create(tx, &orders, now).await).await?;
    let (reserved, debited) = tokio::join!(
        schemas.goods.write_tx(async |tx| statements::reserve(tx, &orders, now).await),
        schemas.user.write_tx(async |tx| statements::debit(tx, &orders, now).await),
    );
    reserved.and(debited)?;
    schemas.order.write_tx(async |tx| statements::confirm(tx, &orders, now).await).await
}

/// How long the disk takes to make one row durable.
async fn commits(dir: &Path) -> Outcome<Latencies> {
    let db = Db::connect(&DatabaseConfig::sqlite(&dir.join("commit.db"), 1)).await?;
    db.write_tx(async |tx| Ok(tx.execute_unprepared("CREATE TABLE t (n BIGINT)").await?)).await?;
    let mut latencies = Latencies::new()?;
    for _ in 0..COMMITS {
        let started = Instant::now();
        db.write_tx(async |tx| Ok(tx.execute_unprepared("INSERT INTO t VALUES (1)").await?)).await?;
        latencies.record(started.elapsed());
    }
    db.close().await;
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Options, audit};

    #[tokio::test]
    async fn the_ceiling_writes_what_a_shop_writes() {
        let dir = tempfile::tempdir().unwrap();
        let (schemas, next) = (open(dir.path()).await.unwrap(), AtomicI64::new(1));
        place(&schemas, &next, 7).await.unwrap();
        place(&schemas, &next, 7).await.unwrap();
        let options = Options { confirm: Duration::ZERO, ..Options::default() };
        let report = audit(&schemas, &options, &Clock::system()).await.unwrap();
        assert!(report.is_clean(), "{report}");
        let orders = schemas.order.read().query_one_raw(sea_orm::Statement::from_string(
            sea_orm::DatabaseBackend::Sqlite,
            "SELECT COUNT(*) AS n FROM trade_order WHERE order_status = 1",
        ));
        assert_eq!(orders.await.unwrap().unwrap().try_get::<i64>("", "n").unwrap(), 14);
        assert_eq!(report.pending.messages, 14, "each order owes its message");
    }
}
