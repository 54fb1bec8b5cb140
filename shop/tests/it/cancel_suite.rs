//! The cancel topic in all its moods (F26, F32 to F40): whatever becomes of its messages, the end is the same.
//!
//! Five orders: one paid, which must live; one that its buyer cancels; one refused in the saga; one whose process died
//! in the saga; one cancelled with a payment open. Each takes two of the goods, a coupon and a part of the balance.

use std::time::Duration;

use shop_common::{code::ShopCode, mq::memory::Faults as BusFaults};
use shop_proto::{
    event::{OrderCancelled, VERSION},
    order::v1::{ConfirmOrderRequest, OrderStatus},
    topic::ORDER_CANCEL,
};
use shop_testkit::{
    dump, eventually,
    participant::{execute, number},
    service::publish,
};

use crate::world::{
    NO_LOOK, PATIENCE, World, code,
    data::{BALANCE, BALANCE_USED, DISCOUNT, PRICE, answered, line, plain},
    faults::{Calls, Fault, RESERVE},
};

/// On the shelf before anything is ordered.
const SHELF: i64 = 100;
const DESK: i64 = 1;
const SOLD_OUT: i64 = 2;
/// Customers, each with a coupon of the same number and an order of that name.
const PAID: i64 = 11;
const BY_BUYER: i64 = 12;
const REFUSED: i64 = 13;
const DIED: i64 = 14;
const OPEN: i64 = 15;
const ALL: [i64; 5] = [PAID, BY_BUYER, REFUSED, DIED, OPEN];

/// What a customer has in the end: balance, whether the coupon is spent, the state of the order.
type End = (i64, i64, bool, OrderStatus);

const END: [End; 5] = [
    (PAID, BALANCE - BALANCE_USED, true, OrderStatus::Confirmed),
    (BY_BUYER, BALANCE, false, OrderStatus::Cancelled),
    (REFUSED, BALANCE, false, OrderStatus::Cancelled),
    (DIED, BALANCE, false, OrderStatus::Cancelled),
    (OPEN, BALANCE, false, OrderStatus::Cancelled),
];

fn request(user: i64) -> ConfirmOrderRequest {
    let goods = if user == REFUSED { SOLD_OUT } else { DESK };
    ConfirmOrderRequest {
        coupon_id: Some(user),
        balance_used_fen: BALANCE_USED,
        ..plain(&format!("k{user}"), user, vec![line(goods, 2)])
    }
}

/// A shop before the first cancel: the paid order is paid, one saga is dead, two orders wait for their buyers.
async fn stocked(mut world: World) -> World {
    world.add_goods(DESK, SHELF, PRICE).await;
    world.add_goods(SOLD_OUT, 1, PRICE).await;
    world.add_users(&ALL, BALANCE).await;
    for user in ALL {
        world.add_coupon(user, user, DISCOUNT).await;
    }
    let paid = world.confirm(request(PAID)).await.unwrap();
    world.paid(&paid).await;
    world.confirm(request(BY_BUYER)).await.unwrap();
    let open = world.confirm(request(OPEN)).await.unwrap();
    world.pay_for(&open).await.unwrap();
    world.faults.on(RESERVE, Calls::Next, Fault::HangAfter);
    let lost = world.places(request(DIED));
    world.faults.held(RESERVE).await;
    let died = world.order_under("k14").await;
    let taken = async || world.look_at(DESK, DIED, DIED).await;
    let is_taken = async || taken().await.spent_by == Some(died) && taken().await.balance != BALANCE;
    eventually("coupon and balance are taken", PATIENCE, is_taken).await;
    world.restart().await;
    assert_eq!(code(&answered(lost.await)), Some(ShopCode::Unknown));
    world.messages().await;
    world.later(Duration::from_secs(1));
    world.sweep().await;
    assert_eq!(world.stock(DESK).await, SHELF - 8, "four have taken two each");
    world
}

/// All that ends orders; of what it took nothing is asked back yet.
async fn cancels(world: &World) {
    // Past the deadline of the saga that died.
    world.later(Duration::from_secs(31));
    world.sweep().await;
    assert_eq!(world.status(world.order_under("k14").await).await, OrderStatus::Cancelled);
    for user in [BY_BUYER, OPEN] {
        let order_id = world.order_under(&format!("k{user}")).await;
        let cancelled = world.cancel(order_id, user).await.unwrap();
        assert_eq!(cancelled.status(), OrderStatus::Cancelled);
    }
    assert_eq!(code(&world.confirm(request(REFUSED)).await), Some(ShopCode::GoodsNotEnough));
}

async fn ends(world: &World) -> Vec<End> {
    let mut ends = Vec::new();
    for user in ALL {
        let look = world.look_at(DESK, user, user).await;
        let status = world.status(world.order_under(&format!("k{user}")).await).await;
        ends.push((user, look.balance, look.spent_by.is_some(), status));
    }
    ends
}

/// What follows is the same whatever the messages did.
async fn check(world: &World, mood: &str) {
    assert_eq!(ends(world).await, END, "{mood}");
    assert_eq!((world.stock(DESK).await, world.stock(SOLD_OUT).await), (SHELF - 2, 1), "{mood}");
    let open = number(&world.schemas.pay, "SELECT COUNT(*) AS n FROM trade_pay WHERE open_key IS NOT NULL").await;
    let closed = number(&world.schemas.pay, "SELECT COUNT(*) AS n FROM trade_pay WHERE closed_ms IS NOT NULL").await;
    assert_eq!((open, closed), (0, 1), "{mood}: payments");
}

