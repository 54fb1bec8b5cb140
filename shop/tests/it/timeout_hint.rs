//! The delayed message that hints at orders not paid in time (F23, F24): lost, doubled, early or forged it changes nothing
//! but how soon the end comes. The deadline of the row decides, and the sweeper needs no message.

use std::time::Duration;

use shop_common::mq::memory::Faults as BusFaults;
use shop_proto::{
    event::{OrderTimeout, VERSION},
    order::v1::{Order, OrderStatus},
    topic::ORDER_TIMEOUT,
};
use shop_testkit::dump;

use crate::world::{
    World,
    data::{UNTOUCHED, order},
};

/// A deadline that is one delay of the broker.
const TIMEOUT: Duration = Duration::from_secs(1800);
/// Deadlines that are none, in seconds, with the delays that lead there; the last is longer than any.
const ODD: [(u64, &[u64]); 3] = [(2, &[1, 1]), (100, &[60, 30, 10]), (10_000, &[7200, 1800, 600, 360, 30, 10])];

/// An order that waits for its payment; its hint is at the broker.
async fn unpaid(world: &World) -> Order {
    let placed = world.confirm(order("k")).await.unwrap();
    world.pay_for(&placed).await.unwrap();
    world.messages().await;
    placed
}

fn hints(world: &World) -> usize {
    world.broker.published().iter().filter(|message| message.tag == ORDER_TIMEOUT.tag).count()
}

/// How long after the last step the next hint comes.
fn next_hint(world: &World) -> Duration {
    let published = world.broker.published();
    let hint = published.iter().rfind(|message| message.tag == ORDER_TIMEOUT.tag).unwrap();
    hint.delay.unwrap()
}

fn forge(world: &World, order_ids: &[i64]) {
    let body = serde_json::to_vec(&OrderTimeout { version: VERSION, order_ids: order_ids.to_vec() }).unwrap();
    world.broker.publish_bytes(ORDER_TIMEOUT.topic, ORDER_TIMEOUT.tag, &body);
}

async fn ends_cancelled(world: &World, placed: &Order) {
    assert_eq!(world.status(placed.order_id).await, OrderStatus::Cancelled, "{}", world.name);
    world.settle_everything().await;
    world.assert_clean("timed out").await;
    assert_eq!(world.look().await, UNTOUCHED, "{}", world.name);
}

#[tokio::test]
async fn the_hint_alone_ends_an_order_at_its_deadline_and_not_before() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let placed = unpaid(&world).await;
        world.later(TIMEOUT.checked_sub(Duration::from_millis(1)).unwrap());
        world.messages().await;
        assert_eq!(world.status(placed.order_id).await, OrderStatus::Confirmed, "{}", world.name);
        world.later(Duration::from_millis(1));
        world.messages().await;
        ends_cancelled(&world, &placed).await;
    }
}

#[tokio::test]
async fn it_is_armed_again_until_any_deadline() {
    for (timeout, hints) in ODD {
        let world = World::new(&[("order.pay_timeout_s", &timeout.to_string())]).await.stocked().await;
        let placed = unpaid(&world).await;
        let mut passed = Duration::ZERO;
        for delay in hints {
            assert_eq!(world.status(placed.order_id).await, OrderStatus::Confirmed, "after {passed:?} of {timeout} s");
            assert_eq!(next_hint(&world), Duration::from_secs(*delay), "after {passed:?} of {timeout} s");
            passed += next_hint(&world);
            world.later(next_hint(&world));
            world.messages().await;
        }
        assert_eq!(passed, Duration::from_secs(timeout));
        ends_cancelled(&world, &placed).await;
    }
}

#[tokio::test]
async fn lost_it_is_not_missed() {
    let world = World::new(&[]).await.stocked().await;
    let placed = world.confirm(order("k")).await.unwrap();
    world.broker.set_faults(BusFaults { drop: 100, ..BusFaults::default() });
    world.messages().await;
    world.later(TIMEOUT);
    world.messages().await;
    assert_eq!(world.status(placed.order_id).await, OrderStatus::Confirmed, "nobody heard it");
    world.sweep().await;
    world.broker.set_faults(BusFaults::default());
    ends_cancelled(&world, &placed).await;
}

#[tokio::test]
async fn doubled_and_out_of_order_it_ends_an_order_once() {
    for world in World::on_all_engines(&[("order.pay_timeout_s", "100")]).await {
        let world = world.stocked().await;
        world.broker.set_faults(BusFaults { duplicate: 100, reorder: 100, ..BusFaults::default() });
        let placed = unpaid(&world).await;
        world.later(Duration::from_secs(60));
        world.messages().await;
        assert_eq!(world.status(placed.order_id).await, OrderStatus::Confirmed, "{}", world.name);
        world.later(Duration::from_secs(40));
        world.messages().await;
        world.sweep().await;
        world.broker.set_faults(BusFaults::default());
        ends_cancelled(&world, &placed).await;
    }
}

/// Early, of orders that are none, are over, or are somebody's: not a row changes, and an order that is still awaited is
/// looked after until its deadline.
#[tokio::test]
async fn early_or_forged_it_changes_nothing() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let placed = unpaid(&world).await;
        world.broker.set_faults(BusFaults { drop: 100, ..BusFaults::default() });
        world.later(TIMEOUT / 2);
        let (before, hinted) = (dump(&world.schemas.order).await, hints(&world));
        world.broker.set_faults(BusFaults::default());
        forge(&world, &[placed.order_id, placed.order_id, 0, -1, i64::MAX, i64::MIN]);
        forge(&world, &[]);
        world.messages().await;
        assert_eq!(dump(&world.schemas.order).await, before, "{}", world.name);
        assert_eq!(hints(&world), hinted + 1, "{}: armed again, once", world.name);

        world.later(TIMEOUT / 2);
        world.messages().await;
        ends_cancelled(&world, &placed).await;
        let over = dump(&world.schemas.order).await;
        forge(&world, &[placed.order_id]);
        world.messages().await;
        assert_eq!((dump(&world.schemas.order).await, hints(&world)), (over, hinted + 1), "{}: it is over", world.name);
    }
}

/// A paid order is nobody's to end, whatever hints at it.
#[tokio::test]
async fn a_paid_order_is_left_alone() {
    for world in World::on_all_engines(&[]).await {
        let world = world.stocked().await;
        let placed = world.confirm(order("k")).await.unwrap();
        world.paid(&placed).await;
        world.messages().await;
        world.sweep().await;
        let before = dump(&world.schemas.order).await;
        world.later(TIMEOUT);
        forge(&world, &[placed.order_id]);
        world.messages().await;
        assert_eq!(dump(&world.schemas.order).await, before, "{}", world.name);
        world.settle_everything().await;
        world.assert_clean("paid").await;
    }
}
