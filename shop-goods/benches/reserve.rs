//! Reserving one unit, durable (SQLite FULL, MariaDB flush at commit): one command per transaction against batches,
//! 100 goods against one hot row, 64 callers in a closed loop on the same cores. Beside them the bare statements in
//! batches: ledger, goods, one update, one insert; no hold, no rule.

#![expect(clippy::expect_used, reason = "a benchmark ends at what it did not expect")]

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sea_orm::{ConnectionTrait, DatabaseBackend, Statement, Value};
use shop_common::{
    batch::{Batcher, Limits},
    db::{Failure, Result, Tx},
    hold::Done,
    id::{GoodsId, OrderId},
    sql::{self, Update},
    time::Clock,
};
use shop_goods::{
    SCHEMA,
    stock::Line,
    tx::{ReserveStock, reserve_stock},
};
use shop_testkit::{TestDb, databases, load::closed_loop};
use tokio::runtime::Runtime;

const CALLERS: usize = 64;
const GOODS: i64 = 100;
const ORDERS: i64 = 2048;

const HOLD_TIMEOUT: Duration = Duration::from_secs(2100);

static NEXT_ORDER: AtomicI64 = AtomicI64::new(1);

fn orders(goods: i64) -> Vec<ReserveStock> {
    let first = NEXT_ORDER.fetch_add(ORDERS, Ordering::Relaxed);
    let line = |order: i64| Line { goods_id: GoodsId::new(1 + order % goods), quantity: 1 };
    (first..first + ORDERS)
        .map(|order| ReserveStock { order_id: OrderId::new(order), lines: vec![line(order)] })
        .collect()
}

async fn stocked() -> Vec<TestDb> {
    let all = databases(&SCHEMA).await;
    for test in &all {
        let fill = async |tx: &Tx| {
            for goods in 1..=GOODS {
                let row = format!("INSERT INTO trade_goods VALUES ({goods}, 'g', 1000000000, 100, '', 0)");
                tx.execute_unprepared(&row).await?;
            }
            Ok(())
        };
        test.db.write_tx(fill).await.expect("the goods are new");
    }
    all
}

fn batcher(test: &TestDb, commands: usize) -> Batcher<ReserveStock, Done> {
    let limits = Limits { commands, ..Limits::default() };
    Batcher::of_transactions(test.db.clone(), Clock::system(), limits, |tx, commands, now| {
        Box::pin(reserve_stock(tx, commands, HOLD_TIMEOUT, now))
    })
}

const TAKE: Update = Update {
    table: "trade_goods",
    values: &["k", "delta"],
    set: "goods_number = t.goods_number + v.delta",
    guard: "t.goods_id = v.k AND t.goods_number + v.delta >= 0",
};

/// What reserving comes to at least.
async fn bare_statements(tx: &Tx, commands: &[ReserveStock]) -> Result<Vec<Done>> {
    let backend = tx.get_database_backend();
    let ids = |ids: Vec<i64>| {
        let ids = sql::padded(ids);
        (vec!["?"; ids.len()].join(", "), ids.into_iter().map(Value::from).collect::<Vec<_>>())
    };
    let (marks, orders) = ids(commands.iter().map(|command| command.order_id.get()).collect());
    let ledger = format!("SELECT ref_id FROM trade_goods_number_log WHERE ref_id IN ({marks})");
    if !tx.query_all_raw(Statement::from_sql_and_values(backend, ledger, orders)).await?.is_empty() {
        return Err(Failure::guard("trade_goods_number_log"));
    }
    let mut taken: BTreeMap<i64, i64> = BTreeMap::new();
    for line in commands.iter().flat_map(|command| &command.lines) {
        *taken.entry(line.goods_id.get()).or_default() += i64::from(line.quantity);
    }
    let (marks, goods) = ids(taken.keys().copied().collect());
    let lock = if backend == DatabaseBackend::MySql { " FOR UPDATE" } else { "" };
    let shelves = format!("SELECT goods_id, goods_number FROM trade_goods WHERE goods_id IN ({marks}){lock}");
    if tx.query_all_raw(Statement::from_sql_and_values(backend, shelves, goods)).await?.len() != taken.len() {
        return Err(Failure::guard("trade_goods"));
    }
    TAKE.run(tx, &taken.iter().map(|(goods, taken)| vec![(*goods).into(), (-taken).into()]).collect::<Vec<_>>())
        .await?;
    let line = |command: &ReserveStock, line: &Line| {
        vec![
            command.order_id.get().into(),
            line.goods_id.get().into(),
            1_i16.into(),
            (-i64::from(line.quantity)).into(),
            0_i64.into(),
        ]
    };
    let rows: Vec<Vec<Value>> =
        commands.iter().flat_map(|command| command.lines.iter().map(move |of| line(command, of))).collect();
    sql::insert_rows(
        tx,
        "trade_goods_number_log",
        &["ref_id", "goods_id", "log_type", "goods_number", "log_ms"],
        &rows,
    )
    .await?;
    Ok(vec![Done::Done; commands.len()])
}

fn bare(test: &TestDb) -> Batcher<ReserveStock, Done> {
    Batcher::of_transactions(test.db.clone(), Clock::system(), Limits::default(), |tx, commands, _| {
        Box::pin(bare_statements(tx, commands))
    })
}

fn reserve(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    for test in runtime.block_on(stocked()) {
        let mut group = criterion.benchmark_group(format!("reserve/{}", test.name));
        group.sample_size(10).throughput(Throughput::Elements(ORDERS.unsigned_abs()));
        for (rows, goods) in [("spread", GOODS), ("hot", 1)] {
            let (one, batches, bare) =
                runtime.block_on(async { (batcher(&test, 1), batcher(&test, 256), bare(&test)) });
            for (how, batcher) in [("one per transaction", one), ("batches", batches), ("bare batches", bare)] {
                group.bench_function(format!("{rows}/{how}"), |bencher| {
                    bencher.iter_custom(|rounds| {
                        (0..rounds).fold(Duration::ZERO, |total, _| {
                            total + runtime.block_on(closed_loop(&batcher, orders(goods), CALLERS))
                        })
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, reserve);
criterion_main!(benches);
