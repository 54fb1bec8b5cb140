//! Recovery fails, or dies, at the same point again and again (F14): it comes back later and later, keeps up nobody, and
//! an operator is told of the order it is about.

use std::{ops::RangeInclusive, time::Duration};

use shop_common::{due::ALARM_FROM, mq::memory::Faults as BusFaults};
use shop_proto::order::v1::OrderStatus;
use shop_testkit::{eventually, participant::number};

use crate::world::{
    PATIENCE, World,
    data::{GOODS, STOCK, UNTOUCHED, USER, allow, forbid, line, plain},
    faults::{Calls, Fault, RELEASE, RESERVE},
};

/// Longer than a saga may last.
const OVERDUE: Duration = Duration::from_secs(61);
/// Rounds: the pause has reached its most, and the last of them is an alarm.
const ROUNDS: i64 = ALARM_FROM + 1;

/// Doubled from 2 s up to 60 s, a quarter less at most.
fn pause(attempts: i64) -> RangeInclusive<i64> {
    let most = (2_000 << attempts).min(60_000);
    most * 3 / 4..=most
}

/// How often the order was swept, and how long it stays away now.
async fn swept(world: &World, order_id: i64) -> (i64, i64) {
    let column = async |name: &str| {
        number(&world.schemas.order, &format!("SELECT {name} AS n FROM trade_order WHERE order_id = {order_id}")).await
    };
    (column("attempts").await, column("due_ms").await - world.clock.now().get())
}

/// What was told of rows that are owed something for long.
fn told(world: &World) -> Vec<String> {
    let mut said = world.alarms.take();
    said.retain(|said| said.contains("is owed by"));
    said
}

fn pass(world: &World, ms: i64) {
    world.later(Duration::from_millis(ms.try_into().unwrap()));
}

#[tokio::test]
async fn an_order_whose_recovery_always_fails_keeps_up_nobody() {
    let mut world = World::new(&[]).await.stocked().await;
    world.faults.on(RESERVE, Calls::All, Fault::HangAfter);
    let keys = ["one", "two", "three"];
    let mut orders = Vec::new();
    for key in keys {
        world.places(plain(key, USER, vec![line(GOODS, 1)]));
        orders.push(world.order_under(key).await);
    }
    let taken = async || world.stock(GOODS).await == STOCK - 3;
    eventually("all three have stock", PATIENCE, taken).await;
    world.restart().await;
    let [first, stuck, third] = orders[..] else { panic!("three orders") };
    forbid(&world.schemas.order, "UPDATE", &format!("OLD.order_id = {stuck} AND NEW.order_status = 2")).await;

    world.later(OVERDUE);
    let (before, _) = swept(&world, stuck).await;
    for attempts in 0..ROUNDS {
        world.sweep_orders().await;
        let (after, away) = swept(&world, stuck).await;
        assert_eq!(after, before + attempts + 1);
        assert!(pause(attempts).contains(&away), "after {after}: {away}");
        assert_eq!([world.status(first).await, world.status(third).await], [OrderStatus::Cancelled; 2]);
        assert_eq!(world.status(stuck).await, OrderStatus::Unconfirmed);
        pass(&world, away - 1);
        world.sweep_orders().await;
        assert_eq!(swept(&world, stuck).await, (after, 1), "not before it is due");
        pass(&world, 1);
    }
    assert_eq!(told(&world), [format!("recovery is owed by order since 2023-11-14T22:13:20Z: order {stuck}")]);
    while world.messages().await + world.sweep().await > 0 {}
    assert_eq!(world.stock(GOODS).await, STOCK - 1, "the others are whole again");

    allow(&world.schemas.order).await;
    world.settle_everything().await;
    world.assert_clean("it can be recovered at last").await;
    assert_eq!((world.status(stuck).await, world.look().await), (OrderStatus::Cancelled, UNTOUCHED));
}

#[tokio::test]
async fn a_process_that_dies_of_the_same_order_finds_it_later_and_later() {
    let mut world = World::new(&[]).await.stocked().await;
    world.broker.set_faults(BusFaults { drop: 100, ..BusFaults::default() });
    let order_id = world.confirm(plain("k", USER, vec![line(GOODS, 1)])).await.unwrap().order_id;
    world.cancel(order_id, USER).await.unwrap();
    world.later(OVERDUE);
    let (before, _) = swept(&world, order_id).await;
    for attempts in 0..ROUNDS {
        world.faults.on(RELEASE, Calls::All, Fault::HangBefore);
        let (sweeps, now) = (world.process().services.sweeps(), world.clock.now());
        let orders = sweeps.into_iter().find(|sweep| sweep.name() == "order").unwrap();
        let sweeping = world.process().run(async move { orders.run_once(now).await });
        world.faults.held(RELEASE).await;
        world.kill().await;
        // A task that dies with the others may first be told that its call did.
        drop(sweeping.await);
        assert_eq!(world.stock(GOODS).await, STOCK - 1, "it died before it gave anything back");
        let (after, away) = swept(&world, order_id).await;
        assert_eq!(after, before + attempts + 1);
        assert!(pause(attempts).contains(&away), "after {after}: {away}");

        world.restart().await;
        world.sweep().await;
        assert_eq!(swept(&world, order_id).await, (after, away), "a new process does not begin anew");
        pass(&world, away);
    }
    let told_of = ["close is owed by pay", "stock is owed by goods"];
    let told_of = told_of.map(|owed| format!("{owed} since 2023-11-14T22:13:20Z: order {order_id}"));
    assert_eq!(told(&world), told_of, "before it died of it");
    world.settle_everything().await;
    world.assert_clean("it lives at last").await;
    assert_eq!(world.look().await, UNTOUCHED);
}
