//! `BeginPayment`: the order's last word before a payment is made. Calls of concurrent requests travel together.

use std::{sync::Arc, time::Duration};

use shop_common::{
    batch::{Batcher, Command, Limits},
    db::Failure,
    id::{OrderId, UserId},
    link::{Link, call},
    money::Fen,
    trace::TraceParent,
};
use shop_proto::{
    common::v1::{CommandContext, DoOutcome},
    order::v1::{BeginPaymentCommand, BeginPaymentRequest, order_state_service_client::OrderStateServiceClient},
};
use tokio::time::Instant;

/// Calls that may be under way at once.
const IN_FLIGHT: usize = 4;

/// Let this order be paid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BeginPayment {
    pub(crate) order_id: OrderId,
    pub(crate) user_id: UserId,
    pub(crate) amount: Fen,
    pub(crate) deadline: Instant,
    pub(crate) trace: TraceParent,
}

impl Command for BeginPayment {}

/// Asks `orders`.
pub(crate) fn begin_payments(orders: Link, limits: Limits) -> Batcher<BeginPayment, DoOutcome> {
    Batcher::new(Limits { in_flight: IN_FLIGHT, ..limits }, move |commands: Arc<[BeginPayment]>| {
        let mut client = OrderStateServiceClient::new(orders.clone());
        async move {
            let now = Instant::now();
            // The longest of their deadlines: each waiter leaves at its own.
            let longest = commands.iter().map(|command| command.deadline).max().unwrap_or(now);
            let request = BeginPaymentRequest { commands: commands.iter().map(|command| command.wire(now)).collect() };
            let answer = client.begin_payment(call(request, longest.saturating_duration_since(now))).await;
            answer.map(|answer| answer.into_inner().outcomes).map_err(Failure::from)
        }
    })
}

impl BeginPayment {
    fn wire(&self, now: Instant) -> BeginPaymentCommand {
        let remaining = self.deadline.saturating_duration_since(now).max(Duration::from_millis(1));
        BeginPaymentCommand {
            context: Some(CommandContext {
                remaining_ms: i64::try_from(remaining.as_millis()).unwrap_or(i64::MAX),
                traceparent: self.trace.to_string(),
            }),
            order_id: self.order_id.get(),
            user_id: self.user_id.get(),
            amount_fen: self.amount.get(),
        }
    }
}
