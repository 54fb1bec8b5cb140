//! Paid orders that their buyers give back: everything taken comes back, the points are reversed, and the money goes back
//! once, through its channel (F52, F56).

use shop_common::{code::ShopCode, mq::memory::Faults as BusFaults};
use shop_proto::order::v1::{ConfirmOrderRequest, Order, OrderStatus, PayStatus};
use shop_testkit::participant::number;

use crate::{
    paid_suite::paid_back,
    world::{
        World, code,
        data::{DUE, GOODS, PRICE, SCORE, UNTOUCHED, USER, line, order, plain},
        faults::{AWARD, CLOSE, Calls, Fault, MARK, REFUND, REFUND_ORDER, REINSTATE, RELEASE, REVERSE},
    },
};

/// Whom the sweepers ask for what follows from a refund.
const STEPS: [&str; 6] = [RELEASE, REINSTATE, REFUND, CLOSE, REFUND_ORDER, REVERSE];

/// One order that is paid, bound and has its points.
async fn paid(world: &World) -> Order {
    let placed = world.confirm(order("k")).await.unwrap();
    world.paid(&placed).await;
    world.settle_everything().await;
    assert_eq!(world.look().await.score, SCORE + DUE / 100);
    placed
}

/// What the order took is as it was, and its buyer has the money.
pub(crate) async fn all_went_back(world: &World, placed: &Order, what: &str) {
    assert_eq!(world.look().await, UNTOUCHED, "{}: {what}", world.name);
    assert_eq!(world.status(placed.order_id).await, OrderStatus::Refunded, "{}: {what}", world.name);
    assert_eq!(paid_back(world, placed).await, DUE, "{}: {what}", world.name);
}

async fn check(world: &World, placed: &Order, what: &str) {
    all_went_back(world, placed, what).await;
    let refunds = "SELECT COUNT(*) AS n FROM trade_refund WHERE state = 1 AND cause = 4";
    assert_eq!(number(&world.schemas.pay, refunds).await, 1, "{}: {what}", world.name);
}

/// Each of `steps` × every way a call can end, once more with every step doubled; `begin` sets them off.
pub(crate) async fn each_fails_and_is_asked_again<T>(
    steps: &[&'static str],
    paid: impl AsyncFn(&World) -> T,
    begin: impl AsyncFn(&World, &T),
    check: impl AsyncFn(&World, &T, &str),
) {
    for step in steps {
        for fault in [Fault::RefuseBefore, Fault::ErrorAfter] {
            for doubled in [false, true] {
                let what = format!("{step} {fault:?} doubled: {doubled}");
                let world = World::new(&[]).await.stocked().await;
                let paid = paid(&world).await;
                world.broker.set_faults(BusFaults { drop: 100, ..BusFaults::default() });
                begin(&world, &paid).await;
                if doubled {
                    world.faults.double(steps);
                }
                world.faults.on(step, Calls::Next, fault);
                let before = world.faults.arrived(step);
                world.settle_everything().await;
                world.faults.all_answered().await;
                assert!(world.faults.arrived(step) > before + 1, "{what}: asked again");
                world.assert_clean(&what).await;
                check(&world, &paid, &what).await;
            }
        }
    }
}

#[tokio::test]
async fn a_paid_order_goes_back_whole_and_once() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let placed = paid(&world).await;
        let refunded = world.cancel(placed.order_id, USER).await.unwrap();
        let state = (refunded.status(), refunded.pay_status(), &*refunded.cancel_reason);
        assert_eq!(state, (OrderStatus::Refunded, PayStatus::Paid, "changed my mind"), "{}", world.name);
        world.settle_everything().await;
        world.assert_clean("refunded").await;
        check(&world, &placed, "refunded").await;
        assert_eq!(world.cancel(placed.order_id, USER).await.unwrap(), refunded, "{}: the same answer", world.name);
        assert_eq!(code(&world.pay_for(&placed).await), Some(ShopCode::OrderIsPaid), "{}", world.name);
        world.settle_everything().await;
        world.assert_clean("cancelled twice").await;
        check(&world, &placed, "cancelled twice").await;
    }
}

