//! The audit while orders are placed, refused, cancelled and paid beside it: what is in flight is no violation.

use std::{cell::Cell, time::Duration};

use futures::future::{join, join_all};
use shop::audit::{Options, audit};

use crate::world::{
    NO_LOOK, World,
    data::{GOODS, PRICE, line, plain},
};

const ROUNDS: i64 = 6;
const BUYERS: i64 = 12;
/// Every fourth order of a round is refused for its balance, after its stock was taken.
const REFUSED_EVERY: i64 = 4;

/// Places a round of orders; cancels some of what was confirmed, pays the rest.
async fn round(world: &World, number: i64) {
    let placed = join_all((1..=BUYERS).map(|buyer| {
        let order = plain(&format!("k{number}"), buyer, vec![line(GOODS, 1)]);
        let balance_used_fen = if buyer % REFUSED_EVERY == 0 { 500 * PRICE } else { 100 };
        world.confirm(shop_proto::order::v1::ConfirmOrderRequest { balance_used_fen, ..order })
    }));
    let confirmed: Vec<_> = placed.await.into_iter().filter_map(Result::ok).collect();
    assert!(!confirmed.is_empty(), "{}: a round without orders is no load", world.name);
    join_all(confirmed.iter().map(|order| async {
        if order.user_id % 3 == 0 {
            world.cancel(order.order_id, order.user_id).await.unwrap();
        } else {
            let payment = world.pay_for(order).await.unwrap();
            world.buyer_pays(payment.pay_id).await;
        }
    }))
    .await;
    world.sandbox_notifies().await;
    world.messages().await;
    world.later(Duration::from_secs(3));
    world.sweep().await;
}

#[tokio::test]
async fn an_audit_under_load_raises_no_false_alarm() {
    for world in World::on_all_engines(&[NO_LOOK]).await {
        world.add_goods(GOODS, 1_000, PRICE).await;
        world.add_users(&(1..=BUYERS).collect::<Vec<i64>>(), PRICE).await;
        let (is_over, looks) = (Cell::new(false), Cell::new(0));
        let load = async {
            for number in 0..ROUNDS {
                round(&world, number).await;
            }
            is_over.set(true);
        };
        let options = Options { confirm: Duration::from_millis(300), ..Options::default() };
        let look = async {
            while !is_over.get() {
                let report = audit(&world.schemas, &options, &world.clock).await.unwrap();
                assert!(report.is_clean(), "{}: {report}", world.name);
                looks.set(looks.get() + 1);
            }
        };
        join(load, look).await;
        assert!(looks.get() > 1, "{}: the audit looked while there was load", world.name);
        world.settle_everything().await;
        world.assert_clean("after the load").await;
    }
}
