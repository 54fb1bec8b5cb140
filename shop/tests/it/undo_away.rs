//! Nobody hears the cancel, and those who have to give back are away for long (F36, F37, F38, F41): they are asked without
//! end, and an operator is told who owes what to which order since when.

use std::time::Duration;

use shop_common::mq::memory::Faults as BusFaults;
use shop_proto::order::v1::OrderStatus;
use shop_testkit::participant::number;

use crate::world::{
    NO_LOOK, World,
    data::{UNTOUCHED, USER, order, taken_by},
    faults::{REFUND, REINSTATE, RELEASE},
};

/// Rounds of a minute.
const LONG: usize = 30;

#[tokio::test]
async fn what_is_owed_is_asked_for_until_it_is_given() {
    let world = World::new(&[NO_LOOK]).await.stocked().await;
    world.broker.set_faults(BusFaults { drop: 100, ..BusFaults::default() });
    let order_id = world.confirm(order("k")).await.unwrap().order_id;
    for path in [RELEASE, REINSTATE, REFUND] {
        world.faults.away(path);
    }
    world.cancel(order_id, USER).await.unwrap();
    let owed = format!("SELECT owed AS n FROM trade_order WHERE order_id = {order_id}");
    for _ in 0..LONG {
        world.later(Duration::from_secs(61));
        world.messages().await;
        world.sweep().await;
    }
    assert_eq!(world.status(order_id).await, OrderStatus::Cancelled);
    assert_eq!(number(&world.schemas.order, &owed).await, 7, "stock, coupon and balance; the payments are closed");
    assert_eq!(world.look().await, taken_by(order_id));
    assert!(world.faults.arrived(RELEASE) >= LONG, "asked in every round");
    let told = ["balance is owed by user", "coupon is owed by coupon", "stock is owed by goods"];
    let told = told.map(|owed| format!("{owed} since 2023-11-14T22:13:20Z: order {order_id}"));
    assert_eq!(world.alarms.take(), [told.clone(), told].concat(), "after four minutes, and when they have doubled");

    world.faults.heal();
    world.settle_everything().await;
    world.assert_clean("they came back").await;
    assert_eq!(world.look().await, UNTOUCHED);
}
