//! What paid and closed payments owe, with every other side away, late or refusing. F50 to F52, F56.

use std::{sync::atomic::Ordering, time::Duration};

use futures::future::join_all;
use shop_common::{code::ShopCode, id::Generator, link::Link};
use shop_proto::pay::v1::{
    CallbackPaymentRequest, Payment, RefundOrderCommand, RefundOrderRequest, callback_payment_response::Outcome,
    payment_state_service_client::PaymentStateServiceClient,
};
use shop_testkit::Alarms;

use crate::{
    fakes::{DUE, FLAKY, RefundTold},
    world::{World, code, code_of, link, worlds},
};

const MINUTE: Duration = Duration::from_mins(1);
const OWING: &str = "SELECT COUNT(*) AS n FROM trade_pay WHERE owed <> 0";
const REFUNDS: &str = "SELECT COUNT(*) AS n FROM trade_refund";

async fn paid(world: &World, order_id: i64, channel: &str) -> Payment {
    let payment = world.create(order_id, channel).await;
    world.sandbox_pays(&payment).await;
    assert_eq!(world.callback(world.success(&payment)).await.unwrap().outcome(), Outcome::Applied);
    payment
}

#[tokio::test]
async fn a_paid_payment_is_bound_and_earns_points_once() {
    for world in worlds().await {
        let payment = paid(&world, 1, "").await;
        assert_eq!(world.sweep().await, 0, "the messages have a second");
        world.later(MINUTE).await;
        assert_eq!(world.orders.bound.lock().unwrap().get(&1), Some(&payment.pay_id));
        assert_eq!(world.points.held.lock().unwrap().get(&payment.pay_id), Some(&(DUE / 100)));
        assert_eq!(world.owed(&payment).await, 0);
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM trade_pay WHERE due_ms IS NOT NULL").await, 0);
        world.later(MINUTE).await;
        assert_eq!(world.orders.asked.load(Ordering::SeqCst), 1);
        assert_eq!(world.number(REFUNDS).await, 0);
    }
}

#[tokio::test]
async fn money_for_a_cancelled_order_goes_back_once_though_the_refund_is_asked_for_twice() {
    for world in worlds().await {
        let payment = world.create(1, FLAKY).await;
        world.sandbox_pays(&payment).await;
        world.orders.cancelled.lock().unwrap().insert(1);
        world.close(1).await;
        // The points came by message, before anybody knew.
        world.points.held.lock().unwrap().insert(payment.pay_id, 880);
        assert_eq!(world.callback(world.success(&payment)).await.unwrap().outcome(), Outcome::Applied);
        world.flaky.answers_to_lose.store(1, Ordering::SeqCst);

        world.later(MINUTE).await;
        assert_eq!(world.owed(&payment).await, 8, "the refund's answer was lost; the points are back");
        let again = world.callback(world.success(&payment)).await.unwrap();
        assert_eq!(again.outcome(), Outcome::RefundStarted);
        world.later(MINUTE).await;

        assert_eq!(world.flaky.refund_calls.load(Ordering::SeqCst), 1, "its answer was there to be queried");
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM sandbox_refund").await, 1);
        assert_eq!(world.number("SELECT refund_fen AS n FROM sandbox_trade").await, DUE);
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM trade_refund WHERE state = 1 AND cause = 1").await, 1);
        assert_eq!(world.number("SELECT refund_fen AS n FROM trade_pay").await, DUE);
        assert_eq!(world.owed(&payment).await, 0);
        assert!(world.points.held.lock().unwrap().is_empty());
        world.later(MINUTE).await;
        assert_eq!((world.number(REFUNDS).await, world.flaky.refund_calls.load(Ordering::SeqCst)), (1, 1));
    }
}

#[tokio::test]
async fn a_refund_the_channel_has_never_heard_of_is_asked_for_again_under_its_number() {
    for world in worlds().await {
        let payment = paid(&world, 1, FLAKY).await;
        world.orders.cancelled.lock().unwrap().insert(1);
        world.flaky.refunds_to_lose.store(1, Ordering::SeqCst);
        world.later(MINUTE).await;
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM sandbox_refund").await, 0);
        assert_eq!(world.number("SELECT state AS n FROM trade_refund").await, 0, "not known is not refused");
        world.later(MINUTE).await;
        let number = world.number("SELECT refund_id AS n FROM sandbox_refund").await;
        assert_eq!(world.number("SELECT refund_id AS n FROM trade_refund WHERE state = 1").await, number);
        assert_eq!((world.flaky.refund_calls.load(Ordering::SeqCst), world.owed(&payment).await), (2, 0));
    }
}

