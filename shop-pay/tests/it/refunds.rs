//! Refunds that an operator asks for: in parts, once by their key, never more than was paid, refused and asked again.

use std::{sync::atomic::Ordering, time::Duration};

use futures::future::join_all;
use shop_common::{code::ShopCode, error::ShopError};
use shop_proto::pay::v1::{
    GetPaymentRequest, ListRefundsRequest, Payment, Refund, RefundPaymentRequest, RetryRefundRequest,
    callback_payment_response::Outcome,
    refund::{Cause, Status},
};

use crate::{
    fakes::{DUE, FLAKY, USER},
    world::{World, code, worlds},
};

const MINUTE: Duration = Duration::from_mins(1);
const PROMISED: &str = "SELECT refund_fen AS n FROM trade_pay";
const PAID_BACK: &str = "SELECT refund_fen AS n FROM sandbox_trade";

/// A payment of [`DUE`] that is paid, bound and has its points.
async fn bound(world: &World, channel: &str) -> Payment {
    let payment = paid(world, channel).await;
    world.later(MINUTE).await;
    assert_eq!(world.owed(&payment).await, 0);
    payment
}

async fn paid(world: &World, channel: &str) -> Payment {
    let payment = world.create(1, channel).await;
    world.sandbox_pays(&payment).await;
    assert_eq!(world.callback(world.success(&payment)).await.unwrap().outcome(), Outcome::Applied);
    payment
}

fn wanted(payment: &Payment, key: &str, amount_fen: Option<i64>) -> RefundPaymentRequest {
    let (request_id, reason) = (key.to_owned(), "arrived broken".to_owned());
    RefundPaymentRequest { pay_id: payment.pay_id, request_id, amount_fen, reason, operator: "ann".into() }
}

async fn refund(world: &World, request: RefundPaymentRequest) -> Result<Refund, ShopError> {
    let answer = world.refunds().refund_payment(request).await;
    answer.map(|answer| answer.into_inner().refund.unwrap()).map_err(|status| ShopError::from_status(&status))
}

async fn listed(world: &World, status: Status) -> Vec<Refund> {
    let status = status.as_str_name().to_owned();
    let request = ListRefundsRequest { status, ..ListRefundsRequest::default() };
    world.refunds().list_refunds(request).await.unwrap().into_inner().refunds
}

