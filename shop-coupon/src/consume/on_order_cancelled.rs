//! The broadcast cancel topic, the fast path of giving a coupon back. The message is a hint: the order service is
//! asked, and only the coupon of what it calls cancelled is reinstated. A message that is lost costs a sweep of the
//! order service.

use shop_common::{batch::Batcher, cancelled, error::ShopError, hold::Undone, link::Link};
use shop_proto::event::OrderCancelled;

use crate::tx::ReinstateCoupon;

pub(crate) async fn on_order_cancelled(
    events: Vec<OrderCancelled>,
    orders: Link,
    reinstate: Batcher<ReinstateCoupon, Undone>,
) -> Result<(), ShopError> {
    cancelled::undo(events, orders, &reinstate, |order_id| ReinstateCoupon { order_id }).await
}
