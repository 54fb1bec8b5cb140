//! Points keep the contract of a participant, and come of paid payments only.

use std::time::Duration;

use shop_common::{
    code::ShopCode,
    db::Failure,
    hold::{Done, Undone},
    id::{PayId, UserId},
    money::Fen,
};
use shop_proto::{
    event::{PaymentSucceeded, VERSION},
    pay::v1::{PaymentState, PaymentStatus},
    topic::PAY_SUCCESS,
};
use shop_testkit::{
    bus, dump, eventually,
    fakes::{FakeOrders, FakePayments},
    participant::{NOW, Participant, execute},
    service::{deps, publish},
};
use shop_user::{
    SCHEMA,
    tx::{AwardPoints, ReversePoints, award_points, reverse_points},
};

use crate::users::{SCORE, service, users, violations};

/// User 4 is so rich in points that no more fit.
const POINTS: Participant<AwardPoints, ReversePoints> = Participant {
    schema: &SCHEMA,
    rows: |_| users(&[(1, 1000, 100), (2, 1000, 100), (3, 1000, 0), (4, 1000, i64::MAX)]),
    take: |tx, commands, now| Box::pin(award_points(tx, commands, now)),
    give_back: |tx, commands, now| Box::pin(reverse_points(tx, commands, now)),
    take_of: |payment| award(payment, payment % 3 + 1, payment * 150),
    give_back_of: |payment| ReversePoints { pay_id: PayId::new(payment) },
    holds: SCORE.holds,
    violations,
};

fn award(payment: i64, user: i64, fen: i64) -> AwardPoints {
    AwardPoints { pay_id: PayId::new(payment), user_id: UserId::new(user), paid: Fen::new(fen) }
}

#[tokio::test]
async fn a_repeat_changes_nothing() {
    POINTS.repeats_change_nothing().await;
}

#[tokio::test]
async fn a_reversal_that_comes_first_keeps_the_credit_out() {
    POINTS.an_undo_that_comes_first_keeps_the_do_out().await;
}

#[tokio::test]
async fn a_batch_may_repeat_itself() {
    POINTS.a_batch_may_repeat_itself().await;
}

#[tokio::test]
async fn a_refused_credit_leaves_no_rows() {
    let refused = [
        (award(20, 1, 0), ShopCode::ParameterInvalid, "paid_fen"),
        (award(30, 1, -100), ShopCode::ParameterInvalid, "paid_fen"),
        (award(40, 99, 100), ShopCode::UserNotFound, "user_id"),
        (award(50, 4, 100), ShopCode::ParameterInvalid, "paid_fen"),
    ];
    POINTS.refusals_leave_no_rows(&refused).await;
}

