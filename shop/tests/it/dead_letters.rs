//! Messages that cannot be handled, in the whole shop: kept while the broker tries, settled by a later delivery or by an
//! operator, and told by the audit until then (F29, B86).

use std::time::Duration;

use shop_common::{
    dead::{self, Dealt, Deed, Letter, State},
    time::Millis,
};
use shop_proto::{order::v1::PayStatus, topic::PAY_SUCCESS};

use crate::world::{
    World,
    data::{DUE, SCORE, USER, order},
    faults::PAY_STATES,
};

/// One point for each yuan.
const POINTS: i64 = DUE / 100;
const DEED: Deed<'_> = Deed { who: "mary", now: Millis::new(1_700_000_000_000) };

/// A shop with a paid order, in which nobody could ask the pay service when its message came; and the order.
async fn with_failed_messages() -> (World, i64) {
    let world = World::new(&[]).await.stocked().await;
    let order = world.confirm(order("k")).await.unwrap();
    world.messages().await;
    world.faults.away(PAY_STATES);
    world.paid(&order).await;
    assert_eq!(world.messages().await, 2, "to the order and the user service");
    (world, order.order_id)
}

/// What the order and the user service have kept.
async fn kept(world: &World) -> [Letter; 2] {
    let mut both = Vec::new();
    for db in [&world.schemas.order, &world.schemas.user] {
        let mut letters = dead::letters(db, true).await.unwrap();
        assert_eq!(letters.len(), 1, "{letters:?}");
        both.push(letters.remove(0));
    }
    both.try_into().unwrap()
}

#[tokio::test]
async fn what_fails_is_kept_until_the_broker_comes_again() {
    let (world, order_id) = with_failed_messages().await;
    for letter in kept(&world).await {
        let first_retry = world.clock.now().after(Duration::from_secs(10));
        assert_eq!((letter.state, letter.times, letter.retry), (State::Open, 1, Some(first_retry)));
    }
    assert_eq!(world.violated().await, [""; 0], "it is in flight");
    world.faults.heal();
    world.later(Duration::from_secs(10));
    assert_eq!(world.messages().await, 2);
    assert_eq!(kept(&world).await.map(|letter| letter.state), [State::Handled; 2]);
    assert_eq!(world.look().await.score, SCORE + POINTS);
    assert_eq!(world.order(order_id, USER).await.unwrap().pay_status(), PayStatus::Paid);
    world.settle_everything().await;
    world.assert_clean("handled after all").await;
}

/// Delivered by the broker once more, and twice because of an operator: one effect.
#[tokio::test]
async fn resending_twice_credits_once() {
    let (world, order_id) = with_failed_messages().await;
    let [_, letter] = kept(&world).await;
    assert_eq!(dead::resend(&world.schemas.user, &letter, &DEED).await.unwrap(), Dealt::Done);
    world.faults.heal();
    assert_eq!(world.relay().await, 1, "by the relay of the user service");
    assert_eq!(dead::resend(&world.schemas.user, &letter, &DEED).await.unwrap(), Dealt::Done);
    assert_eq!(world.messages().await, 4, "two messages, to the order and the user service");
    world.later(Duration::from_secs(10));
    assert_eq!(world.messages().await, 2, "what the broker still had");
    assert_eq!(world.look().await.score, SCORE + POINTS);
    assert_eq!(world.order(order_id, USER).await.unwrap().pay_status(), PayStatus::Paid);
    assert_eq!(kept(&world).await.map(|letter| letter.state), [State::Handled; 2]);
    world.settle_everything().await;
    world.assert_clean("resent twice").await;
}

#[tokio::test]
async fn what_nobody_can_read_is_a_violation_until_an_operator_discards_it() {
    let world = World::new(&[]).await.stocked().await;
    world.broker.publish_bytes(PAY_SUCCESS.topic, PAY_SUCCESS.tag, b"\xff\x00");
    world.messages().await;
    assert_eq!(world.violated().await, ["I17"]);
    for db in [&world.schemas.order, &world.schemas.user] {
        let letter = dead::letters(db, false).await.unwrap().remove(0);
        assert_eq!(dead::discard(db, &letter, "not ours", &DEED).await.unwrap(), Dealt::Done);
    }
    world.settle_everything().await;
    world.assert_clean("discarded").await;
}
