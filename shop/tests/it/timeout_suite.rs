//! Orders that are not paid in time (F23, F50, F51, F54): closed first, cancelled then, and whatever money comes is bound
//! or goes back. The broker is needed for none of it.

use std::time::Duration;

use futures::future::{join_all, join3};
use shop_common::code::ShopCode;
use shop_proto::{
    order::v1::{Order, OrderStatus, PayStatus},
    pay::v1::Payment,
};
use shop_testkit::participant::number;

use crate::{
    paid_suite::paid_back,
    world::{
        World, code,
        data::{DUE, GOODS, PRICE, SCORE, UNTOUCHED, USER, line, order, plain},
        faults::{CLOSE, CLOSE_AT_CHANNEL},
        signed,
    },
};

/// How long an order may stay unpaid, and how long the channel may take then.
const TIMEOUT: Duration = Duration::from_secs(1800);
const PATIENCE: Duration = Duration::from_secs(60);

/// One order and its open payment.
async fn unpaid(world: &World) -> (Order, Payment) {
    let placed = world.confirm(order("k")).await.unwrap();
    let payment = world.pay_for(&placed).await.unwrap();
    (placed, payment)
}

/// The same past its deadline, and nobody has reached a channel yet.
async fn closing(world: &World) -> (Order, Payment) {
    let (placed, payment) = unpaid(world).await;
    world.faults.away(CLOSE_AT_CHANNEL);
    world.later(TIMEOUT);
    world.sweep().await;
    assert!(is_closing(world, &placed).await);
    assert_eq!(world.status(placed.order_id).await, OrderStatus::Confirmed);
    (placed, payment)
}

async fn is_closing(world: &World, order: &Order) -> bool {
    let sql =
        format!("SELECT COUNT(*) AS n FROM trade_order WHERE closing_ms IS NOT NULL AND order_id = {}", order.order_id);
    number(&world.schemas.order, &sql).await == 1
}

async fn ends_cancelled(world: &World, placed: &Order) {
    world.settle_everything().await;
    world.assert_clean("timed out").await;
    assert_eq!(world.look().await, UNTOUCHED, "{}", world.name);
    assert_eq!(world.status(placed.order_id).await, OrderStatus::Cancelled, "{}", world.name);
}

async fn ends_paid(world: &World, placed: &Order) {
    world.settle_everything().await;
    world.assert_clean("paid after all").await;
    let shown = world.order(placed.order_id, USER).await.unwrap();
    assert_eq!((shown.status(), shown.pay_status()), (OrderStatus::Confirmed, PayStatus::Paid), "{}", world.name);
    assert!(!is_closing(world, placed).await, "{}", world.name);
    assert_eq!(paid_back(world, placed).await, 0, "{}", world.name);
    assert_eq!(world.look().await.score, SCORE + DUE / 100, "{}", world.name);
}

#[tokio::test]
async fn an_order_is_cancelled_at_its_deadline_and_not_before() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let (placed, payment) = unpaid(&world).await;
        world.later(TIMEOUT.checked_sub(Duration::from_millis(1)).unwrap());
        world.sweep().await;
        assert_eq!(world.status(placed.order_id).await, OrderStatus::Confirmed, "{}", world.name);
        world.assert_pending_is_nothing().await;
        world.later(Duration::from_millis(1));
        world.sweep().await;
        let shown = world.order(placed.order_id, USER).await.unwrap();
        assert_eq!((shown.status(), &*shown.cancel_reason), (OrderStatus::Cancelled, "not paid in time"));
        ends_cancelled(&world, &placed).await;
        let closed = format!("SELECT state AS n FROM sandbox_trade WHERE pay_id = {}", payment.pay_id);
        assert_eq!(number(&world.schemas.pay, &closed).await, 2, "{}: closed at the channel", world.name);
    }
}

