//! The one way money arrives: by notification, by asking the channel, or found when closing.

use std::sync::Arc;

use shop_common::{batch::Batcher, error::Result, id::PayId, outbox::Relay, trace::TraceParent};

use crate::{
    channel::{Found, PaymentChannel, notice_of},
    payment::{
        Payment,
        settle::{Notice, Settled, Verdict},
    },
    tx::SettlePayment,
};

/// Settles, then tells the relay that there is a message.
#[derive(Clone)]
pub(crate) struct Settling {
    pub(crate) batcher: Batcher<SettlePayment, Settled>,
    pub(crate) relay: Relay,
}

impl Settling {
    /// Asks `channel` about a payment and settles what it calls paid; none where it does not.
    pub(crate) async fn ask(&self, channel: &dyn PaymentChannel, pay_id: PayId) -> Result<Option<(Verdict, Payment)>> {
        match channel.query(pay_id).await? {
            Found::Paid(paid) => self.settle(notice_of(channel.name(), pay_id, &paid)).await.map(Some),
            Found::NotPaid => Ok(None),
        }
    }

    /// Settles by `notice`; durable when it answers.
    pub(crate) async fn settle(&self, notice: Notice) -> Settled {
        let pay_id = notice.said.pay_id;
        notice
            .said
            .check()
            .inspect_err(|error| tracing::error!(pay.id = %pay_id, %error, "channel numbers refused"))?;
        let command = SettlePayment { notice: Arc::new(notice), trace: TraceParent::current() };
        let settled = self.batcher.run(command, None).await?;
        match &settled {
            Ok((Verdict::Applied, payment)) => {
                self.relay.wake();
                tracing::info!(pay.id = %pay_id, order.id = %payment.order_id, "payment {pay_id} is paid");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(pay.id = %pay_id, %error, "a genuine notification of payment {pay_id} is wrong");
            }
        }
        settled
    }
}
