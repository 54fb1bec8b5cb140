//! Payments of which nobody says anything (F54): after a time their channels are asked, later each time, until they are
//! paid or closed.
//!
//! What a channel answers is settled like its notification, so no state goes back (F55); an order that is not paid in
//! time closes its payments whatever was asked before.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream::FuturesUnordered};
use shop_common::{
    db::Failure,
    due::{Backoff, Sweep},
    error::Result,
    time::Millis,
    trace::TraceParent,
};

use super::Sweeper;
use crate::{
    payment::{Payment, owed::Owed, settle::Verdict},
    store,
};

/// Most payments of one round.
const LIMIT: u32 = 64;
/// How long the channels have to answer the questions of one round.
const CHANNEL_TIME: Duration = Duration::from_secs(3);
/// Longest pause between two questions about one payment, unless the first comes later still.
const PAUSE: Duration = Duration::from_hours(1);

/// Asks about silent payments.
pub(crate) struct Silence {
    sweeper: Arc<Sweeper>,
    backoff: Backoff,
}

impl Silence {
    /// Asks `after` that time, and then less and less often.
    pub(crate) fn new(sweeper: Arc<Sweeper>, after: Duration) -> Self {
        Self { sweeper, backoff: Backoff { base: after, cap: after.max(PAUSE) } }
    }

    /// Whether all of them were answered.
    async fn ask(&self, silent: &[Payment]) -> bool {
        let asked: FuturesUnordered<_> = silent.iter().map(|payment| self.ask_one(payment)).collect();
        let answers = asked.take_until(tokio::time::sleep(CHANNEL_TIME)).collect::<Vec<Result<()>>>().await;
        answers.len() == silent.len() && answers.iter().all(Result::is_ok)
    }

    async fn ask_one(&self, payment: &Payment) -> Result<()> {
        let Payment { pay_id, channel, .. } = payment;
        let asked = match self.sweeper.channels.get(channel) {
            Ok(channel) => self.sweeper.settling.ask(channel, *pay_id).await,
            Err(error) => Err(error),
        };
        let found = asked.inspect_err(|error| {
            tracing::warn!(pay.id = %pay_id, %error, "a silent payment was not answered; asking again later");
        })?;
        match found {
            Some((Verdict::Applied, _)) => {
                metrics::counter!("shop_pay_silent_payments_found_total").increment(1);
                tracing::warn!(pay.id = %pay_id, channel, "payment {pay_id} was paid, and nobody had said so");
            }
            // Closed by an instance that did not know the question yet.
            None if !payment.is_open() => self.sweeper.cleared([*pay_id], Owed::ASK).await,
            _ => {}
        }
        Ok(())
    }
}

#[async_trait]
impl Sweep for Silence {
    fn name(&self) -> &'static str {
        "silent payments"
    }

    /// A channel that does not answer ends the round, so that it keeps nobody else waiting.
    async fn run_once(&self, now: Millis) -> Result<usize, Failure> {
        let silent = store::claim_silent(&self.sweeper.db, LIMIT, self.backoff, now).await?;
        if silent.is_empty() {
            return Ok(0);
        }
        let is_answered = Box::pin(TraceParent::start().scope(self.ask(&silent))).await;
        Ok(if is_answered { silent.len() } else { 0 })
    }
}
