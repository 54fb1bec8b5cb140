//! Balance keeps the contract of a participant.

use shop_common::{
    code::ShopCode,
    db::Failure,
    hold::{Done, Undone},
    id::{OrderId, UserId},
    money::Fen,
};
use shop_testkit::{
    dump,
    fakes::FakePayments,
    participant::{NOW, Participant, execute},
};
use shop_user::{
    SCHEMA, SEED,
    tx::{DebitBalance, RefundBalance, debit_balance, refund_balance},
};

use crate::users::{MONEY, service, users, violations};

const BALANCE: Participant<DebitBalance, RefundBalance> = Participant {
    schema: &SCHEMA,
    rows: |orders| users(&[(1, 10 + orders * 2, 100), (2, 10 + orders * 2, 100), (3, 10 + orders * 2, 100)]),
    take: |tx, commands, now| Box::pin(debit_balance(tx, commands, now)),
    give_back: |tx, commands, now| Box::pin(refund_balance(tx, commands, now)),
    take_of: debit_of,
    give_back_of: |order| RefundBalance { order_id: OrderId::new(order) },
    holds: MONEY.holds,
    violations,
};

fn debit_of(order: i64) -> DebitBalance {
    debit(order, order % 3 + 1, order % 50 + 1)
}

fn debit(order: i64, user: i64, fen: i64) -> DebitBalance {
    DebitBalance { order_id: OrderId::new(order), user_id: UserId::new(user), amount: Fen::new(fen) }
}

#[tokio::test]
async fn the_seed_is_sown_once() {
    BALANCE.seeds_once(SEED).await;
}

#[tokio::test]
async fn a_repeat_changes_nothing() {
    BALANCE.repeats_change_nothing().await;
}

#[tokio::test]
async fn a_refund_that_comes_first_keeps_the_debit_out() {
    BALANCE.an_undo_that_comes_first_keeps_the_do_out().await;
}

#[tokio::test]
async fn a_batch_may_repeat_itself() {
    BALANCE.a_batch_may_repeat_itself().await;
}

#[tokio::test]
async fn a_refused_debit_leaves_no_rows() {
    let refused = [
        (debit(20, 1, 0), ShopCode::ParameterInvalid, "balance_used_fen"),
        (debit(30, 1, -1), ShopCode::ParameterInvalid, "balance_used_fen"),
        (debit(40, 99, 1), ShopCode::UserNotFound, "user_id"),
        (debit(50, 1, 211), ShopCode::MoneyPaidInvalid, "balance_used_fen"),
        (debit(60, 1, i64::MAX), ShopCode::MoneyPaidInvalid, "balance_used_fen"),
    ];
    BALANCE.refusals_leave_no_rows(&refused).await;
}

#[tokio::test]
async fn however_batches_are_cut_the_outcome_is_the_same() {
    BALANCE.splits_alike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn debiting_and_refunding_at_once_loses_no_fen() {
    BALANCE.do_and_undo_race(2_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_100_orders_a_balance_for_one_pays_exactly_one() {
    let orders = (1..=100).map(|order| debit(order, 500, 51)).collect();
    BALANCE.exactly_one_wins(&users(&[(500, 100, 0)]), orders, ShopCode::MoneyPaidInvalid).await;
}

#[tokio::test]
async fn a_cancel_message_refunds_only_what_the_order_service_cancelled() {
    let listen = BALANCE.cancels_what_the_owner_cancelled(|test, deps, orders| {
        service(test, deps).listen(orders, FakePayments::default().link());
    });
    listen.await;
}

#[tokio::test]
async fn every_cent_comes_back() {
    for test in BALANCE.fresh(0).await {
        execute(&test.db, &users(&[(9, 10_099, 0)])).await;
        assert_eq!(BALANCE.takes(&test.db, &[debit(1, 9, 10_099)]).await, [Done::Done], "{}", test.name);
        let poorer = dump(&test.db).await;
        assert!(poorer.contains("user_reg_ms=1 user_money_fen=0"), "{}: {poorer}", test.name);
        assert_eq!(BALANCE.gives_back(&test.db, &[1]).await, [Undone::Undone], "{}", test.name);
        let rows = dump(&test.db).await;
        assert!(rows.contains("user_reg_ms=1 user_money_fen=10099"), "{}: {rows}", test.name);
        BALANCE.check(&test).await;
    }
}

#[tokio::test]
async fn a_refund_that_would_not_fit_changes_nothing() {
    for test in BALANCE.fresh(100).await {
        BALANCE.takes_of(&test.db, &[10, 20]).await;
        let rich = debit_of(10).user_id;
        let most = i64::MAX;
        execute(&test.db, &format!("UPDATE trade_user SET user_money_fen = {most} WHERE user_id = {rich}")).await;
        let before = dump(&test.db).await;
        let commands = [20, 10].map(BALANCE.give_back_of);
        let refund = test.db.write_tx(async |tx| refund_balance(tx, &commands, NOW).await).await;
        assert!(matches!(&refund, Err(Failure::Rollback(_))), "{}: {refund:?}", test.name);
        assert_eq!(dump(&test.db).await, before, "{}", test.name);
        assert_eq!(BALANCE.gives_back(&test.db, &[20]).await, [Undone::Undone], "{}: its neighbour", test.name);
    }
}