#[tokio::test]
async fn a_refund_the_channel_works_on_is_answered_by_its_notification() {
    for world in worlds().await {
        for (order_id, answer) in [(1, None), (2, Some("the account is gone"))] {
            let payment = paid(&world, order_id, FLAKY).await;
            world.orders.cancelled.lock().unwrap().insert(order_id);
            world.flaky.refunds_to_lose.store(1, Ordering::SeqCst);
            world.later(MINUTE).await;
            let of_it = format!("FROM trade_refund WHERE pay_id = {}", payment.pay_id);
            let refund_id = world.number(&format!("SELECT refund_id AS n {of_it} AND state = 0")).await;
            let pay_id = payment.pay_id;
            let notify_id = format!("r-{pay_id}");
            let told = RefundTold { notify_id, refund_id, pay_id, fen: DUE, done: false, refused: None };
            let tell = async |told: RefundTold| {
                let body = serde_json::to_vec(&told).unwrap();
                world.callback(CallbackPaymentRequest { channel: FLAKY.into(), headers: [].into(), body }).await
            };
            let calls = world.flaky.refund_calls.load(Ordering::SeqCst);
            let wrong = RefundTold { fen: DUE + 1, done: true, ..told.clone() };
            assert_eq!(code(tell(wrong).await), ShopCode::AmountMismatch);
            let other = RefundTold { refund_id: refund_id + 1, done: true, ..told.clone() };
            assert_eq!(code(tell(other).await), ShopCode::NotifyInvalid);
            assert_eq!(world.owed(&payment).await, 8, "nothing was answered");

            let ended = RefundTold { done: answer.is_none(), refused: answer.map(str::to_owned), ..told };
            for outcome in [Outcome::Applied, Outcome::AlreadyApplied] {
                let answer = tell(ended.clone()).await.unwrap();
                assert_eq!((answer.outcome(), answer.ack_body.as_slice()), (outcome, b"ok".as_slice()));
            }
            let state = if answer.is_none() { 1 } else { 2 };
            assert_eq!(world.number(&format!("SELECT state AS n {of_it}")).await, state, "{}", world.name());
            assert_eq!(world.owed(&payment).await, 0);
            world.later(MINUTE).await;
            assert_eq!(world.flaky.refund_calls.load(Ordering::SeqCst), calls, "nobody asks any more");
            let paid = format!("SELECT COUNT(*) AS n FROM trade_mq_producer_temp WHERE msg_key = '{pay_id}'");
            assert_eq!(world.number(&paid).await, 1, "a refund's notification is no payment's");
        }
    }
}

#[tokio::test]
async fn with_the_clock_set_back_a_refund_is_asked_for_again_later() {
    for world in worlds().await {
        let payment = paid(&world, 1, "").await;
        world.later(MINUTE).await;
        let behind = world.instance_with_ids(Generator::after(1, i64::MAX).unwrap()).await;
        let command = RefundOrderCommand { context: None, order_id: 1, pay_id: payment.pay_id };
        let ask = async |of: Link| {
            let request = RefundOrderRequest { commands: vec![command.clone()] };
            PaymentStateServiceClient::new(of).refund_order(request).await
        };
        assert_eq!(code_of(ask(link(&behind)).await), ShopCode::Unavailable, "{}", world.name());
        assert_eq!(world.number(REFUNDS).await, 0);
        ask(world.link.clone()).await.unwrap();
        assert_eq!(world.number(REFUNDS).await, 1);
    }
}

#[tokio::test]
async fn points_that_come_after_the_reversal_are_kept_out() {
    for world in worlds().await {
        world.orders.cancelled.lock().unwrap().clear();
        let payment = paid(&world, 1, "").await;
        world.orders.cancelled.lock().unwrap().insert(1);
        world.later(MINUTE).await;
        assert!(world.points.held.lock().unwrap().is_empty(), "no points before the order's word");
        assert!(world.points.undone.lock().unwrap().contains(&payment.pay_id), "a tombstone for the late message");
        assert_eq!(world.owed(&payment).await, 0);
    }
}

