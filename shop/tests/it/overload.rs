//! More than the shop can take: it says so, nothing is half done, and it recovers by itself.

use std::time::Duration;

use shop_common::{
    code::{ShopCode, Verdict},
    config::Secret,
    db::DatabaseConfig,
    error::ShopError,
};
use shop_testkit::{
    eventually,
    proxy::{Fault, Proxy, Way},
};

use crate::world::{
    PATIENCE, World, code,
    data::{GOODS, USER, line, order, plain},
    on_mariadb,
};

/// Orders that are certain to fill what is left of the file.
const ORDERS: usize = 500;
const PLENTY: i64 = 77;

#[tokio::test]
async fn a_full_queue_is_busy_and_whoever_got_in_is_served() {
    let world = World::new(&[("order.batch.queue", "1")]).await.stocked().await;
    let locked = world.lock_orders().await;
    let mut placed = Vec::new();
    for key in 0..6 {
        placed.push(world.places(plain(&format!("k{key}"), USER, vec![line(GOODS, 1)])));
    }
    eventually("one is turned away", PATIENCE, async || placed.iter().any(tokio::task::JoinHandle::is_finished)).await;
    locked.unlock().await;
    let (mut busy, mut confirmed) = (0, 0);
    for answer in placed {
        match answer.await.unwrap() {
            Ok(_) => confirmed += 1,
            Err(status) => {
                assert_eq!(ShopError::from_status(&status).code, ShopCode::Busy);
                assert_eq!(status.code(), tonic::Code::ResourceExhausted);
                busy += 1;
            }
        }
    }
    assert!(busy > 0 && confirmed > 0, "{busy} busy, {confirmed} confirmed");
    world.settle_everything().await;
    world.assert_clean("a full queue").await;
}

/// The database of the orders answers late: nobody waits for it longer than his caller, and what nobody waits for is not begun.
#[tokio::test]
async fn nothing_is_stored_for_a_caller_whose_time_is_up() {
    let Some(databases) = on_mariadb().await else { return };
    let (proxy, url) = Proxy::before_mysql(databases[3].config.url.reveal()).await;
    let slow = DatabaseConfig { url: Secret::new(url), max_connections: 8 };
    let world = World::with_orders_reached_by(databases, &[], slow).await.stocked().await;
    proxy.spoil(Fault::BlackHole(Way::Answers));
    let late = world.confirm_within(order("late"), Duration::from_millis(500)).await;
    assert_eq!(late.unwrap_err().verdict(), Verdict::Retry, "while there is time to say so");
    proxy.heal();
    world.confirm(plain("next", USER, vec![line(GOODS, 1)])).await.unwrap();
    assert_eq!(world.orders().await, 1, "the one somebody waited for");
    world.settle_everything().await;
    world.assert_clean("somebody has gone").await;
    assert!(world.confirm(order("late")).await.is_ok(), "its key is free");
}

/// F90: the file of the orders can grow no more.
#[tokio::test]
async fn a_full_disk_refuses_and_leaves_nothing_half_written() {
    let world = World::new(&[("order.saga_deadline_s", "2")]).await.stocked().await;
    world.add_goods(PLENTY, 100_000, 100).await;
    let orders = world.process().services.schemas.order.clone();
    let pages = async |count: u32| {
        let db = orders.clone();
        shop_testkit::participant::execute(&db, &format!("PRAGMA max_page_count = {count}")).await;
    };
    pages(1).await;
    let mut refused = None;
    for key in 0..ORDERS {
        let order = plain(&format!("k{key}"), USER, vec![line(PLENTY, 1)]);
        if let Some(code) = code(&world.confirm(order.clone()).await) {
            refused = Some((order, code));
            break;
        }
    }
    let (order, refusal) = refused.expect("the disk is full");
    assert!(matches!(refusal, ShopCode::Unavailable | ShopCode::Unknown), "{refusal:?}");
    pages(1 << 30).await;
    world.settle_everything().await;
    world.assert_clean("a full disk").await;
    let again = world.confirm(order).await;
    assert!(matches!(code(&again), None | Some(ShopCode::OrderCancelled)), "{again:?}");
    world.settle_everything().await;
    world.assert_clean("and there is room again").await;
}
