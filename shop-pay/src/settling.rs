//! The one way money arrives: by notification, by asking the channel, or found when closing. Notifications of refunds
//! come the same way.

use std::sync::Arc;

use shop_common::{batch::Batcher, error::Result, id::PayId, outbox::Relay, trace::TraceParent};

use crate::{
    channel::{Found, PaymentChannel, RefundNotice, Said, notice_of},
    payment::{
        Payment,
        settle::{Notice, Settled, Verdict},
    },
    sweep::alarm,
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
            Found::Paid(paid) => self.settle(notice_of(channel.name(), pay_id, &paid)?).await.map(Some),
            Found::NotPaid => Ok(None),
        }
    }

    /// Settles by `notice`; durable when it answers.
    pub(crate) async fn settle(&self, notice: Notice) -> Settled {
        let pay_id = notice.said.pay_id();
        let notice = Arc::new(notice);
        let command = SettlePayment { notice: Arc::clone(&notice), trace: TraceParent::current() };
        let settled = self.batcher.run(command, None).await?;
        match &settled {
            Ok((Verdict::Applied, payment)) => {
                self.relay.wake();
                tracing::info!(pay.id = %pay_id, order.id = %payment.order_id, "payment {pay_id} is paid");
            }
            Ok((Verdict::RefundAnswered, _)) => {
                if let Said::Refund(RefundNotice { refund_id, answer: Some(answer), .. }) = &notice.said {
                    alarm(*refund_id, pay_id, answer);
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(pay.id = %pay_id, %error, "a genuine notification of payment {pay_id} is wrong");
            }
        }
        settled
    }
}