#[tokio::test]
async fn the_sweeper_needs_no_broker() {
    let world = World::without_broker(&[]).await.stocked().await;
    let (placed, _) = unpaid(&world).await;
    world.later(TIMEOUT);
    world.settle_without_broker().await;
    world.assert_clean_without_broker("timed out").await;
    assert_eq!(world.status(placed.order_id).await, OrderStatus::Cancelled);
    assert_eq!(world.look().await, UNTOUCHED);
}

#[tokio::test]
async fn an_order_that_nobody_began_to_pay_is_cancelled_too() {
    let world = World::new(&[]).await.stocked().await;
    let placed = world.confirm(order("k")).await.unwrap();
    world.later(TIMEOUT);
    world.sweep().await;
    assert_eq!(code(&world.pay_for(&placed).await), Some(ShopCode::OrderNotPayable));
    ends_cancelled(&world, &placed).await;
}

#[tokio::test]
async fn what_is_closing_takes_no_payment_and_can_be_cancelled_by_its_buyer() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let (placed, _) = closing(&world).await;
        assert_eq!(code(&world.pay_for(&placed).await), Some(ShopCode::OrderNotPayable), "{}", world.name);
        let cancelled = world.cancel(placed.order_id, USER).await.unwrap();
        assert_eq!(&*cancelled.cancel_reason, "changed my mind", "{}: the buyer was first", world.name);
        assert!(!is_closing(&world, &placed).await);
        ends_cancelled(&world, &placed).await;
    }
}

#[tokio::test]
async fn a_payment_that_comes_while_closing_is_bound() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let (placed, payment) = closing(&world).await;
        world.buyer_pays(payment.pay_id).await;
        world.sandbox_notifies().await;
        world.messages().await;
        ends_paid(&world, &placed).await;
    }
}

/// The notification never comes and there is no broker (F54): asking the channel finds the money, long before the
/// deadline.
#[tokio::test]
async fn a_payment_of_which_nobody_says_anything_is_found_by_asking() {
    for world in World::on_all_engines(&[("pay.query_after_s", "60")]).await {
        let world = world.stocked().await;
        world.broker.set_faults(shop_common::mq::memory::Faults { drop: 100, ..Default::default() });
        let (placed, payment) = unpaid(&world).await;
        world.buyer_pays(payment.pay_id).await;
        // No notification ever leaves the channel.
        let silent = "UPDATE sandbox_trade SET due_ms = NULL";
        shop_testkit::participant::execute(&world.schemas.pay, silent).await;
        world.later(Duration::from_secs(59));
        world.sweep().await;
        assert_eq!(world.order(placed.order_id, USER).await.unwrap().pay_status(), PayStatus::Paying, "{}", world.name);
        world.later(Duration::from_secs(1));
        world.settle_without_broker().await;
        let found = world.order(placed.order_id, USER).await.unwrap();
        assert_eq!((found.status(), found.pay_status()), (OrderStatus::Confirmed, PayStatus::Paid), "{}", world.name);
    }
}

/// The notification never came (F54): asking the channel to close finds the money.
#[tokio::test]
async fn a_payment_the_channel_knows_of_is_found_by_closing() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let (placed, payment) = unpaid(&world).await;
        world.buyer_pays(payment.pay_id).await;
        world.later(TIMEOUT);
        world.sweep_orders().await;
        assert!(is_closing(&world, &placed).await, "{}: patience", world.name);
        ends_paid(&world, &placed).await;
    }
}

#[tokio::test]
async fn without_the_channel_s_answer_the_order_is_cancelled_and_late_money_goes_back() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let (placed, payment) = closing(&world).await;
        world.faults.away(CLOSE);
        world.broker.set_faults(shop_common::mq::memory::Faults { drop: 100, ..Default::default() });
        world.later(PATIENCE + Duration::from_secs(1));
        world.sweep().await;
        assert_eq!(world.status(placed.order_id).await, OrderStatus::Cancelled, "{}", world.name);
        world.buyer_pays(payment.pay_id).await;
        world.sandbox_notifies().await;
        world.faults.heal();
        ends_cancelled(&world, &placed).await;
        assert_eq!(paid_back(&world, &placed).await, DUE, "{}", world.name);
    }
}

