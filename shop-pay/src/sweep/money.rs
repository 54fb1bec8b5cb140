//! What the channels are asked: to close trades and to pay back.

use std::time::Duration;

use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use shop_common::{
    error::Result,
    id::{PayId, RefundId},
};

use super::Sweeper;
use crate::{
    channel::{Closing, FoundRefund, PaymentChannel, Return, Trade, notice_of},
    payment::{
        Payment,
        owed::Owed,
        refund::{Answer, Refund},
    },
    store,
    tx::AnswerRefund,
};

/// The looks of a payment that the sweeper looks at for the first time.
const FIRST: i64 = 1;

impl Sweeper {
    /// Closes at the channels; where the buyer was faster, the money is settled.
    pub(super) async fn close(&self, payments: &[&Payment]) {
        let closed = join_all(payments.iter().map(|payment| self.close_one(payment))).await;
        self.cleared(closed.into_iter().flatten(), Owed::CLOSE).await;
    }

    /// The same for those that owe it, for at most `time`; what was not answered then stays owed.
    pub(crate) async fn close_within(&self, time: Duration, payments: &[Payment]) {
        let owing = payments.iter().filter(|payment| payment.owed.has(Owed::CLOSE));
        let closed: FuturesUnordered<_> = owing.map(|payment| self.close_one(payment)).collect();
        let in_time = closed.take_until(tokio::time::sleep(time)).collect::<Vec<Option<PayId>>>().await;
        self.cleared(in_time.into_iter().flatten(), Owed::CLOSE).await;
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
                let settled = match notice_of(&payment.channel, pay_id, &paid) {
                    Ok(notice) => self.settling.settle(notice).await.is_ok(),
                    Err(_) => false,
                };
                tracing::info!(pay.id = %pay_id, settled, "the buyer of payment {pay_id} was faster");
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
        let payment_of = |refund: &Refund| payments.iter().find(|payment| payment.pay_id == refund.pay_id);
        let asked = open.iter().filter_map(|refund| Some(self.refund_one(refund, payment_of(refund)?)));
        let answered: Vec<AnswerRefund> = join_all(asked).await.into_iter().flatten().collect();
        for outcome in self.answer_refund.run_all(answered.into_iter().map(|command| (command, None))).await {
            if let Err(error) = outcome {
                tracing::warn!(%error, "an answer about a refund was not noted; asking again later");
            }
        }
    }

    async fn refund_one(&self, refund: &Refund, payment: &Payment) -> Option<AnswerRefund> {
        let Refund { refund_id, pay_id, amount, .. } = *refund;
        let wanted = Return { refund_id, pay_id, amount };
        let answer = match self.channels.get(&payment.channel) {
            // It may have been asked for before: its answer may be known there.
            Ok(channel) if payment.looks > FIRST => ask_again(channel, wanted).await,
            Ok(channel) => channel.refund(wanted).await.map(Some),
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                let answer = answer.inspect(|answer| alarm(refund_id, pay_id, answer))?;
                Some(AnswerRefund { refund_id, pay_id, answer })
            }
            Err(error) => {
                tracing::warn!(refund.id = %refund_id, pay.id = %pay_id, %error, "refund not answered; asking again later");
                None
            }
        }
    }
}

/// Asks where the refund stands, and for the refund again only if the channel has never heard of it (F56).
pub(crate) async fn ask_again(channel: &dyn PaymentChannel, wanted: Return) -> Result<Option<Answer>> {
    match channel.query_refund(wanted).await? {
        FoundRefund::Answered(answer) => Ok(Some(answer)),
        FoundRefund::Working => Ok(None),
        FoundRefund::Unheard => channel.refund(wanted).await.map(Some),
    }
}

/// A refund that the channel will not make is for an operator.
pub(crate) fn alarm(refund_id: RefundId, pay_id: PayId, answer: &Answer) {
    if let Answer::Refused(why) = answer {
        tracing::error!(refund.id = %refund_id, pay.id = %pay_id, why, "refund {refund_id} of payment {pay_id} refused");
        metrics::counter!("shop_refunds_refused_total").increment(1);
    }
}