#[tokio::test]
async fn messages_alone_give_back_stock_coupon_and_balance() {
    let world = World::new(&[]).await.stocked().await;
    let placed = paid(&world).await;
    world.cancel(placed.order_id, USER).await.unwrap();
    world.messages().await;
    let look = world.look().await;
    assert_eq!((look.stock, look.balance, look.spent_by), (UNTOUCHED.stock, UNTOUCHED.balance, None));
    assert_eq!(paid_back(&world, &placed).await, 0, "money moves by the rows, not by messages");
    world.settle_everything().await;
    check(&world, &placed, "by messages").await;
}

#[tokio::test]
async fn the_messages_may_be_lost_or_doubled() {
    for faults in [
        BusFaults { drop: 100, ..BusFaults::default() },
        BusFaults { duplicate: 100, reorder: 100, ..BusFaults::default() },
    ] {
        let world = World::new(&[]).await.stocked().await;
        let placed = paid(&world).await;
        world.broker.set_faults(faults);
        world.cancel(placed.order_id, USER).await.unwrap();
        world.settle_everything().await;
        world.assert_clean(&format!("{faults:?}")).await;
        check(&world, &placed, &format!("{faults:?}")).await;
    }
}

#[tokio::test]
async fn an_order_paid_from_the_balance_has_no_money_part() {
    for world in World::on_all_engines(&[]).await {
        world.add_goods(GOODS, 10, PRICE).await;
        world.add_user(USER, 10_000).await;
        let free = ConfirmOrderRequest { balance_used_fen: 6_000, ..plain("k", USER, vec![line(GOODS, 1)]) };
        let placed = world.confirm(free).await.unwrap();
        assert_eq!((placed.amount_due_fen, placed.pay_status()), (0, PayStatus::Paid), "{}", world.name);
        let refunded = world.cancel(placed.order_id, USER).await.unwrap();
        assert_eq!(refunded.status(), OrderStatus::Refunded, "{}", world.name);
        world.settle_everything().await;
        world.assert_clean("paid from the balance").await;
        let balance = "SELECT user_money_fen AS n FROM trade_user";
        assert_eq!(number(&world.schemas.user, balance).await, 10_000, "{}", world.name);
        assert_eq!(world.stock(GOODS).await, 10, "{}", world.name);
        let refunds = "SELECT COUNT(*) AS n FROM trade_refund";
        assert_eq!(number(&world.schemas.pay, refunds).await, 0, "{}", world.name);
    }
}

/// Every step of a refund.
#[tokio::test]
async fn every_step_may_fail_and_is_asked_again() {
    let begin = async |world: &World, placed: &Order| drop(world.cancel(placed.order_id, USER).await.unwrap());
    each_fails_and_is_asked_again(&STEPS, paid, begin, check).await;
}

/// The order is bound but its points are not credited yet when it is given back; then the message about them comes.
#[tokio::test]
async fn points_that_come_after_the_refund_are_kept_out() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let placed = world.confirm(order("k")).await.unwrap();
        world.faults.away(AWARD);
        world.paid(&placed).await;
        world.relay().await;
        world.later(std::time::Duration::from_secs(2));
        world.sweep().await;
        assert!(world.faults.arrived(MARK) > 0 && world.faults.arrived(AWARD) > 0, "{}", world.name);
        world.cancel(placed.order_id, USER).await.unwrap();
        world.later(std::time::Duration::from_secs(2));
        world.sweep().await;
        world.faults.heal();
        world.settle_everything().await;
        world.assert_clean("points after the refund").await;
        check(&world, &placed, "points after the refund").await;
    }
}

#[tokio::test]
async fn a_crash_after_the_cancel_loses_no_money() {
    for world in World::on_all_engines(&[]).await {
        let mut world = world.stocked().await;
        let placed = paid(&world).await;
        world.cancel(placed.order_id, USER).await.unwrap();
        world.kill().await;
        world.restart().await;
        world.settle_everything().await;
        world.assert_clean("crashed").await;
        check(&world, &placed, "crashed").await;
    }
}
