//! The broadcast cancel topic, the fast path of closing payments. The message is a hint: the order service is asked,
//! and only what it calls cancelled is closed. A message that is lost costs a sweep of the order service.

use shop_common::{batch::Batcher, cancelled, due::Wake, error::ShopError, hold::Done, link::Link};
use shop_proto::event::OrderCancelled;

use crate::tx::ClosePayments;

pub(crate) async fn on_order_cancelled(
    events: Vec<OrderCancelled>,
    orders: Link,
    close: Batcher<ClosePayments, Done>,
    wake: Wake,
) -> Result<(), ShopError> {
    let closed = cancelled::undo(events, orders, &close, |order_id| ClosePayments { order_id }).await;
    wake.now();
    closed
}