async fn read(world: &World, payment: &Payment) -> Payment {
    let request = GetPaymentRequest { pay_id: payment.pay_id, user_id: USER };
    world.client().get_payment(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_payment_goes_back_in_parts_and_with_the_last_fen_its_order_and_points() {
    for world in worlds().await {
        let payment = bound(&world, "").await;
        let first = refund(&world, wanted(&payment, "a", Some(30_000))).await.unwrap();
        assert_eq!((first.amount_fen, first.status(), first.cause()), (30_000, Status::Open, Cause::Operator));
        let second = refund(&world, wanted(&payment, "b", Some(8_000))).await.unwrap();
        assert_ne!(first.refund_id, second.refund_id);
        world.sweep().await;
        assert_eq!((world.number(PROMISED).await, world.number(PAID_BACK).await), (38_000, 38_000));
        let kept = read(&world, &payment).await;
        assert_eq!((kept.refunded_fen, world.owed(&payment).await), (38_000, 0));
        let told: Vec<_> = kept.refunds.iter().map(|it| (it.refund_id, it.status(), it.reason.as_str())).collect();
        let done = |id| (id, Status::Done, "arrived broken");
        assert_eq!(told, [done(first.refund_id), done(second.refund_id)]);
        assert!(world.points.held.lock().unwrap().contains_key(&payment.pay_id), "part of it leaves the points");
        assert!(world.orders.refunded.lock().unwrap().is_empty(), "part of it leaves the order");

        let rest = refund(&world, wanted(&payment, "c", None)).await.unwrap();
        assert_eq!(rest.amount_fen, DUE - 38_000);
        world.sweep().await;
        assert_eq!((world.number(PROMISED).await, world.number(PAID_BACK).await), (DUE, DUE));
        assert_eq!(world.orders.refunded.lock().unwrap().get(&1), Some(&"arrived broken".to_owned()));
        assert!(world.points.held.lock().unwrap().is_empty());
        assert_eq!(world.owed(&payment).await, 0);
        assert_eq!(listed(&world, Status::Done).await.len(), 3);
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM sandbox_refund").await, 3);
        let again = world.callback(world.success(&payment)).await.unwrap();
        assert_eq!(again.outcome(), Outcome::RefundStarted);
    }
}

#[tokio::test]
async fn the_same_key_is_the_same_refund() {
    for world in worlds().await {
        let payment = bound(&world, "").await;
        let first = refund(&world, wanted(&payment, "k", Some(100))).await.unwrap();
        assert_eq!(refund(&world, wanted(&payment, "k", Some(100))).await.unwrap(), first);
        world.sweep().await;
        let known = refund(&world, wanted(&payment, "k", None)).await.unwrap();
        assert_eq!((known.refund_id, known.status()), (first.refund_id, Status::Done), "as it is now");
        let other = |request| async { code(refund(&world, request).await) };
        assert_eq!(other(wanted(&payment, "k", Some(101))).await, ShopCode::IdempotencyConflict);
        let reason = "another".to_owned();
        let changed = RefundPaymentRequest { reason, ..wanted(&payment, "k", Some(100)) };
        assert_eq!(other(changed).await, ShopCode::IdempotencyConflict);
        assert_eq!(world.number(PROMISED).await, 100);

        let all = refund(&world, wanted(&payment, "rest", None)).await.unwrap();
        assert_eq!(refund(&world, wanted(&payment, "rest", None)).await.unwrap().refund_id, all.refund_id);
        assert_eq!(refund(&world, wanted(&payment, "rest", Some(DUE - 100))).await.unwrap().refund_id, all.refund_id);
    }
}

#[tokio::test]
async fn never_more_than_is_left_and_only_what_was_paid() {
    for world in worlds().await {
        let open = world.create(1, "").await;
        let refused = |request| async { code(refund(&world, request).await) };
        assert_eq!(refused(wanted(&open, "k", None)).await, ShopCode::PaymentNotPaid);
        let unknown = Payment { pay_id: 7, ..open.clone() };
        assert_eq!(refused(wanted(&unknown, "k", None)).await, ShopCode::PaymentNotFound);
        let payment = bound(&world, "").await;
        assert_eq!(refused(wanted(&payment, "k", Some(DUE + 1))).await, ShopCode::RefundTooMuch);
        for fen in [0, -1, i64::MIN] {
            assert_eq!(refused(wanted(&payment, "k", Some(fen))).await, ShopCode::ParameterInvalid, "{fen}");
        }
        let with = |change: fn(&mut RefundPaymentRequest)| {
            let mut request = wanted(&payment, "k", Some(1));
            change(&mut request);
            request
        };
        for bad in [
            with(|request| request.request_id = String::new()),
            with(|request| request.request_id = "a key".into()),
            with(|request| request.reason = " ".into()),
            with(|request| request.reason = "x".repeat(256)),
            with(|request| request.operator = "x".repeat(65)),
            with(|request| request.pay_id = 0),
        ] {
            assert_eq!(refused(bad).await, ShopCode::ParameterInvalid);
        }
        refund(&world, wanted(&payment, "all", Some(DUE))).await.unwrap();
        assert_eq!(refused(wanted(&payment, "k", Some(1))).await, ShopCode::RefundTooMuch);
        assert_eq!(refused(wanted(&payment, "k", None)).await, ShopCode::RefundTooMuch);
        assert_eq!(world.number("SELECT COUNT(*) AS n FROM trade_refund").await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_never_promise_more_than_was_paid() {
    for world in worlds().await {
        let payment = bound(&world, "").await;
        let keys: Vec<String> = (0..20).map(|number| format!("k{number}")).collect();
        let twice = keys.iter().chain(&keys);
        let all = join_all(twice.map(|key| refund(&world, wanted(&payment, key, Some(10_000))))).await;
        let numbers: std::collections::BTreeSet<i64> = all.iter().flatten().map(|refund| refund.refund_id).collect();
        assert_eq!(numbers.len(), 8, "{}: eight of them fit into {DUE}", world.name());
        assert_eq!(world.number(PROMISED).await, 80_000);
        world.later(MINUTE).await;
        assert_eq!((world.number(PAID_BACK).await, world.owed(&payment).await), (80_000, 0));
    }
}

#[tokio::test]
async fn what_the_channel_refuses_is_listed_and_asked_for_again_under_its_number() {
    for world in worlds().await {
        let payment = bound(&world, FLAKY).await;
        world.flaky.refuses.store(true, Ordering::SeqCst);
        let part = refund(&world, wanted(&payment, "k", Some(100))).await.unwrap();
        world.sweep().await;
        let refused = listed(&world, Status::Refused).await;
        assert_eq!((refused.len(), refused[0].remark.as_str()), (1, "the buyer's account is gone"));
        assert_eq!((world.owed(&payment).await, world.number(PROMISED).await), (0, 100), "it is still promised");
        world.later(MINUTE).await;
        assert_eq!(world.flaky.refund_calls.load(Ordering::SeqCst), 1, "nobody asks by himself");

        world.flaky.refuses.store(false, Ordering::SeqCst);
        let retry = RetryRefundRequest { refund_id: part.refund_id };
        let open = world.refunds().retry_refund(retry).await.unwrap().into_inner().refund.unwrap();
        assert_eq!((open.status(), open.remark.as_str()), (Status::Open, ""));
        world.sweep().await;
        let done = world.refunds().retry_refund(retry).await.unwrap().into_inner().refund.unwrap();
        assert_eq!(done.status(), Status::Done, "what is paid back is not asked for again");
        assert_eq!(world.number("SELECT refund_id AS n FROM sandbox_refund").await, part.refund_id);
        assert_eq!((world.number(PAID_BACK).await, world.owed(&payment).await), (100, 0));
        let unknown = world.refunds().retry_refund(RetryRefundRequest { refund_id: 7 }).await.unwrap_err();
        assert_eq!(ShopError::from_status(&unknown).code, ShopCode::RefundNotFound);
    }
}

/// The answer of the first refund is lost; the second comes while it is not known: the first is looked up, not repeated.
#[tokio::test]
async fn a_second_refund_does_not_repeat_the_first() {
    for world in worlds().await {
        let payment = bound(&world, FLAKY).await;
        world.flaky.answers_to_lose.store(1, Ordering::SeqCst);
        refund(&world, wanted(&payment, "a", Some(100))).await.unwrap();
        world.sweep().await;
        refund(&world, wanted(&payment, "b", Some(200))).await.unwrap();
        world.sweep().await;
        assert_eq!(world.flaky.refund_calls.load(Ordering::SeqCst), 2, "each number once");
        assert_eq!((world.number(PAID_BACK).await, world.owed(&payment).await), (300, 0));
    }
}

#[tokio::test]
async fn before_the_order_has_judged_an_operator_may_give_all_back() {
    for world in worlds().await {
        let payment = paid(&world, "").await;
        world.set_orders_away(true);
        refund(&world, wanted(&payment, "k", None)).await.unwrap();
        world.later(MINUTE).await;
        assert_eq!(world.number(PAID_BACK).await, DUE, "the buyer need not wait for the order");
        assert_eq!(world.owed(&payment).await, 1 + 64, "the judgement, and to tell the order");
        world.set_orders_away(false);
        world.later(MINUTE).await;
        world.later(MINUTE).await;
        assert!(world.orders.refunded.lock().unwrap().contains_key(&1));
        assert!(world.points.held.lock().unwrap().is_empty());
        assert_eq!((world.owed(&payment).await, world.number(PAID_BACK).await), (0, DUE));
    }
}

#[tokio::test]
async fn an_order_that_does_not_want_the_payment_gives_back_only_the_rest() {
    for (amount, refunds) in [(Some(100), 2), (None, 1)] {
        for world in worlds().await {
            let payment = paid(&world, "").await;
            refund(&world, wanted(&payment, "k", amount)).await.unwrap();
            world.orders.cancelled.lock().unwrap().insert(1);
            world.later(MINUTE).await;
            world.later(MINUTE).await;
            assert_eq!((world.number(PROMISED).await, world.number(PAID_BACK).await), (DUE, DUE));
            assert_eq!(world.number("SELECT COUNT(*) AS n FROM trade_refund WHERE state = 1").await, refunds);
            assert_eq!(world.owed(&payment).await, 0);
            assert!(world.orders.refunded.lock().unwrap().is_empty() && world.points.held.lock().unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn the_list_comes_in_pages_newest_first() {
    for world in worlds().await {
        let payment = bound(&world, "").await;
        for key in ["a", "b", "c"] {
            refund(&world, wanted(&payment, key, Some(1))).await.unwrap();
        }
        let mut request = ListRefundsRequest { pay_id: payment.pay_id, page_size: 2, ..ListRefundsRequest::default() };
        let first = world.refunds().list_refunds(request.clone()).await.unwrap().into_inner();
        request.page_token = first.next_page_token;
        let last = world.refunds().list_refunds(request).await.unwrap().into_inner();
        let ids: Vec<i64> = first.refunds.iter().chain(&last.refunds).map(|refund| refund.refund_id).collect();
        assert_eq!((ids.len(), last.next_page_token.as_str()), (3, ""));
        assert!(ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
        let of_another = ListRefundsRequest { pay_id: 7, ..ListRefundsRequest::default() };
        assert!(world.refunds().list_refunds(of_another).await.unwrap().into_inner().refunds.is_empty());
        assert_eq!(listed(&world, Status::Open).await.len(), 3);
        let unknown = ListRefundsRequest { status: "open".into(), ..ListRefundsRequest::default() };
        let refused = ShopError::from_status(&world.refunds().list_refunds(unknown).await.unwrap_err());
        assert_eq!((refused.code, refused.field.as_deref()), (ShopCode::ParameterInvalid, Some("status")));
    }
}
