//! Stock auto-unlock by work order (the course, text 001): whatever becomes of messages and of the order's own sweeper, stock that
//! nobody paid for comes back by its hold alone, once.

use std::time::Duration;

use shop_common::mq::memory::Faults as BusFaults;
use shop_proto::order::v1::{OrderStatus, PayStatus};
use shop_testkit::participant::{execute, number};

use crate::world::{
    World,
    data::{GOODS, STOCK, USER, order, taken_by},
    faults::{RELEASE, STATES},
};

/// `goods.hold_timeout_s`.
const HOLD: Duration = Duration::from_secs(2100);
/// Longer than any pause of a sweeper.
const ROUND: Duration = Duration::from_secs(61);
const RETURNS: &str = "SELECT COUNT(*) AS n FROM trade_goods_number_log WHERE log_type = 2";

/// An unpaid order stays payable for longer than the tests last: what is tried here are the holds.
const PATIENT: (&str, &str) = ("order.pay_timeout_s", "100000");

/// A shop in which one order has taken stock.
async fn with_an_order(keys: &[(&str, &str)]) -> (World, i64) {
    let world = World::new(keys).await.stocked().await;
    let order = world.confirm(order("k")).await.unwrap();
    world.messages().await;
    assert_eq!(world.look().await, taken_by(order.order_id));
    (world, order.order_id)
}

async fn hold_state(world: &World, order_id: i64) -> i64 {
    let sql = format!("SELECT state AS n FROM trade_goods_hold WHERE order_id = {order_id}");
    number(&world.schemas.goods, &sql).await
}

/// Whether the hold will be asked about.
async fn is_due(world: &World) -> bool {
    number(&world.schemas.goods, "SELECT COUNT(due_ms) AS n FROM trade_goods_hold").await > 0
}

#[tokio::test]
async fn with_messages_dropped_and_the_order_s_sweeper_shut_out_the_hold_releases_itself() {
    let (world, order_id) = with_an_order(&[PATIENT]).await;
    world.broker.set_faults(BusFaults { drop: 100, ..BusFaults::default() });
    world.faults.away(RELEASE);
    assert_eq!(world.cancel(order_id, USER).await.unwrap().status(), OrderStatus::Cancelled);
    world.messages().await;
    for _ in 0..5 {
        world.later(ROUND);
        world.sweep().await;
    }
    assert!(world.faults.arrived(RELEASE) > 0, "the order's sweeper tries");
    assert_eq!((world.stock(GOODS).await, hold_state(&world, order_id).await), (STOCK - 2, 1), "in vain");

    world.later(HOLD);
    world.sweep().await;
    assert_eq!((world.stock(GOODS).await, hold_state(&world, order_id).await), (STOCK, 3));
    assert!(!is_due(&world).await);

    world.faults.heal();
    world.settle_everything().await;
    world.assert_clean("unlocked by expiry, then by close").await;
    assert_eq!((world.stock(GOODS).await, number(&world.schemas.goods, RETURNS).await), (STOCK, 1), "once");
}

#[tokio::test]
async fn what_was_closed_before_is_not_unlocked_again() {
    let (world, order_id) = with_an_order(&[PATIENT]).await;
    world.cancel(order_id, USER).await.unwrap();
    world.settle_everything().await;
    assert!(!is_due(&world).await, "nobody asks about what was given back");
    world.later(HOLD);
    let asked = world.faults.arrived(STATES);
    world.settle_everything().await;
    assert_eq!(world.faults.arrived(STATES), asked);
    world.assert_clean("unlocked by close").await;
    assert_eq!((world.stock(GOODS).await, number(&world.schemas.goods, RETURNS).await), (STOCK, 1), "once");
}

#[tokio::test]
async fn the_stock_of_a_paid_order_is_its_own() {
    let (world, order_id) = with_an_order(&[PATIENT]).await;
    let paid = world.order(order_id, USER).await.unwrap();
    world.paid(&paid).await;
    world.settle_everything().await;
    assert_eq!(world.order(order_id, USER).await.unwrap().pay_status(), PayStatus::Paid);
    assert_eq!(hold_state(&world, order_id).await, 1, "held until its time");
    world.later(HOLD);
    world.settle_everything().await;
    assert_eq!((hold_state(&world, order_id).await, is_due(&world).await), (2, false));
    assert_eq!(world.stock(GOODS).await, STOCK - 2);
    world.assert_clean("final").await;
}

#[tokio::test]
async fn an_order_that_may_still_be_paid_is_waited_for() {
    let (world, order_id) = with_an_order(&[PATIENT]).await;
    world.later(HOLD);
    for _ in 0..5 {
        world.sweep().await;
        world.later(ROUND);
    }
    assert_eq!((hold_state(&world, order_id).await, world.stock(GOODS).await), (1, STOCK - 2));
    assert!(is_due(&world).await);
    let unpaid = world.order(order_id, USER).await.unwrap();
    world.paid(&unpaid).await;
    world.settle_everything().await;
    world.later(ROUND);
    world.settle_everything().await;
    assert_eq!(hold_state(&world, order_id).await, 2);
    world.assert_clean("paid late, but in time").await;
}

#[tokio::test]
async fn while_nobody_can_be_asked_nothing_is_released() {
    let (world, order_id) = with_an_order(&[PATIENT]).await;
    world.broker.set_faults(BusFaults { drop: 100, ..BusFaults::default() });
    world.faults.away(RELEASE);
    world.faults.away(STATES);
    world.cancel(order_id, USER).await.unwrap();
    world.later(HOLD);
    for _ in 0..5 {
        world.sweep().await;
        world.later(ROUND);
    }
    assert_eq!((hold_state(&world, order_id).await, world.stock(GOODS).await), (1, STOCK - 2));
    world.faults.heal();
    world.settle_everything().await;
    world.assert_clean("asked at last").await;
    assert_eq!(world.stock(GOODS).await, STOCK);
}

/// The row of an order is written before anything is taken, so a hold without one means a restored or a wrong database.
#[tokio::test]
async fn a_hold_without_an_order_is_left_to_the_audit() {
    let (world, order_id) = with_an_order(&[PATIENT]).await;
    for table in ["trade_order_item", "trade_order"] {
        execute(&world.schemas.order, &format!("DELETE FROM {table} WHERE order_id = {order_id}")).await;
    }
    world.later(HOLD);
    for _ in 0..5 {
        world.sweep().await;
        world.later(ROUND);
    }
    assert_eq!((hold_state(&world, order_id).await, world.stock(GOODS).await), (1, STOCK - 2));
    assert!(is_due(&world).await, "it is asked about again and again");
    let violated = world.violated().await;
    assert!(violated.contains(&"I03".to_owned()), "{violated:?}");
}
