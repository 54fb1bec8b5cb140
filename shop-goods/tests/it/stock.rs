//! Stock keeps the contract of a participant.

use std::time::Duration;

use shop_common::{
    batch::Limits,
    code::ShopCode,
    hold::{Done, Undone},
    id::{GoodsId, OrderId},
    service::Deps,
};
use shop_goods::{
    Config, Goods, SCHEMA, SEED,
    stock::Line,
    tx::{ReleaseStock, ReserveStock, release_stock, reserve_stock},
};
use shop_testkit::{
    TestDb,
    ledger::Ledger,
    participant::{NOW, Participant},
};

pub(crate) const HOLD_TIMEOUT: Duration = Duration::from_secs(2100);

const LEDGER: Ledger = Ledger {
    log: "trade_goods_number_log",
    log_type: "log_type",
    delta: "goods_number",
    accounts: "trade_goods",
    account: "goods_id",
    amount: "goods_number",
    holds: "trade_goods_hold",
    key: "order_id",
};

pub(crate) const STOCK: Participant<ReserveStock, ReleaseStock> = Participant {
    schema: &SCHEMA,
    rows: |orders| shelves(&[(1, 10 + orders * 2), (2, 10 + orders * 2), (3, 10 + orders * 2)]),
    take: |tx, commands, now| Box::pin(reserve_stock(tx, commands, HOLD_TIMEOUT, now)),
    give_back: |tx, commands, now| Box::pin(release_stock(tx, commands, now)),
    take_of: order_of_two_lines,
    give_back_of: |order| ReleaseStock { order_id: OrderId::new(order) },
    holds: LEDGER.holds,
    violations: || LEDGER.violations(),
};

/// Goods, each an id and how many are there, with their opening rows.
fn shelves(goods: &[(i64, i64)]) -> String {
    let rows = |row: fn(i64, i64) -> String| {
        goods.iter().map(|(goods_id, units)| row(*goods_id, *units)).collect::<Vec<_>>().join(", ")
    };
    format!(
        "INSERT INTO trade_goods (goods_id, goods_name, goods_number, goods_price_fen, add_ms) VALUES {};
         INSERT INTO trade_goods_number_log (ref_id, goods_id, log_type, goods_number, log_ms) VALUES {}",
        rows(|goods_id, units| format!("({goods_id}, 'goods {goods_id}', {units}, {goods_id}00, 1)")),
        rows(|goods_id, units| format!("(0, {goods_id}, 0, {units}, 1)")),
    )
}

fn order_of_two_lines(order: i64) -> ReserveStock {
    let quantity = i32::try_from(order % 50 + 1).unwrap();
    reserve(order, &[(order % 3 + 1, quantity), ((order + 1) % 3 + 1, 1)])
}

fn reserve(order: i64, lines: &[(i64, i32)]) -> ReserveStock {
    let line = |(goods_id, quantity): &(i64, i32)| Line { goods_id: GoodsId::new(*goods_id), quantity: *quantity };
    ReserveStock { order_id: OrderId::new(order), lines: lines.iter().map(line).collect() }
}

pub(crate) fn service(test: &TestDb, deps: Deps) -> Goods {
    let hold_timeout_s = HOLD_TIMEOUT.as_secs();
    Goods::new(
        &Config {
            database: test.config.clone(),
            internal_listen: ([127, 0, 0, 1], 0).into(),
            batch: Limits::default(),
            hold_timeout_s,
        },
        deps,
    )
}

#[tokio::test]
async fn the_seed_is_sown_once() {
    STOCK.seeds_once(SEED).await;
}

#[tokio::test]
async fn a_repeat_changes_nothing() {
    STOCK.repeats_change_nothing().await;
}

#[tokio::test]
async fn a_release_that_comes_first_keeps_the_reservation_out() {
    STOCK.an_undo_that_comes_first_keeps_the_do_out().await;
}

#[tokio::test]
async fn a_batch_may_repeat_itself() {
    STOCK.a_batch_may_repeat_itself().await;
}

#[tokio::test]
async fn a_refused_reservation_leaves_no_rows() {
    let refused = [
        (reserve(20, &[(1, 0)]), ShopCode::ParameterInvalid, "items[0].quantity"),
        (reserve(30, &[(1, 1), (2, -1)]), ShopCode::ParameterInvalid, "items[1].quantity"),
        (reserve(40, &[(1, 1), (99, 1)]), ShopCode::GoodsNotFound, "items[1].goods_id"),
        (reserve(50, &[(1, 9_999)]), ShopCode::GoodsNotEnough, "items[0].quantity"),
    ];
    STOCK.refusals_leave_no_rows(&refused).await;
}

#[tokio::test]
async fn however_batches_are_cut_the_outcome_is_the_same() {
    STOCK.splits_alike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reserving_and_releasing_at_once_loses_no_unit() {
    STOCK.do_and_undo_race(2_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_200_buyers_of_one_unit_exactly_one_gets_it() {
    let buyers = (1..=200).map(|order| reserve(order, &[(500, 1)])).collect();
    STOCK.exactly_one_wins(&shelves(&[(500, 1)]), buyers, ShopCode::GoodsNotEnough).await;
}

#[tokio::test]
async fn a_cancel_message_releases_only_what_the_order_service_cancelled() {
    STOCK.cancels_what_the_owner_cancelled(|test, deps, orders| service(test, deps).listen(orders)).await;
}

#[tokio::test]
async fn released_units_are_sold_again() {
    for test in STOCK.fresh(0).await {
        let (one, other) = (reserve(1, &[(1, 10)]), reserve(2, &[(1, 10)]));
        assert_eq!(STOCK.takes(&test.db, &[one]).await, [Done::Done], "{}", test.name);
        assert_eq!(STOCK.gives_back(&test.db, &[1]).await, [Undone::Undone], "{}", test.name);
        assert_eq!(STOCK.takes(&test.db, &[other]).await, [Done::Done], "{}", test.name);
        STOCK.check(&test).await;
    }
}

#[tokio::test]
async fn rows_carry_the_time_of_the_batch() {
    for test in STOCK.fresh(0).await {
        STOCK.takes_of(&test.db, &[1]).await;
        let rows = shop_testkit::dump(&test.db).await;
        assert!(rows.contains(&format!("order_id=1 state=1 create_ms={0} update_ms={0}", NOW.get())), "{rows}");
    }
}
