//! What a receiver of `order_cancel` does first: it asks the owner (traps 20, 31; a forged message changes nothing).

use std::time::Duration;

use shop_proto::{
    event::OrderCancelled,
    order::v1::{GetStatesRequest, OrderStatus, order_state_service_client::OrderStateServiceClient},
};

use crate::{
    error::{Result, ShopError},
    id::OrderId,
    link::{Link, call},
};

const TIMEOUT: Duration = Duration::from_secs(5);

/// The orders among `events` that the order service calls cancelled, invalid or refunded.
///
/// # Errors
/// The order service cannot be asked: nothing may be undone.
pub async fn confirmed_by_owner(orders: Link, events: &[OrderCancelled]) -> Result<Vec<OrderId>> {
    let order_ids = events.iter().map(|event| event.order_id).collect();
    let mut client = OrderStateServiceClient::new(orders);
    let answer = client.get_states(call(GetStatesRequest { order_ids }, TIMEOUT)).await;
    let states = answer.map_err(|status| ShopError::from_status(&status))?.into_inner().states;
    let over = |status| matches!(status, OrderStatus::Cancelled | OrderStatus::Invalid | OrderStatus::Refunded);
    Ok(states.iter().filter(|s| s.found && over(s.status())).map(|s| OrderId::new(s.order_id)).collect())
}