#[tokio::test]
async fn however_batches_are_cut_the_outcome_is_the_same() {
    POINTS.splits_alike().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crediting_and_reversing_at_once_loses_no_point() {
    POINTS.do_and_undo_race(2_000).await;
}

#[tokio::test]
async fn less_than_a_yuan_earns_nothing_and_is_remembered() {
    for test in POINTS.fresh(0).await {
        assert_eq!(POINTS.takes(&test.db, &[award(1, 1, 99)]).await, [Done::Done], "{}", test.name);
        assert_eq!(POINTS.takes(&test.db, &[award(1, 1, 99)]).await, [Done::Already], "{}", test.name);
        assert_eq!(POINTS.gives_back(&test.db, &[1]).await, [Undone::Undone], "{}", test.name);
        let rows = dump(&test.db).await;
        assert!(rows.contains("user_name=user 1 user_password=NULL user_mobile= user_score=100"), "{rows}");
        POINTS.check(&test).await;
    }
}

#[tokio::test]
async fn a_reversal_below_zero_changes_nothing() {
    for test in POINTS.fresh(0).await {
        POINTS.takes(&test.db, &[award(1, 3, 500), award(2, 1, 500)]).await;
        execute(&test.db, "UPDATE trade_user SET user_score = 4 WHERE user_id = 3").await;
        let before = dump(&test.db).await;
        let commands = [2, 1].map(POINTS.give_back_of);
        let reversal = test.db.write_tx(async |tx| reverse_points(tx, &commands, NOW).await).await;
        assert!(matches!(&reversal, Err(Failure::Rollback(_))), "{}: {reversal:?}", test.name);
        assert_eq!(dump(&test.db).await, before, "{}", test.name);
        assert_eq!(POINTS.gives_back(&test.db, &[2]).await, [Undone::Undone], "{}: its neighbour", test.name);
    }
}

/// The payments of the message tests: 20 went back whole, 60 in part; 30 is unknown to the pay service.
fn owner() -> FakePayments {
    let payments = FakePayments::default();
    let state = |pay_id, status: PaymentStatus, refund_fen| PaymentState {
        pay_id,
        user_id: 1,
        amount_fen: 88_000,
        status: status.into(),
        refund_fen,
        ..PaymentState::default()
    };
    payments.set(state(10, PaymentStatus::Paid, 0));
    payments.set(state(20, PaymentStatus::Paid, 88_000));
    payments.set(state(40, PaymentStatus::Unpaid, 0));
    payments.set(state(50, PaymentStatus::Paying, 0));
    payments.set(state(60, PaymentStatus::Paid, 87_999));
    payments.set(state(70, PaymentStatus::Paid, 0));
    payments
}

/// What a forger would write: another order, a larger amount.
fn messages(payments: &[i64]) -> Vec<(i64, PaymentSucceeded)> {
    let event = |pay_id| PaymentSucceeded { version: VERSION, pay_id, order_id: 1, pay_amount: "99999.00".to_owned() };
    payments.iter().map(|payment| (*payment, event(*payment))).collect()
}

#[tokio::test]
async fn a_message_credits_only_what_the_pay_service_calls_paid() {
    for (test, twin) in POINTS.fresh(0).await.into_iter().zip(POINTS.fresh(0).await) {
        let (payments, bus) = (owner(), bus());
        let (deps, _running) = deps(&test, bus.clone());
        service(&test, deps).listen(FakeOrders::default().link(), payments.link());
        let before = dump(&test.db).await;

        publish(&bus, PAY_SUCCESS, &messages(&[20, 30, 40, 50])).await;
        eventually("it listens", Duration::from_secs(10), async || bus.deliver_all().await > 0).await;
        assert_eq!(dump(&test.db).await, before, "{}: neither paid nor known", test.name);

        POINTS.gives_back(&test.db, &[70]).await;
        for _ in 0..3 {
            publish(&bus, PAY_SUCCESS, &messages(&[10, 20, 30, 10, 60, 70])).await;
            assert!(bus.deliver_all().await > 0);
        }
        POINTS.gives_back(&twin.db, &[70]).await;
        POINTS.takes(&twin.db, &[award(10, 1, 88_000), award(60, 1, 88_000)]).await;
        assert_eq!(dump(&test.db).await, dump(&twin.db).await, "{}", test.name);
        POINTS.check(&test).await;
    }
}

#[tokio::test]
async fn a_message_is_kept_until_the_pay_service_answers() {
    for test in POINTS.fresh(0).await {
        let (payments, bus) = (owner(), bus());
        let (deps, _running) = deps(&test, bus.clone());
        service(&test, deps).listen(FakeOrders::default().link(), payments.link());

        payments.set_away(true);
        publish(&bus, PAY_SUCCESS, &messages(&[10])).await;
        eventually("it listens", Duration::from_secs(10), async || bus.deliver_all().await > 0).await;
        let rows = dump(&test.db).await;
        assert!(!rows.contains("ref_id=10"), "{}: nobody to ask: {rows}", test.name);
        assert!(rows.contains("msg_key=10") && rows.contains("consumer_status=2"), "{}: kept: {rows}", test.name);

        payments.set_away(false);
        bus.advance(Duration::from_secs(3600));
        assert_eq!(bus.deliver_all().await, 1, "{}: delivered again", test.name);
        let rows = dump(&test.db).await;
        assert!(rows.contains("ref_id=10 user_id=1 log_type=1 score=880"), "{}: {rows}", test.name);
        assert!(rows.contains("consumer_status=1"), "{}: handled after all: {rows}", test.name);
        bus.advance(Duration::from_secs(3600));
        assert_eq!(bus.deliver_all().await, 0, "{}: handled", test.name);
        POINTS.check(&test).await;
    }
}
