//! Orders that were not paid in time (seeds 000 to 002, F23, F51): no new payment first, then the channel is asked to close
//! what is open, then the order is cancelled. Nothing here relies on the channel's answer: money that arrives after the
//! cancel goes back by the ordinary path.

use shop_common::{
    id::OrderId,
    link::{BETWEEN_SERVICES, call},
    time::Millis,
};
use shop_proto::pay::v1::{
    CloseAtChannelCommand, CloseAtChannelOutcome, CloseAtChannelRequest, close_at_channel_outcome::Kind as Closed,
};

use super::OrderSweep;
use crate::order::{Cancelled, Cause};

impl OrderSweep {
    /// Closes orders that are overdue, and cancels those that nobody can pay any more or that have waited long enough.
    pub(crate) async fn time_out(&self, unpaid: &[OrderId], now: Millis) {
        let closing = self.begin_closing(unpaid).await;
        if closing.is_empty() {
            return;
        }
        let answers = self.ask_to_close(&closing).await;
        let ripe = closing.iter().zip(answers).filter(|((_, since), answer)| {
            // A buyer who was faster has the order as soon as pay has asked for it: patience, then the money goes back.
            *answer == Closed::Closed || since.after(self.close_patience) <= now
        });
        let cancels = ripe.map(|((order_id, _), _)| async move {
            match self.transitions.cancel(*order_id, Cause::TimeOut).await {
                Ok(Cancelled::Now) => tracing::info!(order.id = %order_id, "order {order_id} was not paid in time"),
                Ok(cancelled) => tracing::info!(order.id = %order_id, ?cancelled, "order {order_id} was not timed out"),
                Err(error) => {
                    tracing::warn!(order.id = %order_id, %error, "time-out not known to be done; trying again");
                }
            }
        });
        futures::future::join_all(cancels).await;
    }

    /// Those that are overdue, and since when they are being closed.
    async fn begin_closing(&self, unpaid: &[OrderId]) -> Vec<(OrderId, Millis)> {
        let begins = unpaid.iter().map(|order_id| async move {
            match self.transitions.begin_closing(*order_id).await {
                Ok(since) => since.map(|since| (*order_id, since)),
                Err(error) => {
                    tracing::warn!(order.id = %order_id, %error, "closing not known to be begun; trying again");
                    None
                }
            }
        });
        futures::future::join_all(begins).await.into_iter().flatten().collect()
    }

    /// What pay answers for each; *not yet* where it does not.
    async fn ask_to_close(&self, closing: &[(OrderId, Millis)]) -> Vec<Closed> {
        let command =
            |(order_id, _): &(OrderId, Millis)| CloseAtChannelCommand { context: None, order_id: order_id.get() };
        let request = CloseAtChannelRequest { commands: closing.iter().map(command).collect() };
        let mut client = self.payments.clone();
        match self.pay_retries.ask(client.close_at_channel(call(request, BETWEEN_SERVICES))).await {
            Ok(answer) => answer.into_inner().outcomes.iter().map(CloseAtChannelOutcome::kind).collect(),
            Err(status) => {
                tracing::warn!(%status, orders = closing.len(), "payments cannot be closed yet; asking again later");
                vec![Closed::NotYet; closing.len()]
            }
        }
    }
}
