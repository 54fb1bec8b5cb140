//! The answer to a COMMIT that is lost or late (F71), on MariaDB: between the order service and its database stands a
//! proxy that knows a COMMIT when it sees one. The first of a saga writes the order, the second confirms it.

use futures::future::join_all;
use shop_common::{
    code::{ShopCode, Verdict},
    config::Secret,
    db::DatabaseConfig,
};
use shop_proto::order::v1::OrderStatus;
use shop_testkit::{
    eventually,
    proxy::{Commit, Proxy},
};

use crate::world::{
    NO_LOOK, PATIENCE, World, code,
    data::{UNTOUCHED, order, taken_by},
    on_mariadb,
};

const CREATE: usize = 1;
const CONFIRM: usize = 2;

/// What the client is told at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Ok,
    Unknown,
}

/// Which COMMIT, what becomes of it, what the client is told, and what the order is in the end.
const CELLS: [(usize, Commit, Told, OrderStatus); 8] = [
    (CREATE, Commit::Before, Told::Unknown, OrderStatus::Confirmed),
    (CREATE, Commit::After, Told::Unknown, OrderStatus::Cancelled),
    (CREATE, Commit::HoldBefore, Told::Unknown, OrderStatus::Cancelled),
    (CREATE, Commit::HoldAfter, Told::Unknown, OrderStatus::Cancelled),
    (CONFIRM, Commit::Before, Told::Ok, OrderStatus::Confirmed),
    (CONFIRM, Commit::After, Told::Ok, OrderStatus::Confirmed),
    (CONFIRM, Commit::HoldBefore, Told::Unknown, OrderStatus::Confirmed),
    // The saga reads the row before it answers.
    (CONFIRM, Commit::HoldAfter, Told::Ok, OrderStatus::Confirmed),
];

#[tokio::test]
async fn a_lost_answer_to_a_commit_is_never_taken_for_a_no() {
    join_all(CELLS.map(play)).await;
}

async fn play((nth, cut, told, end): (usize, Commit, Told, OrderStatus)) {
    let what = format!("commit {nth}, {cut:?}");
    let Some(databases) = on_mariadb().await else { return };
    let (proxy, url) = Proxy::before_mysql(databases[3].config.url.reveal()).await;
    let config = DatabaseConfig { url: Secret::new(url), max_connections: 8 };
    let keys = [NO_LOOK, ("order.saga_deadline_s", "2"), ("order.step_timeout_ms", "1000")];
    let world = World::with_orders_reached_by(databases, &keys, config).await.stocked().await;

    proxy.spoil_commit(nth, cut);
    let answer = world.confirm(order("k")).await;
    proxy.heal();
    match told {
        Told::Ok => assert!(answer.is_ok(), "{what}: {answer:?}"),
        Told::Unknown => assert_eq!(answer.clone().unwrap_err().verdict(), Verdict::Unknown, "{what}: {answer:?}"),
    }
    assert!(proxy.commits() >= nth, "{what}: it was there to be cut");
    let is_stored = (nth, cut) != (CREATE, Commit::Before);
    if is_stored {
        let order_id = world.order_under("k").await;
        let is_confirmed = async || end != OrderStatus::Confirmed || world.status(order_id).await == end;
        eventually("what was held is done", PATIENCE, is_confirmed).await;
        world.settle_everything().await;
        world.assert_clean(&what).await;
        assert_eq!(world.status(order_id).await, end, "{what}");
    } else {
        assert_eq!(world.orders().await, 0, "{what}");
    }

    let repeated = world.confirm(order("k")).await;
    if end == OrderStatus::Confirmed {
        assert_eq!(world.look().await, taken_by(repeated.unwrap().order_id), "{what}");
    } else {
        assert_eq!(code(&repeated), Some(ShopCode::OrderCancelled), "{what}");
        assert_eq!(world.look().await, UNTOUCHED, "{what}");
    }
    world.settle_everything().await;
    world.assert_clean(&format!("{what}, repeated")).await;
    assert_eq!(world.orders().await, 1, "{what}");
}
