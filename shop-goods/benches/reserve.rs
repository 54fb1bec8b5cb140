//! Reserving one unit, durable (SQLite FULL, MariaDB flush at commit): one command per transaction against batches,
//! 100 goods against one hot row, 64 callers in a closed loop on the same cores.

#![expect(clippy::expect_used, reason = "a benchmark ends at what it did not expect")]

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sea_orm::ConnectionTrait;
use shop_common::{
    batch::{Batcher, Limits},
    hold::Done,
    id::{GoodsId, OrderId},
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
        let fill = async |tx: &shop_common::db::Tx| {
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

fn reserve(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    for test in runtime.block_on(stocked()) {
        let mut group = criterion.benchmark_group(format!("reserve/{}", test.name));
        group.sample_size(10).throughput(Throughput::Elements(ORDERS.unsigned_abs()));
        for (rows, goods) in [("spread", GOODS), ("hot", 1)] {
            for (how, commands) in [("one per transaction", 1), ("batches", 256)] {
                let batcher = runtime.block_on(async { batcher(&test, commands) });
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