#[tokio::test]
async fn the_second_payment_of_an_order_goes_back() {
    for world in worlds().await {
        let (first, second) = (world.create(1, "").await, world.create(1, FLAKY).await);
        for payment in [&second, &first] {
            world.sandbox_pays(payment).await;
            assert_eq!(world.callback(world.success(payment)).await.unwrap().outcome(), Outcome::Applied);
        }
        world.later(MINUTE).await;
        let bound = world.orders.bound.lock().unwrap()[&1];
        let lost = [first.pay_id, second.pay_id].into_iter().find(|pay_id| *pay_id != bound).unwrap();
        assert_eq!(world.number("SELECT pay_id AS n FROM trade_refund WHERE cause = 2 AND state = 1").await, lost);
        assert_eq!(world.number("SELECT pay_id AS n FROM sandbox_refund").await, lost);
        assert_eq!(world.number(REFUNDS).await, 1);
        assert_eq!(world.points.held.lock().unwrap().keys().copied().collect::<Vec<_>>(), [bound]);
        assert_eq!(world.number(OWING).await, 0);
    }
}

#[tokio::test]
async fn a_refund_that_the_channel_refuses_is_a_case_for_an_operator() {
    for world in worlds().await {
        let payment = paid(&world, 1, FLAKY).await;
        world.orders.cancelled.lock().unwrap().insert(1);
        world.flaky.refuses.store(true, Ordering::SeqCst);
        world.later(MINUTE).await;
        assert_eq!(world.number("SELECT state AS n FROM trade_refund WHERE remark LIKE 'the buyer%'").await, 2);
        assert_eq!(world.owed(&payment).await, 0);
        world.later(MINUTE).await;
        assert_eq!(world.flaky.refund_calls.load(Ordering::SeqCst), 1, "a no is a no");
    }
}

#[tokio::test]
async fn with_the_order_service_away_everything_stays_owed_and_finishes_later() {
    for world in worlds().await {
        let payment = paid(&world, 1, "").await;
        world.set_orders_away(true);
        for _ in 0..3 {
            world.later(MINUTE).await;
            assert_eq!(world.owed(&payment).await, 3);
        }
        world.points.away.store(true, Ordering::SeqCst);
        world.set_orders_away(false);
        world.later(MINUTE).await;
        assert_eq!(world.owed(&payment).await, 2, "bound; the points are away");
        world.points.away.store(false, Ordering::SeqCst);
        world.later(MINUTE).await;
        assert_eq!(world.owed(&payment).await, 0);
        assert_eq!(world.number(REFUNDS).await, 0);
    }
}

#[tokio::test]
async fn not_yet_and_not_found_back_off_and_never_move_money() {
    for world in worlds().await {
        let payments = [paid(&world, 1, "").await, paid(&world, 2, "").await];
        world.orders.not_yet.lock().unwrap().insert(1);
        world.orders.unknown.lock().unwrap().insert(2);
        let asked = || world.orders.asked.load(Ordering::SeqCst);
        world.later(Duration::from_secs(1)).await;
        assert_eq!(asked(), 2);
        world.later(Duration::from_secs(1)).await;
        assert_eq!(asked(), 2, "backing off");
        for _ in 0..20 {
            world.later(MINUTE).await;
        }
        assert!(asked() > 20, "{}", asked());
        for payment in &payments {
            assert_eq!(world.owed(payment).await, 3);
        }
        assert_eq!(world.number(REFUNDS).await, 0);
        assert!(world.points.held.lock().unwrap().is_empty());
        world.orders.not_yet.lock().unwrap().clear();
        world.orders.unknown.lock().unwrap().clear();
        world.later(MINUTE).await;
        assert_eq!(world.number(OWING).await, 0);
    }
}

#[tokio::test]
async fn a_buyer_faster_than_the_close_is_settled_and_refunded() {
    for world in worlds().await {
        let payment = world.create(1, "").await;
        world.orders.cancelled.lock().unwrap().insert(1);
        world.close(1).await;
        world.sandbox_pays(&payment).await;
        world.later(MINUTE).await;
        assert_eq!(world.owed(&payment).await, 3, "found paid when it was to be closed");
        world.later(MINUTE).await;
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM sandbox_refund").await, 1);
        assert_eq!(world.owed(&payment).await, 0);
        world.resend().await;
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM trade_pay_log").await, 1);
        assert_eq!(
            world.number("SELECT COUNT(*) AS n FROM trade_pay_notify WHERE verdict = 'refund_started'").await,
            1
        );
    }
}

