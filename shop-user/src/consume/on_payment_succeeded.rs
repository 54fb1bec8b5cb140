//! The paid topic, the fast path of crediting points. The message is a hint: the pay service is asked, and only what
//! it calls paid and not given back whole earns (traps 42, 49). A message that is lost costs a sweep of the pay service.

use shop_common::{
    batch::Batcher,
    error::{Result, ShopError},
    hold::Done,
    id::{PayId, UserId},
    link::{BETWEEN_SERVICES, Link, call},
    money::Fen,
};
use shop_proto::{
    event::PaymentSucceeded,
    pay::v1::{GetStatesRequest, PaymentState, PaymentStatus, payment_state_service_client::PaymentStateServiceClient},
};

use crate::tx::AwardPoints;

pub(crate) async fn on_payment_succeeded(
    events: Vec<PaymentSucceeded>,
    payments: Link,
    award: Batcher<AwardPoints, Done>,
) -> Result<()> {
    let commands = paid(payments, &events).await?;
    let outcomes = award.run_all(commands.iter().map(|command| (*command, None))).await;
    for (command, outcome) in commands.iter().zip(outcomes) {
        // Asking again would not change a refusal; the pay service still owes the points and gets the same answer.
        if let Done::Refused(refusal) = outcome? {
            tracing::error!(pay.id = %command.pay_id, %refusal, "points of a payment refused");
        }
    }
    Ok(())
}

/// The credits of those among `events` that the pay service calls paid and has not given back whole.
async fn paid(payments: Link, events: &[PaymentSucceeded]) -> Result<Vec<AwardPoints>> {
    let pay_ids = events.iter().map(|event| event.pay_id).collect();
    let mut client = PaymentStateServiceClient::new(payments);
    let answer = client.get_states(call(GetStatesRequest { pay_ids }, BETWEEN_SERVICES)).await;
    let states = answer.map_err(|status| ShopError::from_status(&status))?.into_inner().states;
    Ok(states.iter().filter(|state| earns(state)).map(AwardPoints::from).collect())
}

/// Part of a payment that went back leaves its points alone.
fn earns(state: &PaymentState) -> bool {
    state.found && state.status() == PaymentStatus::Paid && state.refund_fen < state.amount_fen
}

impl From<&PaymentState> for AwardPoints {
    fn from(state: &PaymentState) -> Self {
        Self { pay_id: PayId::new(state.pay_id), user_id: UserId::new(state.user_id), paid: Fen::new(state.amount_fen) }
    }
}
