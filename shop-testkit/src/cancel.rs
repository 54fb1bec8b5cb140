//! What every listener of the cancel topic owes: it believes the owner of the orders and never the message.

use std::{fmt::Debug, time::Duration};

use shop_common::{batch::Command, hold::Done, link::Link, service::Deps};
use shop_proto::{
    event::{OrderCancelled, VERSION},
    order::v1::OrderStatus,
    topic::ORDER_CANCEL,
};

use crate::{
    TestDb, bus, dump, eventually,
    fakes::FakeOrders,
    participant::Participant,
    service::{deps, publish},
};

/// Orders that took something, but for the last two.
const CONFIRMED: i64 = 10;
const CANCELLED: i64 = 20;
const UNKNOWN: i64 = 30;
const UNCONFIRMED: i64 = 40;
const REFUNDED: i64 = 50;
const INVALID: i64 = 60;
const CANCELLED_EARLY: i64 = 70;
const FORGED: i64 = 80;

/// Longest wait for a service to subscribe.
const PATIENCE: Duration = Duration::from_secs(10);

impl<D: Command + Debug, U: Command + Debug> Participant<D, U> {
    /// Sends cancel messages, forged and genuine, to the service that `listen` starts.
    pub async fn cancels_what_the_owner_cancelled(&self, listen: fn(&TestDb, Deps, Link)) {
        let taken = [CONFIRMED, CANCELLED, UNKNOWN, UNCONFIRMED, REFUNDED, INVALID];
        for (test, twin) in self.fresh(100).await.into_iter().zip(self.fresh(100).await) {
            let (orders, bus) = (owner(), bus());
            let (deps, _running) = deps(&test, bus.clone());
            listen(&test, deps, orders.link());
            assert_eq!(self.takes_of(&test.db, &taken).await, vec![Done::Done; taken.len()], "{}", test.name);
            let before = dump(&test.db).await;

            publish(&bus, ORDER_CANCEL, &messages(&[CONFIRMED, UNKNOWN, UNCONFIRMED, FORGED])).await;
            eventually("it listens", PATIENCE, async || bus.deliver_all().await > 0).await;
            assert_eq!(dump(&test.db).await, before, "{}: forged", test.name);

            orders.set_away(true);
            publish(&bus, ORDER_CANCEL, &messages(&[CANCELLED])).await;
            assert!(bus.deliver_all().await > 0);
            assert_eq!(dump(&test.db).await, before, "{}: nobody to ask", test.name);

            orders.set_away(false);
            let genuine = [CANCELLED, REFUNDED, INVALID, CANCELLED_EARLY];
            for _ in 0..2 {
                publish(&bus, ORDER_CANCEL, &messages(&[CANCELLED, CONFIRMED, CANCELLED, REFUNDED])).await;
                publish(&bus, ORDER_CANCEL, &messages(&[FORGED, INVALID, CANCELLED_EARLY])).await;
                assert!(bus.deliver_all().await > 0);
            }
            self.takes_of(&twin.db, &taken).await;
            self.gives_back(&twin.db, &genuine).await;
            assert_eq!(dump(&test.db).await, dump(&twin.db).await, "{}: genuine", test.name);
            self.check(&test).await;
        }
    }
}

fn owner() -> FakeOrders {
    let orders = FakeOrders::default();
    orders.set(CONFIRMED, OrderStatus::Confirmed);
    orders.set(CANCELLED, OrderStatus::Cancelled);
    orders.set(UNCONFIRMED, OrderStatus::Unconfirmed);
    orders.set(REFUNDED, OrderStatus::Refunded);
    orders.set(INVALID, OrderStatus::Invalid);
    orders.set(CANCELLED_EARLY, OrderStatus::Cancelled);
    orders
}

fn messages(orders: &[i64]) -> Vec<(i64, OrderCancelled)> {
    let event = |order_id| OrderCancelled { version: VERSION, order_id, user_id: 1 };
    orders.iter().map(|order| (*order, event(*order))).collect()
}
