//! What the channels are asked: to close trades and to pay back.

use futures::future::join_all;
use shop_common::id::PayId;

use super::Sweeper;
use crate::{
    channel::{Closing, Return, Trade, notice_of},
    payment::{
        Payment,
        owed::Owed,
        refund::{Answer, Refund},
    },
    store,
    tx::AnswerRefund,
};

impl Sweeper {
    /// Closes at the channels; where the buyer was faster, the money is settled.
    pub(super) async fn close(&self, payments: &[&Payment]) {
        let closed = join_all(payments.iter().map(|payment| self.close_one(payment))).await;
        self.cleared(closed.into_iter().flatten(), Owed::CLOSE).await;
    }

    /// The payment, once nobody can pay it any more.
    async fn close_one(&self, payment: &Payment) -> Option<PayId> {
        let Payment { pay_id, amount, .. } = *payment;
        let closing = match self.channels.get(&payment.channel) {
            Ok(channel) => channel.close(Trade { pay_id, amount }).await,
            Err(error) => Err(error),
        };
        match closing {
            Ok(Closing::Closed) => Some(pay_id),
            Ok(Closing::Paid(paid)) => {
                // Settling clears the bit: a paid trade has nothing to close. What fails there is logged there.
                let settled = self.settling.settle(notice_of(&payment.channel, pay_id, &paid)).await;
                tracing::info!(pay.id = %pay_id, settled = settled.is_ok(), "the buyer of payment {pay_id} was faster");
                None
            }
            Err(error) => {
                tracing::warn!(pay.id = %pay_id, %error, "not closed at the channel; asking again later");
                None
            }
        }
    }

    /// Pays back, each refund under its own number however often it is asked for.
    pub(super) async fn refund(&self, payments: &[&Payment]) {
        if payments.is_empty() {
            return;
        }
        let pay_ids = payments.iter().map(|payment| payment.pay_id.get()).collect();
        let open = match store::open_refunds(self.db.read(), pay_ids).await {
            Ok(open) => open,
            Err(error) => return tracing::warn!(%error, "refunds cannot be read; trying again later"),
        };
        let channel_of = |refund: &Refund| payments.iter().find(|payment| payment.pay_id == refund.pay_id);
        let asked = open.iter().filter_map(|refund| Some(self.refund_one(refund, &channel_of(refund)?.channel)));
        let answered: Vec<AnswerRefund> = join_all(asked).await.into_iter().flatten().collect();
        for outcome in self.answer_refund.run_all(answered.into_iter().map(|command| (command, None))).await {
            if let Err(error) = outcome {
                tracing::warn!(%error, "an answer about a refund was not noted; asking again later");
            }
        }
    }

    async fn refund_one(&self, refund: &Refund, channel: &str) -> Option<AnswerRefund> {
        let Refund { refund_id, pay_id, amount, .. } = *refund;
        let answer = match self.channels.get(channel) {
            Ok(channel) => channel.refund(Return { refund_id, pay_id, amount }).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                if let Answer::Refused(why) = &answer {
                    tracing::error!(refund.id = %refund_id, pay.id = %pay_id, why, "refund {refund_id} of payment {pay_id} refused");
                }
                Some(AnswerRefund { refund_id, pay_id, answer })
            }
            Err(error) => {
                tracing::warn!(refund.id = %refund_id, pay.id = %pay_id, %error, "refund not answered; asking again later");
                None
            }
        }
    }
}
