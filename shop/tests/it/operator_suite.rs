//! Refunds that an operator asks for, in the whole shop: part of a payment leaves order and points, with the last fen
//! everything goes back, and the channel's books say the same to the fen.

use std::time::Duration;

use shop_common::code::ShopCode;
use shop_proto::{
    common::v1::do_outcome::Kind,
    order::v1::{
        MarkRefundedCommand, MarkRefundedRequest, Order, OrderStatus, PayStatus,
        order_state_service_client::OrderStateServiceClient,
    },
    pay::v1::Payment,
};
use shop_testkit::participant::number;

use crate::{
    paid_suite::paid_back,
    refund_suite::{all_went_back, each_fails_and_is_asked_again},
    world::{
        World, code,
        data::{DUE, SCORE, USER, order},
        faults::{CLOSE, MARK_REFUNDED, REFUND, REFUND_ORDER, REINSTATE, RELEASE, REVERSE},
    },
};

/// Whom the sweepers ask for what follows from a payment that was given back whole.
const STEPS: [&str; 7] = [MARK_REFUNDED, RELEASE, REINSTATE, REFUND, CLOSE, REFUND_ORDER, REVERSE];
const PART: i64 = 2_500;

/// One order that is paid, bound and has its points.
async fn paid(world: &World) -> (Order, Payment) {
    let placed = world.confirm(order("k")).await.unwrap();
    let payment = world.paid(&placed).await;
    world.settle_everything().await;
    (placed, payment)
}

async fn check(world: &World, placed: &Order, what: &str) {
    world.assert_clean(what).await;
    all_went_back(world, placed, what).await;
}

#[tokio::test]
async fn a_part_leaves_the_order_and_the_last_fen_takes_it_back() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let (placed, payment) = paid(&world).await;
        let before = world.look().await;
        for key in ["a", "b", "a"] {
            world.refund(&payment, key, Some(PART)).await.unwrap();
        }
        world.settle_everything().await;
        world.assert_clean("two parts").await;
        let kept = world.order(placed.order_id, USER).await.unwrap();
        assert_eq!((kept.status(), kept.pay_status()), (OrderStatus::Confirmed, PayStatus::Paid), "{}", world.name);
        assert_eq!((world.look().await, before.score), (before, SCORE + DUE / 100), "{}", world.name);
        assert_eq!(paid_back(&world, &placed).await, 2 * PART, "{}", world.name);
        assert_eq!(code(&world.refund(&payment, "c", Some(PART)).await), Some(ShopCode::RefundTooMuch));

        world.refund(&payment, "rest", None).await.unwrap();
        world.assert_sound("promised, and nobody has heard").await;
        world.settle_everything().await;
        check(&world, &placed, "the rest").await;
        let refunded = world.order(placed.order_id, USER).await.unwrap();
        assert_eq!(refunded.cancel_reason, "arrived broken", "{}", world.name);
    }
}

#[tokio::test]
async fn what_is_left_goes_back_when_the_order_is_cancelled() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let (placed, payment) = paid(&world).await;
        world.refund(&payment, "a", Some(PART)).await.unwrap();
        world.cancel(placed.order_id, USER).await.unwrap();
        world.settle_everything().await;
        check(&world, &placed, "part, then cancelled").await;
        let rest = format!("SELECT amount_fen AS n FROM trade_refund WHERE cause = 4 AND pay_id = {}", payment.pay_id);
        assert_eq!(number(&world.schemas.pay, &rest).await, DUE - PART, "{}", world.name);
    }
}

#[tokio::test]
async fn all_may_go_back_before_the_order_has_heard_that_it_is_paid() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let placed = world.confirm(order("k")).await.unwrap();
        let payment = world.paid(&placed).await;
        world.refund(&payment, "k", None).await.unwrap();
        world.assert_sound("promised before it was judged").await;
        world.settle_everything().await;
        check(&world, &placed, "before it was judged").await;
    }
}

#[tokio::test]
async fn an_operator_refunds_a_paid_order_and_no_other() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let placed = world.confirm(order("k")).await.unwrap();
        let orders = world.process().services.order.clone();
        let refund = async |order_id: i64| {
            let orders = orders.clone();
            world.process().run(async move { orders.refund(order_id, "recalled".to_owned()).await }).await.unwrap()
        };
        assert_eq!(code(&refund(placed.order_id).await), Some(ShopCode::OrderNotCancellable), "{}", world.name);
        assert_eq!(code(&refund(7).await), Some(ShopCode::OrderNotFound), "{}", world.name);
        world.paid(&placed).await;
        world.settle_everything().await;
        assert_eq!(refund(placed.order_id).await, Ok(true), "{}", world.name);
        assert_eq!(refund(placed.order_id).await, Ok(false), "{}", world.name);
        world.settle_everything().await;
        check(&world, &placed, "by an operator").await;
        assert_eq!(world.order(placed.order_id, USER).await.unwrap().cancel_reason, "recalled", "{}", world.name);
    }
}

#[tokio::test]
async fn only_the_payment_that_is_bound_takes_its_order_along() {
    let world = World::new(&[]).await.stocked().await;
    let (placed, payment) = paid(&world).await;
    let told = async |pay_id: i64, order_id: i64| {
        let mut orders = OrderStateServiceClient::new(world.process().link());
        let command = MarkRefundedCommand { context: None, order_id, pay_id, reason: "forged".to_owned() };
        let request = MarkRefundedRequest { commands: vec![command] };
        let answer = world.process().run(async move { orders.mark_refunded(request).await }).await.unwrap().unwrap();
        answer.into_inner().outcomes[0].kind()
    };
    assert_eq!(told(payment.pay_id + 1, placed.order_id).await, Kind::Already);
    assert_eq!(told(payment.pay_id, placed.order_id + 1).await, Kind::Refused, "no such order");
    world.settle_everything().await;
    world.assert_clean("told of another payment").await;
    assert_eq!(world.status(placed.order_id).await, OrderStatus::Confirmed);
}

/// Every step that follows × every way a call can end, once more with every step doubled.
#[tokio::test]
async fn every_step_may_fail_and_is_asked_again() {
    let begin = async |world: &World, (_, payment): &(Order, Payment)| {
        world.refund(payment, "k", None).await.unwrap();
    };
    let check = async |world: &World, (placed, _): &(Order, Payment), what: &str| check(world, placed, what).await;
    each_fails_and_is_asked_again(&STEPS, paid, begin, check).await;
}

#[tokio::test]
async fn a_crash_after_the_promise_loses_no_money() {
    for world in World::on_all_engines(&[]).await {
        let mut world = world.stocked().await;
        let (placed, payment) = paid(&world).await;
        world.refund(&payment, "k", None).await.unwrap();
        world.kill().await;
        world.restart().await;
        world.later(Duration::from_secs(2));
        world.settle_everything().await;
        check(&world, &placed, "crashed").await;
    }
}