#[tokio::test]
async fn a_close_whose_answer_is_lost_is_asked_for_again() {
    for world in worlds().await {
        let payment = world.create(1, FLAKY).await;
        world.close(1).await;
        world.flaky.answers_to_lose.store(1, Ordering::SeqCst);
        world.sweep().await;
        assert_eq!(world.owed(&payment).await, 4);
        world.later(MINUTE).await;
        assert_eq!(world.owed(&payment).await, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_one_round_holds_and_two_sweepers_do_each_thing_once() {
    const PAYMENTS: i64 = 300;
    for world in worlds().await {
        let all = join_all((1..=PAYMENTS).map(|order_id| paid(&world, order_id, ""))).await;
        world.orders.cancelled.lock().unwrap().extend(1..=PAYMENTS / 2);
        let second = world.second_instance().await;
        let sweepers: Vec<_> =
            [world.pay.sweeps(), second.sweeps()].into_iter().flat_map(|all| all.into_iter().take(2)).collect();
        let mut rounds = 0;
        while world.number(OWING).await > 0 {
            rounds += 1;
            assert!(rounds < 30, "{}", world.name());
            world.clock.advance(MINUTE);
            let now = world.clock.now();
            // The one that comes second finds its rows claimed: that round is lost to it, and nothing else.
            join_all(
                sweepers.iter().map(|sweeper| async move { while matches!(sweeper.run_once(now).await, Ok(1..)) {} }),
            )
            .await;
        }
        let done = "SELECT COUNT(*) AS n FROM trade_refund WHERE state = 1 AND amount_fen = 88000";
        for sql in [done, REFUNDS, "SELECT COUNT(*) AS n FROM sandbox_refund"] {
            assert_eq!(world.number(sql).await, PAYMENTS / 2, "{}: {sql}", world.name());
        }
        let earned = all.iter().filter(|payment| payment.order_id > PAYMENTS / 2).map(|payment| payment.pay_id);
        assert_eq!(*world.points.held.lock().unwrap(), earned.map(|pay_id| (pay_id, 880)).collect());
    }
}

/// F14, F36, F41: whoever does not do his part is named, once it has lasted.
#[tokio::test]
async fn what_is_owed_for_long_is_told_with_who_owes_it_and_since_when() {
    for world in worlds().await {
        let alarms = Alarms::default();
        let _heard = tracing::dispatcher::set_default(&alarms.dispatch());
        let alone = paid(&world, 1, "").await;
        let refunded = paid(&world, 2, FLAKY).await;
        world.set_orders_away(true);
        for _ in 0..10 {
            world.later(MINUTE).await;
        }
        let judgement = |since: &str, payments: &[&Payment]| {
            let named = payments.iter().map(|it| format!("payment {} of order {}", it.pay_id, it.order_id));
            format!("judgement is owed by order since {since}: {}", named.collect::<Vec<_>>().join(", "))
        };
        let since = "2023-11-14T22:13:20Z";
        assert_eq!(
            alarms.take(),
            [judgement(since, &[&alone, &refunded])],
            "{}: and the points by nobody",
            world.name()
        );

        world.set_orders_away(false);
        world.orders.cancelled.lock().unwrap().insert(2);
        world.flaky.refunds_to_lose.store(99, Ordering::SeqCst);
        for _ in 0..10 {
            world.later(MINUTE).await;
        }
        let Payment { pay_id, order_id, .. } = refunded;
        let refund =
            format!("refund is owed by flaky since 2023-11-14T22:24:20Z: payment {pay_id} of order {order_id}");
        assert_eq!(alarms.take(), [refund], "{}: since it was promised", world.name());
    }
}

#[tokio::test]
async fn a_buyer_who_takes_his_time_is_no_alarm() {
    for world in worlds().await {
        let alarms = Alarms::default();
        let _heard = tracing::dispatcher::set_default(&alarms.dispatch());
        world.create(1, "").await;
        for _ in 0..20 {
            world.clock.advance(Duration::from_hours(2));
            assert_eq!(world.ask_silent().await, 1, "{}", world.name());
        }
        assert_eq!(alarms.take(), [""; 0], "{}", world.name());
    }
}
