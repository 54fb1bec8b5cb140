//! Payments of which nobody says anything: F54, F55.

use std::{sync::atomic::Ordering, time::Duration};

use futures::future::join_all;
use shop_common::migrate::migrate;
use shop_pay::{BadConfig, SCHEMA};
use shop_proto::pay::v1::callback_payment_response::Outcome;
use shop_testkit::{
    databases,
    participant::{execute, number},
};

use crate::{
    fakes::FLAKY,
    world::{QUERY_AFTER, worlds},
};

/// The bit of `owed`.
const ASK: i64 = 32;
const SECOND: Duration = Duration::from_secs(1);
const PAID: &str = "SELECT COUNT(*) AS n FROM trade_pay WHERE is_paid = 2";

#[tokio::test]
async fn a_payment_whose_callbacks_are_all_lost_is_found_by_asking() {
    for world in worlds().await {
        let payment = world.create(1, FLAKY).await;
        world.sandbox_pays(&payment).await;
        world.clock.advance(QUERY_AFTER.checked_sub(SECOND).unwrap());
        assert_eq!((world.ask_silent().await, world.number(PAID).await), (0, 0), "the channel has its time");
        world.clock.advance(SECOND);
        assert_eq!((world.ask_silent().await, world.number(PAID).await), (1, 1), "{}", world.name());
        assert_eq!(world.owed(&payment).await, 3, "the order and the points, as after a callback");
        for sql in [
            "SELECT COUNT(*) AS n FROM trade_pay_log",
            "SELECT COUNT(*) AS n FROM trade_mq_producer_temp",
            "SELECT COUNT(*) AS n FROM trade_pay_notify WHERE verdict = 'applied' AND notify_id LIKE 'query-%'",
        ] {
            assert_eq!(world.number(sql).await, 1, "{sql}");
        }
        let late = world.callback(world.success(&payment)).await.unwrap();
        assert_eq!(late.outcome(), Outcome::AlreadyApplied, "the callback comes after all");
        for _ in 0..24 {
            world.clock.advance(Duration::from_hours(1));
            assert_eq!(world.ask_silent().await, 0);
        }
        assert_eq!(world.flaky.queries.load(Ordering::SeqCst), 1, "nobody asks about what is paid");
    }
}

#[tokio::test]
async fn a_buyer_who_takes_his_time_is_asked_about_less_and_less_often_until_it_is_closed() {
    for world in worlds().await {
        let payment = world.create(1, FLAKY).await;
        let asked = || world.flaky.queries.load(Ordering::SeqCst);
        world.clock.advance(QUERY_AFTER);
        world.ask_silent().await;
        assert_eq!((asked(), world.owed(&payment).await, world.number(PAID).await), (1, ASK, 0));
        world.clock.advance(QUERY_AFTER / 2);
        world.ask_silent().await;
        assert_eq!(asked(), 1, "backing off");
        world.clock.advance(QUERY_AFTER / 2);
        world.ask_silent().await;
        assert_eq!(asked(), 2);
        world.clock.advance(QUERY_AFTER);
        world.ask_silent().await;
        assert_eq!(asked(), 2, "twice as long");
        for _ in 0..24 * 12 {
            world.clock.advance(Duration::from_mins(5));
            world.ask_silent().await;
        }
        assert!((24..40).contains(&asked()), "{}: once an hour in the end: {}", world.name(), asked());
        assert_eq!(world.sweep().await, 0, "it is no other debt");

        let before = asked();
        world.close(1).await;
        assert_eq!(world.owed(&payment).await, 4, "a closed payment owes its close alone");
        world.sweep().await;
        world.clock.advance(Duration::from_hours(2));
        assert_eq!((world.ask_silent().await, asked(), world.owed(&payment).await), (0, before, 0));
    }
}

#[tokio::test]
async fn a_channel_that_does_not_answer_is_asked_again_and_keeps_nobody_waiting() {
    for world in worlds().await {
        let payments = join_all((1..=100).map(|order_id| world.create(order_id, FLAKY))).await;
        for payment in &payments {
            world.sandbox_pays(payment).await;
        }
        world.flaky.answers_to_lose.store(1, Ordering::SeqCst);
        world.clock.advance(QUERY_AFTER);
        assert_eq!(world.ask_silent().await, 0, "an answer was lost: that was the round");
        assert_eq!(world.number(PAID).await, 63, "{}: all others were answered", world.name());
        assert_eq!(world.ask_silent().await, 36, "the next round goes on");
        assert_eq!(world.number(PAID).await, 99);
        world.clock.advance(QUERY_AFTER);
        assert_eq!((world.ask_silent().await, world.number(PAID).await), (1, 100));
    }
}

/// Closed by an instance of the release before, which leaves the question standing.
#[tokio::test]
async fn a_closed_payment_is_asked_about_once_more_at_most() {
    for world in worlds().await {
        let payment = world.create(1, FLAKY).await;
        world.execute("UPDATE trade_pay SET is_paid = 0, open_key = NULL, closed_ms = 1").await;
        world.clock.advance(QUERY_AFTER);
        assert_eq!((world.ask_silent().await, world.owed(&payment).await), (1, 0), "{}", world.name());
        assert_eq!(world.number("SELECT is_paid AS n FROM trade_pay").await, 0);
    }
}

#[tokio::test]
async fn what_is_open_when_the_question_is_new_is_asked_at_once() {
    for test in databases(&SCHEMA[..5]).await {
        let row = |id: i64, paid: i64, key: &str, owed: &str| {
            format!(
                "INSERT INTO trade_pay (pay_id, order_id, user_id, channel, pay_amount_fen, is_paid, open_key, pay_url, \
                 add_ms, pay_ms, closed_ms, owed, due_ms) VALUES ({id}, {id}, 1, 'a', 100, {paid}, {key}, '', 7, {owed})"
            )
        };
        execute(&test.db, &row(1, 1, "'1/a'", "NULL, NULL, 0, NULL")).await;
        execute(&test.db, &row(2, 2, "NULL", "8, NULL, 3, 9")).await;
        execute(&test.db, &row(3, 0, "NULL", "NULL, 8, 0, NULL")).await;
        migrate(&test.db, &SCHEMA).await.unwrap();
        for (id, owed) in [(1, 32), (2, 3), (3, 0)] {
            let sql = format!("SELECT owed AS n FROM trade_pay WHERE pay_id = {id}");
            assert_eq!(number(&test.db, &sql).await, owed, "{}: {id}", test.name);
        }
        assert_eq!(number(&test.db, "SELECT due_ms AS n FROM trade_pay WHERE pay_id = 1").await, 7);
    }
}

#[tokio::test]
async fn asking_never_or_all_the_time_does_not_start() {
    for world in worlds().await {
        for wrong in [0, 86_401] {
            assert_eq!(world.refused_query_after(wrong), BadConfig::QueryAfter(wrong));
        }
    }
}
