//! Debiting one fen, durable (SQLite FULL, MariaDB flush at commit): one command per transaction against batches, 100
//! users against one, 64 callers in a closed loop on the same cores.
#![expect(clippy::expect_used, reason = "a benchmark ends where something is wrong")]

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sea_orm::ConnectionTrait;
use shop_common::{
    batch::{Batcher, Limits},
    hold::Done,
    id::{OrderId, UserId},
    money::Fen,
    time::Clock,
};
use shop_testkit::{TestDb, databases, load::closed_loop};
use shop_user::{
    SCHEMA,
    tx::{DebitBalance, debit_balance},
};
use tokio::runtime::Runtime;

const CALLERS: usize = 64;
const USERS: i64 = 100;
const ORDERS: i64 = 2048;

static NEXT_ORDER: AtomicI64 = AtomicI64::new(1);

fn orders(users: i64) -> Vec<DebitBalance> {
    let first = NEXT_ORDER.fetch_add(ORDERS, Ordering::Relaxed);
    let debit = |order: i64| DebitBalance {
        order_id: OrderId::new(order),
        user_id: UserId::new(1 + order % users),
        amount: Fen::new(1),
    };
    (first..first + ORDERS).map(debit).collect()
}

async fn funded() -> Vec<TestDb> {
    let all = databases(&SCHEMA).await;
    for test in &all {
        let fill = async |tx: &shop_common::db::Tx| {
            for user in 1..=USERS {
                let row = format!("INSERT INTO trade_user VALUES ({user}, 'u', NULL, '', 0, 0, 1000000000)");
                tx.execute_unprepared(&row).await?;
            }
            Ok(())
        };
        test.db.write_tx(fill).await.expect("the users are new");
    }
    all
}

fn batcher(test: &TestDb, commands: usize) -> Batcher<DebitBalance, Done> {
    let limits = Limits { commands, ..Limits::default() };
    Batcher::of_transactions(test.db.clone(), Clock::system(), limits, |tx, commands, now| {
        Box::pin(debit_balance(tx, commands, now))
    })
}

fn debit(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    for test in runtime.block_on(funded()) {
        let mut group = criterion.benchmark_group(format!("debit/{}", test.name));
        group.sample_size(10).throughput(Throughput::Elements(ORDERS.unsigned_abs()));
        for (rows, users) in [("spread", USERS), ("hot", 1)] {
            for (how, commands) in [("one per transaction", 1), ("batches", 256)] {
                let batcher = runtime.block_on(async { batcher(&test, commands) });
                group.bench_function(format!("{rows}/{how}"), |bencher| {
                    bencher.iter_custom(|rounds| {
                        (0..rounds).fold(Duration::ZERO, |total, _| {
                            total + runtime.block_on(closed_loop(&batcher, orders(users), CALLERS))
                        })
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, debit);
criterion_main!(benches);
