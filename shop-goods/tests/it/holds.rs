//! Stock auto-unlock by work order (the course, text 001): a hold past its time asks the order service what became of its order.

use std::{sync::Arc, time::Duration};

use shop_common::{
    due::Sweep,
    hold::{Done, Finished, Undone},
    id::OrderId,
    time::Millis,
};
use shop_goods::tx::{KeepStock, keep_stock};
use shop_proto::order::v1::OrderStatus;
use shop_testkit::{
    TestDb, bus, dump,
    fakes::FakeOrders,
    participant::{NOW, number},
    service::deps,
};

use crate::stock::{HOLD_TIMEOUT, STOCK, service};

/// Longer than any pause of a sweeper.
const ROUND: Duration = Duration::from_secs(61);
const RETURNS: &str = "SELECT COUNT(*) AS n FROM trade_goods_number_log WHERE log_type = 2";

/// The sweeper of a service that asks these orders.
fn sweep(test: &TestDb, orders: &FakeOrders) -> Arc<dyn Sweep> {
    let (deps, running) = deps(test, bus());
    // The sweeper outlives the switch of its service, which here stops nothing.
    drop(running);
    service(test, deps).sweeps(orders.link()).remove(0)
}

fn due() -> Millis {
    NOW.after(HOLD_TIMEOUT)
}

/// State of the hold of an order, and whether it is due.
async fn hold(test: &TestDb, order: i64) -> (i64, bool) {
    let of = |column: &str| format!("SELECT {column} AS n FROM trade_goods_hold WHERE order_id = {order}");
    (number(&test.db, &of("state")).await, number(&test.db, &of("due_ms IS NOT NULL")).await == 1)
}

/// What is there of each of the goods.
async fn shelves(test: &TestDb) -> [i64; 3] {
    let of = |goods| format!("SELECT goods_number AS n FROM trade_goods WHERE goods_id = {goods}");
    [number(&test.db, &of(1)).await, number(&test.db, &of(2)).await, number(&test.db, &of(3)).await]
}

