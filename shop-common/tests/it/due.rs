//! Rows that are due are claimed in order, once in a lease, and come up again.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use metrics_exporter_prometheus::PrometheusBuilder;
use shop_common::{
    db::{Db, Failure, Result},
    due::{ALARM_FROM, Backoff, Debt, Due, Owing, Sweep, Wake, sweep_until_stopped},
    due_table, shutdown,
    time::{Clock, Millis},
};
use shop_testkit::{Alarms, databases, eventually};

use crate::item::{self, due, insert, item};

const DUE: Due = due_table!("item", "id", "id, attempts", |row| {
    let id: i64 = row.get("id")?;
    let debts = vec![Debt::new("stock", "goods"), Debt::new("coupon", "coupon")];
    Ok(Owing { row: format!("order {id}"), since: Millis::new(id * 1_000), debts })
});
const NOW: Millis = Millis::new(10_000);
const BACKOFF: Backoff = Backoff { base: Duration::from_secs(4), cap: Duration::from_secs(16) };

async fn claim(db: &Db, limit: u32, now: Millis) -> Result<Vec<(i64, i64)>> {
    DUE.claim(db, limit, BACKOFF, now).await
}

fn keys(claimed: &[(i64, i64)]) -> Vec<i64> {
    claimed.iter().map(|(key, _)| *key).collect()
}

#[tokio::test]
async fn what_is_due_is_claimed_in_due_order() {
    for test in databases(&[item::FILE]).await {
        let later = due(6, 10_001);
        insert(&test.db, vec![due(1, 9_000), due(2, 7_000), due(3, 10_000), due(4, 8_000), later, item(7, "never", 0)])
            .await
            .unwrap();
        assert_eq!(keys(&claim(&test.db, 3, NOW).await.unwrap()), [2, 4, 1], "{}", test.name);
        assert_eq!(keys(&claim(&test.db, 3, NOW).await.unwrap()), [3], "{}", test.name);
        assert_eq!(claim(&test.db, 3, NOW).await.unwrap(), [], "{}", test.name);
    }
}

#[tokio::test]
async fn a_claimed_row_comes_up_again_later_and_later() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, vec![due(1, 10_000)]).await.unwrap();
        let mut now = NOW;
        for (attempts, pause) in [(0, 3_000..=4_000), (1, 6_000..=8_000), (2, 12_000..=16_000), (3, 12_000..=16_000)] {
            assert_eq!(claim(&test.db, 9, now).await.unwrap(), [(1, attempts)], "{}", test.name);
            let row = item::all(&test.db).await.remove(0);
            let lease = row.due_ms.unwrap() - now.get();
            assert!(pause.contains(&lease), "{}: {lease} not in {pause:?}", test.name);
            assert_eq!(row.attempts, attempts + 1, "{}", test.name);
            assert_eq!(claim(&test.db, 9, Millis::new(row.due_ms.unwrap() - 1)).await.unwrap(), [], "{}", test.name);
            now = Millis::new(row.due_ms.unwrap());
        }
    }
}

#[tokio::test]
async fn a_claim_that_rolled_back_was_none() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, vec![due(1, 10_000)]).await.unwrap();
        let failed = test.db.write_tx(async |tx| {
            assert_eq!(DUE.claim_within::<i64>(tx, 9, BACKOFF, NOW).await?.len(), 1);
            Err::<(), _>(Failure::guard("item"))
        });
        failed.await.unwrap_err();
        assert_eq!(claim(&test.db, 9, NOW).await.unwrap(), [(1, 0)], "{}", test.name);
    }
}

#[tokio::test]
async fn many_rows_are_claimed_at_once() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, (1..=600).map(|id| due(id, id)).collect()).await.unwrap();
        assert_eq!(keys(&claim(&test.db, 500, NOW).await.unwrap()), (1..=500).collect::<Vec<_>>(), "{}", test.name);
        assert_eq!(claim(&test.db, 500, NOW).await.unwrap().len(), 100, "{}", test.name);
    }
}

#[tokio::test]
async fn two_sweepers_never_claim_the_same_row_in_one_lease() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, (1..=200).map(|id| due(id, id)).collect()).await.unwrap();
        let pools = [test.db.clone(), test.connect_again().await];
        let sweep = async |db: &Db| {
            let mut mine = Vec::new();
            loop {
                match claim(db, 7, NOW).await {
                    Ok(claimed) if claimed.is_empty() => return mine,
                    Ok(claimed) => mine.extend(keys(&claimed)),
                    Err(error) => panic!("{}: {error}", test.name),
                }
            }
        };
        let (mut all, others) = tokio::join!(sweep(&pools[0]), sweep(&pools[1]));
        all.extend(others);
        let distinct: BTreeSet<i64> = all.iter().copied().collect();
        assert_eq!((all.len(), distinct.len()), (200, 200), "{}", test.name);
        assert!(item::all(&test.db).await.iter().all(|item| item.attempts == 1), "{}", test.name);
    }
}

