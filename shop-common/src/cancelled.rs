//! What a receiver of `order_cancel` does first: it asks the owner (traps 20, 31; a forged message changes nothing).

use shop_proto::{
    event::OrderCancelled,
    order::v1::{GetStatesRequest, OrderStatus, order_state_service_client::OrderStateServiceClient},
};

use crate::{
    batch::{Batcher, Command},
    error::{Result, ShopError},
    id::OrderId,
    link::{BETWEEN_SERVICES, Link, call},
};

/// Undoes, by the command that `undo` makes of an order, what the orders among `events` hold that their owner calls
/// cancelled. Repeats change nothing.
///
/// # Errors
/// The order service cannot be asked, or an undo is not known to be done.
pub async fn undo<C: Command, O: Send + 'static>(
    events: Vec<OrderCancelled>,
    orders: Link,
    batcher: &Batcher<C, O>,
    undo: impl Fn(OrderId) -> C,
) -> Result<()> {
    let cancelled = confirmed_by_owner(orders, &events).await?;
    let commands = cancelled.into_iter().map(|order_id| (undo(order_id), None));
    batcher.run_all(commands).await.into_iter().try_for_each(|outcome| outcome.map(drop).map_err(ShopError::from))
}

/// The orders among `events` that the order service calls cancelled, invalid or refunded.
///
/// # Errors
/// The order service cannot be asked: nothing may be undone.
async fn confirmed_by_owner(orders: Link, events: &[OrderCancelled]) -> Result<Vec<OrderId>> {
    let order_ids = events.iter().map(|event| event.order_id).collect();
    let mut client = OrderStateServiceClient::new(orders);
    let answer = client.get_states(call(GetStatesRequest { order_ids }, BETWEEN_SERVICES)).await;
    let states = answer.map_err(|status| ShopError::from_status(&status))?.into_inner().states;
    let over = |status| matches!(status, OrderStatus::Cancelled | OrderStatus::Invalid | OrderStatus::Refunded);
    Ok(states.iter().filter(|s| s.found && over(s.status())).map(|s| OrderId::new(s.order_id)).collect())
}
