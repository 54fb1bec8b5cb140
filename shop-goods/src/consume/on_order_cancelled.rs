//! The broadcast cancel topic, the fast path of giving stock back. The message is a hint: the order service is asked,
//! and only what it calls cancelled is released. A message that is lost costs a sweep of the order service.

use shop_common::{batch::Batcher, cancelled, error::ShopError, hold::Undone, link::Link};
use shop_proto::event::OrderCancelled;

use crate::tx::ReleaseStock;

pub(crate) async fn on_order_cancelled(
    events: Vec<OrderCancelled>,
    orders: Link,
    release: Batcher<ReleaseStock, Undone>,
) -> Result<(), ShopError> {
    cancelled::undo(events, orders, &release, |order_id| ReleaseStock { order_id }).await
}