/// On MariaDB: SQLite has one writer at a time.
#[tokio::test]
async fn what_one_sweeper_is_claiming_another_leaves_out() {
    for test in databases(&[item::FILE]).await.into_iter().filter(|test| test.name == "mariadb") {
        insert(&test.db, (1..=200).map(|id| due(id, id)).collect()).await.unwrap();
        let other = test.connect_again().await;
        let claimed = test.db.write_tx(async |tx| {
            let mine = DUE.claim_within::<i64>(tx, 2, BACKOFF, NOW).await?;
            Ok((mine.len(), keys(&claim(&other, 3, NOW).await?)))
        });
        assert_eq!(claimed.await.unwrap(), (2, vec![3, 4, 5]));
    }
}

/// What claiming everything again and again says, by the number of the claim.
async fn told(db: &Db, claims: usize) -> Vec<(usize, Vec<String>)> {
    let alarms = Alarms::default();
    let _heard = tracing::dispatcher::set_default(&alarms.dispatch());
    let mut told = Vec::new();
    for number in 1..=claims {
        let now = Millis::new(i64::try_from(number).unwrap() * 60_000);
        assert!(!claim(db, 64, now).await.unwrap().is_empty(), "{number}");
        told.push((number, alarms.take()));
    }
    told.retain(|(_, said)| !said.is_empty());
    told
}

/// F14, F36, F41: what is owed, by whom, since when and of which row.
#[tokio::test]
async fn a_row_that_was_claimed_often_is_told_whenever_its_claims_have_doubled() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, vec![due(1, 10_000)]).await.unwrap();
        let told = told(&test.db, 40).await;
        let first = usize::try_from(ALARM_FROM).unwrap() + 1;
        assert_eq!(told.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [first, 17, 33], "{}", test.name);
        for (_, said) in told {
            let expected = ["coupon is owed by coupon", "stock is owed by goods"];
            assert_eq!(
                said,
                expected.map(|owed| format!("{owed} since 1970-01-01T00:00:01Z: order 1")),
                "{}",
                test.name
            );
        }
    }
}

/// What is rarely told is always counted: an alarm on the rate is on as long as the trouble is.
#[tokio::test]
async fn what_was_claimed_often_is_counted_with_every_claim() {
    for test in databases(&[item::FILE]).await {
        let recorder = PrometheusBuilder::new().build_recorder();
        let _counting = metrics::set_default_local_recorder(&recorder);
        insert(&test.db, vec![due(1, 10_000), due(2, 10_000)]).await.unwrap();
        told(&test.db, 11).await;
        let page = recorder.handle().render();
        for line in [
            r#"shop_owed_for_long_total{owed="stock",by="goods"} 6"#,
            r#"shop_owed_for_long_total{owed="coupon",by="coupon"} 6"#,
        ] {
            assert!(page.contains(line), "{}: {line}\n{page}", test.name);
        }
    }
}

#[tokio::test]
async fn one_line_tells_of_many_rows_and_names_twenty() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, (1..=23).map(|id| due(id, 10_000 + id)).collect()).await.unwrap();
        let told = told(&test.db, 9).await;
        let [(9, said)] = told.as_slice() else { panic!("{}: {told:?}", test.name) };
        assert_eq!(said.len(), 2, "{}: {said:?}", test.name);
        let rows = (1..=20).map(|id| format!("order {id}")).collect::<Vec<_>>().join(", ");
        assert_eq!(said[1], format!("stock is owed by goods since 1970-01-01T00:00:01Z: {rows} and 3 more"));
    }
}

/// Dies of one row, whatever else is due at that moment.
struct DiesOf {
    poison: i64,
    db: Db,
}

#[async_trait]
impl Sweep for DiesOf {
    fn name(&self) -> &'static str {
        "dies of one"
    }

    async fn run_once(&self, now: Millis) -> Result<usize> {
        let claimed = DUE.claim::<i64>(&self.db, 256, Backoff::default(), now).await?;
        let claimed = keys(&claimed);
        assert!(!claimed.contains(&self.poison), "as told");
        item::done(&self.db, claimed.clone()).await?;
        Ok(claimed.len())
    }
}