#[tokio::test]
async fn a_crash_between_closing_and_cancel_loses_nothing() {
    for world in World::on_all_engines(&[]).await {
        let mut world = world.stocked().await;
        let (placed, _) = closing(&world).await;
        world.kill().await;
        world.restart().await;
        assert!(is_closing(&world, &placed).await, "{}", world.name);
        ends_cancelled(&world, &placed).await;
    }
}

/// Pay and time-out at the same instant (F51): the first batch is cancelled before its notifications, the second is
/// paid before its deadline is seen, all others are let loose at once.
#[tokio::test]
async fn pay_and_time_out_at_once_end_in_a_paid_order_or_a_cancelled_one_and_a_refund() {
    const BATCHES: i64 = 20;
    const BATCH: i64 = 100;
    for world in World::on_all_engines(&[("order.close_patience_s", "0"), ("order.saga_deadline_s", "60")]).await {
        world.add_goods(GOODS, BATCHES * BATCH, PRICE).await;
        world.add_users(&(1..=BATCHES * BATCH).collect::<Vec<_>>(), 0).await;
        let mut kept = 0;
        for batch in 0..BATCHES {
            let users: Vec<i64> = (1..=BATCH).map(|user| batch * BATCH + user).collect();
            let (orders, payments) = paid_at_the_channel(&world, &users).await;
            world.faults.away(CLOSE_AT_CHANNEL);
            // With the deadline its hint is delivered, beside whatever else is.
            if batch != 1 {
                world.later(TIMEOUT);
            }
            let told = async { join_all(payments.iter().map(|payment| world.callback(signed(&world, payment)))).await };
            let answers = match batch {
                0 => {
                    world.sweep_orders().await;
                    told.await
                }
                1 => {
                    let answers = told.await;
                    world.messages().await;
                    world.later(TIMEOUT);
                    answers
                }
                _ => join3(told, world.messages(), world.sweep_orders()).await.0,
            };
            assert!(answers.iter().all(Result::is_ok), "{}: money is never refused", world.name);
            world.faults.heal();
            world.settle_everything().await;
            let paid = end(&world, &orders).await;
            match batch {
                0 => assert_eq!(paid, 0, "{}", world.name),
                1 => assert_eq!(paid, BATCH, "{}", world.name),
                _ => {}
            }
            kept += paid;
        }
        world.assert_clean("pay and time-out").await;
        assert_eq!(world.stock(GOODS).await, BATCHES * BATCH - kept, "{}", world.name);
    }
}

/// Orders that are paid at the channel, which has not told the shop.
async fn paid_at_the_channel(world: &World, users: &[i64]) -> (Vec<Order>, Vec<Payment>) {
    let place = |user: &i64| world.confirm(plain("k", *user, vec![line(GOODS, 1)]));
    let orders: Vec<Order> = join_all(users.iter().map(place)).await.into_iter().map(Result::unwrap).collect();
    let payments = join_all(orders.iter().map(|order| world.pay_for(order))).await;
    let payments: Vec<Payment> = payments.into_iter().map(Result::unwrap).collect();
    join_all(payments.iter().map(|payment| world.buyer_pays(payment.pay_id))).await;
    (orders, payments)
}

/// Each is paid and kept, or cancelled and paid back; how many are kept.
async fn end(world: &World, orders: &[Order]) -> i64 {
    let mut kept = 0;
    for order in orders {
        let shown = world.order(order.order_id, order.user_id).await.unwrap();
        let back = paid_back(world, order).await;
        match (shown.status(), shown.pay_status(), back) {
            (OrderStatus::Confirmed, PayStatus::Paid, 0) => kept += 1,
            (OrderStatus::Cancelled, PayStatus::Paying, back) if back == order.amount_due_fen => {}
            other => panic!("{}: order {} ends as {other:?}", world.name, order.order_id),
        }
    }
    kept
}