async fn keeps(test: &TestDb, order: i64) -> Finished {
    let commands = [KeepStock { order_id: OrderId::new(order) }];
    test.db.write_tx(async |tx| keep_stock(tx, &commands, NOW).await).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_hold_is_left_alone_until_its_time() {
    for test in STOCK.fresh(10).await {
        let orders = FakeOrders::default();
        orders.set(10, OrderStatus::Cancelled);
        STOCK.takes_of(&test.db, &[10]).await;
        assert_eq!(hold(&test, 10).await, (1, true), "{}", test.name);
        let before = dump(&test.db).await;
        let just_before = Millis::new(due().get() - 1);
        assert_eq!(sweep(&test, &orders).run_once(just_before).await.unwrap(), 0, "{}", test.name);
        assert_eq!(dump(&test.db).await, before, "{}", test.name);
        assert_eq!(sweep(&test, &orders).run_once(due()).await.unwrap(), 1, "{}", test.name);
        assert_eq!(hold(&test, 10).await, (3, false), "{}", test.name);
        STOCK.check(&test).await;
    }
}

#[tokio::test]
async fn the_order_decides_what_becomes_of_its_hold() {
    use OrderStatus::{Cancelled, Confirmed, Invalid, Refunded, Unconfirmed};
    for test in STOCK.fresh(100).await {
        let orders = FakeOrders::default();
        orders.set_paid(10);
        for (order, status) in [(20, Cancelled), (30, Invalid), (40, Refunded), (50, Confirmed), (60, Unconfirmed)] {
            orders.set(order, status);
        }
        // Order 70 does not exist.
        let all = [10, 20, 30, 40, 50, 60, 70];
        assert_eq!(STOCK.takes_of(&test.db, &all).await, vec![Done::Done; all.len()], "{}", test.name);
        let sweep = sweep(&test, &orders);
        assert_eq!(sweep.run_once(due()).await.unwrap(), 7, "{}", test.name);
        let (kept, released, waits) = ((2, false), (3, false), (1, true));
        for (order, expected) in all.into_iter().zip([kept, released, released, released, waits, waits, waits]) {
            assert_eq!(hold(&test, order).await, expected, "{}: order {order}", test.name);
        }
        assert_eq!(sweep.run_once(due()).await.unwrap(), 0, "{}: whoever waits is asked later", test.name);
        assert_eq!(sweep.run_once(due().after(ROUND)).await.unwrap(), 3, "{}: and then is asked", test.name);
        orders.set_paid(50);
        orders.set(60, Cancelled);
        sweep.run_once(due().after(ROUND * 2)).await.unwrap();
        assert_eq!([hold(&test, 50).await, hold(&test, 60).await], [kept, released], "{}", test.name);
        assert_eq!(hold(&test, 70).await, waits, "{}: never released", test.name);
        STOCK.check(&test).await;
    }
}

#[tokio::test]
async fn while_the_order_service_is_away_everything_waits() {
    for test in STOCK.fresh(10).await {
        let orders = FakeOrders::default();
        orders.set(10, OrderStatus::Cancelled);
        STOCK.takes_of(&test.db, &[10]).await;
        orders.set_away(true);
        let (sweep, before) = (sweep(&test, &orders), shelves(&test).await);
        let mut now = due();
        for attempts in 1..=5 {
            assert_eq!(sweep.run_once(now).await.unwrap(), 1, "{}", test.name);
            let tried = "SELECT attempts AS n FROM trade_goods_hold";
            assert_eq!(number(&test.db, tried).await, attempts, "{}", test.name);
            now = now.after(ROUND);
        }
        assert_eq!((hold(&test, 10).await, shelves(&test).await), ((1, true), before), "{}", test.name);
        orders.set_away(false);
        sweep.run_once(now).await.unwrap();
        assert_eq!(hold(&test, 10).await, (3, false), "{}", test.name);
        STOCK.check(&test).await;
    }
}

#[tokio::test]
async fn what_is_final_is_given_back_by_a_refund() {
    for test in STOCK.fresh(10).await {
        let before = shelves(&test).await;
        STOCK.takes_of(&test.db, &[10]).await;
        assert_eq!([keeps(&test, 10).await, keeps(&test, 10).await], [Finished::Now, Finished::Already]);
        assert_eq!(hold(&test, 10).await, (2, false), "{}", test.name);
        assert_eq!(STOCK.takes_of(&test.db, &[10]).await, [Done::Already], "{}: a late repeat", test.name);
        assert_eq!(STOCK.gives_back(&test.db, &[10]).await, [Undone::Undone], "{}", test.name);
        assert_eq!(hold(&test, 10).await, (3, false), "{}", test.name);
        assert_eq!(shelves(&test).await, before, "{}", test.name);
        assert_eq!(keeps(&test, 10).await, Finished::NotHeld, "{}", test.name);
        STOCK.check(&test).await;
    }
}

#[tokio::test]
async fn a_tombstone_is_never_due() {
    for test in STOCK.fresh(10).await {
        assert_eq!(STOCK.gives_back(&test.db, &[10]).await, [Undone::NeverDone], "{}", test.name);
        assert_eq!(hold(&test, 10).await, (4, false), "{}", test.name);
        assert_eq!(keeps(&test, 10).await, Finished::NotHeld, "{}", test.name);
        let never = Millis::new(i64::MAX);
        assert_eq!(sweep(&test, &FakeOrders::default()).run_once(never).await.unwrap(), 0, "{}", test.name);
    }
}

#[tokio::test]
async fn unlocked_by_close_and_by_expiry_in_either_order_is_unlocked_once() {
    for test in STOCK.fresh(100).await {
        let (orders, before) = (FakeOrders::default(), shelves(&test).await);
        for order in [10, 20] {
            orders.set(order, OrderStatus::Cancelled);
        }
        STOCK.takes_of(&test.db, &[10]).await;
        assert_eq!(STOCK.gives_back(&test.db, &[10]).await, [Undone::Undone], "{}", test.name);
        assert_eq!(sweep(&test, &orders).run_once(due()).await.unwrap(), 0, "{}: nobody asks any more", test.name);

        STOCK.takes_of(&test.db, &[20]).await;
        assert_eq!(sweep(&test, &orders).run_once(due()).await.unwrap(), 1, "{}", test.name);
        assert_eq!(STOCK.gives_back(&test.db, &[20]).await, [Undone::AlreadyUndone], "{}", test.name);
        let lines = "SELECT COUNT(*) AS n FROM trade_goods_number_log WHERE log_type = 1";
        assert_eq!(number(&test.db, RETURNS).await, number(&test.db, lines).await, "{}", test.name);
        assert_eq!(shelves(&test).await, before, "{}", test.name);
        STOCK.check(&test).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn close_and_expiry_at_once_release_once() {
    for test in STOCK.fresh(4_000).await {
        let (orders, before) = (FakeOrders::default(), shelves(&test).await);
        let ids: Vec<i64> = (1..=200).map(|order| order * 10).collect();
        for order in &ids {
            orders.set(*order, OrderStatus::Cancelled);
        }
        assert_eq!(STOCK.takes_of(&test.db, &ids).await, vec![Done::Done; ids.len()], "{}", test.name);
        let two = [sweep(&test, &orders), sweep(&test, &orders)];
        let expiry = |sweep: Arc<dyn Sweep>| async move {
            // Of two that claim the same rows one loses, as in production.
            let mut now = due();
            for _ in 0..4 {
                sweep.run_once(now).await.unwrap_or_default();
                now = now.after(ROUND);
            }
        };
        let (sweeping, sweeping_too) = (tokio::spawn(expiry(two[0].clone())), tokio::spawn(expiry(two[1].clone())));
        let (deps, _running) = deps(&test, bus());
        let closing = service(&test, deps);
        let mut client = crate::grpc::stock_client(&closing);
        for batch in ids.chunks(20) {
            crate::grpc::release(&mut client, batch).await;
        }
        sweeping.await.unwrap();
        sweeping_too.await.unwrap();
        crate::grpc::release(&mut client, &ids).await;
        let open = "SELECT COUNT(*) AS n FROM trade_goods_hold WHERE state <> 3 OR due_ms IS NOT NULL";
        assert_eq!(number(&test.db, open).await, 0, "{}", test.name);
        assert_eq!(shelves(&test).await, before, "{}", test.name);
        STOCK.check(&test).await;
    }
}
