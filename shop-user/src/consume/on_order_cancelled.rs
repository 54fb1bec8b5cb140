//! The broadcast cancel topic, the fast path of giving balance back. The message is a hint: the order service is
//! asked, and only what it calls cancelled is refunded. A message that is lost costs a sweep of the order service.

use shop_common::{batch::Batcher, cancelled, error::ShopError, hold::Undone, link::Link};
use shop_proto::event::OrderCancelled;

use crate::tx::RefundBalance;

pub(crate) async fn on_order_cancelled(
    events: Vec<OrderCancelled>,
    orders: Link,
    refund: Batcher<RefundBalance, Undone>,
) -> Result<(), ShopError> {
    cancelled::undo(events, orders, &refund, |order_id| RefundBalance { order_id }).await
}