/// F14: a second is enough for those that share a moment with it; it comes back once a minute at last.
#[tokio::test]
async fn a_row_that_kills_its_sweep_backs_off_and_the_others_are_done() {
    for test in databases(&[item::FILE]).await {
        insert(&test.db, (1..=100).map(|id| due(id, 10_000)).collect()).await.unwrap();
        let sweep = Arc::new(DiesOf { poison: 13, db: test.db.clone() });
        for second in 0..600 {
            let now = NOW.after(Duration::from_secs(second));
            let run = || {
                let sweep = Arc::clone(&sweep);
                // In a task of its own, as the sweeper runs it.
                tokio::spawn(async move { sweep.run_once(now).await })
            };
            while let Ok(Ok(1..)) = run().await {}
        }
        let left: Vec<_> = item::all(&test.db).await.into_iter().filter(|item| item.due_ms.is_some()).collect();
        assert_eq!(left.iter().map(|item| item.id).collect::<Vec<_>>(), [13], "{}", test.name);
        assert!((10..=20).contains(&left[0].attempts), "{}: {}", test.name, left[0].attempts);
    }
}

/// Counts its rounds; each does as it is told.
struct Rounds<F> {
    count: AtomicUsize,
    act: F,
}

#[async_trait]
impl<F: Fn(usize) -> Result<usize> + Send + Sync + 'static> Sweep for Rounds<F> {
    fn name(&self) -> &'static str {
        "rounds"
    }

    async fn run_once(&self, _now: Millis) -> Result<usize> {
        (self.act)(self.count.fetch_add(1, Ordering::SeqCst))
    }
}

/// Runs sweeps that find nothing in their `rounds`th run, hourly, waking them up until then.
async fn sweep(rounds: usize, act: impl Fn(usize) -> Result<usize> + Send + Sync + 'static) {
    let sweep = Arc::new(Rounds { count: AtomicUsize::new(0), act });
    let (wake, (switch, shutdown)) = (Wake::default(), shutdown::channel());
    let sweeps: Vec<Arc<dyn Sweep>> = vec![sweep.clone()];
    let interval = Duration::from_hours(1);
    let clock = Clock::manual(NOW);
    let run = tokio::spawn(sweep_until_stopped(sweeps, interval, wake.clone(), clock, shutdown));
    eventually("enough rounds", Duration::from_secs(30), async || {
        wake.now();
        sweep.count.load(Ordering::SeqCst) >= rounds
    })
    .await;
    switch.stop();
    run.await.unwrap();
}

#[tokio::test]
async fn a_sweeper_goes_on_until_nothing_is_due() {
    sweep(5, |round| Ok(usize::from(round < 4))).await;
}

/// Asks somebody who does not answer, for the first time; then he is gone.
struct Hangs(AtomicUsize);

#[async_trait]
impl Sweep for Hangs {
    fn name(&self) -> &'static str {
        "hangs"
    }

    async fn run_once(&self, _now: Millis) -> Result<usize> {
        if self.0.fetch_add(1, Ordering::SeqCst) == 0 {
            std::future::pending::<()>().await;
        }
        Ok(0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_hangs_holds_up_no_other_and_is_given_up() {
    let hangs = Arc::new(Hangs(AtomicUsize::new(0)));
    let others = Arc::new(Rounds { count: AtomicUsize::new(0), act: |_| Ok(0) });
    let (wake, (switch, shutdown)) = (Wake::default(), shutdown::channel());
    let sweeps: Vec<Arc<dyn Sweep>> = vec![hangs.clone(), others.clone()];
    let second = Duration::from_secs(1);
    let run = tokio::spawn(sweep_until_stopped(sweeps, second, wake, Clock::manual(NOW), shutdown));
    tokio::time::sleep(100 * second).await;
    let rounds = others.count.load(Ordering::SeqCst);
    assert!((80..=130).contains(&rounds), "{rounds}");
    assert_eq!(hangs.0.load(Ordering::SeqCst), 1);
    tokio::time::sleep(30 * second).await;
    assert!(hangs.0.load(Ordering::SeqCst) > 1, "after two minutes it is tried again");
    switch.stop();
    run.await.unwrap();
}

#[tokio::test]
async fn a_sweep_that_fails_is_tried_again() {
    sweep(3, |round| if round < 2 { Err(Failure::Down("gone".into())) } else { Ok(0) }).await;
}

#[tokio::test]
async fn a_sweep_that_panics_is_tried_again() {
    sweep(3, |round| {
        assert!(round >= 2, "as told");
        Ok(0)
    })
    .await;
}
