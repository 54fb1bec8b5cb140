//! A payment was paid, the fast path of binding it. The message is a hint: the pay service is asked, and what it calls
//! paid is judged. What cannot be bound is left to the pay service, the only writer of refunds. A message that is lost
//! costs a sweep of the pay service.

use shop_common::{
    error::{Result, ShopError},
    id::{OrderId, PayId},
    link::{BETWEEN_SERVICES, Link, call},
    money::Fen,
};
use shop_proto::{
    event::PaymentSucceeded,
    pay::v1::{GetStatesRequest, PaymentStatus, payment_state_service_client::PaymentStateServiceClient},
};

use crate::transitions::Transitions;

pub(crate) async fn on_payment_succeeded(
    events: Vec<PaymentSucceeded>,
    payments: Link,
    transitions: Transitions,
) -> Result<()> {
    let pay_ids = events.iter().map(|event| event.pay_id).collect();
    let answer =
        PaymentStateServiceClient::new(payments).get_states(call(GetStatesRequest { pay_ids }, BETWEEN_SERVICES)).await;
    let states = answer.map_err(|status| ShopError::from_status(&status))?.into_inner().states;
    let marks = states.iter().filter(|state| state.found && state.status() == PaymentStatus::Paid).map(|state| {
        transitions.mark(OrderId::new(state.order_id), PayId::new(state.pay_id), Fen::new(state.amount_fen))
    });
    futures::future::join_all(marks)
        .await
        .into_iter()
        .try_for_each(|marked| marked.map(|_| ()).map_err(ShopError::from))
}