/// All five as they were before the messages came.
async fn nothing_is_given_back(world: &World, mood: &str) {
    assert_eq!(world.stock(DESK).await, SHELF - 8, "{mood}");
    for user in ALL {
        let look = world.look_at(DESK, user, user).await;
        assert_eq!((look.balance, look.spent_by.is_some()), (BALANCE - BALANCE_USED, true), "{mood}: {user}");
    }
}

#[tokio::test]
async fn delivered() {
    let world = stocked(World::new(&[NO_LOOK]).await).await;
    cancels(&world).await;
    nothing_is_given_back(&world, "before the messages").await;
    assert!(world.messages().await >= 16, "four orders, four services");
    check(&world, "by messages alone, no sweeper has asked for it").await;
    world.settle_everything().await;
    world.assert_clean("delivered").await;
    check(&world, "delivered").await;
}

#[tokio::test]
async fn dropped() {
    let world = stocked(World::new(&[NO_LOOK]).await).await;
    world.broker.set_faults(BusFaults { drop: 100, ..BusFaults::default() });
    cancels(&world).await;
    assert_eq!(world.messages().await, 0);
    nothing_is_given_back(&world, "dropped").await;
    world.settle_everything().await;
    world.assert_clean("dropped").await;
    check(&world, "dropped").await;
}

#[tokio::test]
async fn doubled() {
    let world = stocked(World::new(&[NO_LOOK]).await).await;
    world.broker.set_faults(BusFaults { duplicate: 100, reorder: 100, ..BusFaults::default() });
    cancels(&world).await;
    assert!(world.messages().await >= 32, "four orders, four services, twice");
    check(&world, "doubled").await;
    world.settle_everything().await;
    world.assert_clean("doubled").await;
    check(&world, "doubled").await;
}

#[tokio::test]
async fn forged() {
    let world = stocked(World::new(&[NO_LOOK]).await).await;
    let before = rows(&world).await;
    let paid = world.order_under("k11").await;
    let forged = |order_id, version| (order_id, OrderCancelled { version, order_id, user_id: PAID });
    let waiting = world.order_under("k12").await;
    let messages = [forged(paid, VERSION), forged(waiting, VERSION), forged(999, VERSION), forged(-1, VERSION)];
    publish(&world.broker, ORDER_CANCEL, &messages).await;
    publish(&world.broker, ORDER_CANCEL, &[forged(paid, VERSION + 1)]).await;
    for garbage in [&b"\xff\x00"[..], b"", b"{}", br#"{"version":1,"orderId":1,"userId":"1"}"#] {
        world.broker.publish_bytes(ORDER_CANCEL.topic, ORDER_CANCEL.tag, garbage);
    }
    assert!(world.messages().await >= 36, "nine messages, four services");
    assert_eq!(discard_parked(&world).await, 20, "five that cannot be read, in each of four services");
    assert_eq!(rows(&world).await, before, "nobody believed a word");

    cancels(&world).await;
    publish(&world.broker, ORDER_CANCEL, &messages).await;
    world.settle_everything().await;
    world.assert_clean("forged").await;
    check(&world, "forged").await;
}

#[tokio::test]
async fn arriving_after_a_restart_only() {
    let mut world = stocked(World::new(&[NO_LOOK]).await).await;
    cancels(&world).await;
    assert_ne!(world.relay().await, 0, "the broker has them");
    world.restart().await;
    nothing_is_given_back(&world, "nobody was there to hear").await;
    assert!(world.messages().await >= 16);
    check(&world, "after a restart").await;
    world.settle_everything().await;
    world.assert_clean("after a restart").await;
    check(&world, "after a restart").await;
}

#[tokio::test]
async fn without_a_broker() {
    let world = stocked(World::without_broker(&[NO_LOOK]).await).await;
    cancels(&world).await;
    nothing_is_given_back(&world, "without a broker").await;
    world.settle_without_broker().await;
    world.assert_clean_without_broker("without a broker").await;
    check(&world, "without a broker").await;
    assert_ne!(world.outbox_rows().await, 0, "what was to be said is kept");

    world.broker.set_faults(BusFaults::default());
    world.settle_everything().await;
    world.assert_clean("the broker came at last").await;
    check(&world, "the broker came at last").await;
}

/// All rows of those who listen.
async fn rows(world: &World) -> [String; 4] {
    let schemas = &world.schemas;
    [dump(&schemas.goods).await, dump(&schemas.coupon).await, dump(&schemas.user).await, dump(&schemas.pay).await]
}

/// What an operator does with messages that cannot be read; how many there were.
async fn discard_parked(world: &World) -> i64 {
    let mut parked = 0;
    let schemas = &world.schemas;
    for db in [&schemas.goods, &schemas.coupon, &schemas.user, &schemas.order, &schemas.pay] {
        parked += number(db, "SELECT COUNT(*) AS n FROM trade_mq_consumer_log").await;
        execute(db, "DELETE FROM trade_mq_consumer_log").await;
    }
    parked
}
