//! The sweeper: does what paid and closed payments owe, with the broker off too.
//!
//! The order judges first. Only a payment it has bound earns points; only its definite *no* starts a refund; whatever
//! was not answered stays owed and comes up again, later each time.

mod judge;
mod money;
mod silence;

pub(crate) use money::{alarm, ask_again};
pub(crate) use silence::Silence;

use std::sync::Arc;

use async_trait::async_trait;
use shop_common::{
    batch::Batcher,
    db::{Db, Failure},
    due::Sweep,
    id::{Generator, PayId},
    link::Link,
    retry::Retries,
    time::Millis,
    trace::TraceParent,
};

use crate::{
    channel::Channels,
    payment::{Payment, owed::Owed, refund::Started},
    settling::Settling,
    store,
    tx::{AnswerRefund, ClearOwed, StartRefund},
};

/// Most payments of one round.
const LIMIT: u32 = 256;

/// Does what payments owe; by itself for those that no channel is asked about.
pub(crate) struct Sweeper {
    pub(crate) db: Db,
    pub(crate) channels: Channels,
    pub(crate) ids: Arc<Generator>,
    pub(crate) orders: Link,
    pub(crate) points: Link,
    pub(crate) order_retries: Retries,
    pub(crate) user_retries: Retries,
    pub(crate) settling: Settling,
    pub(crate) start_refund: Batcher<StartRefund, Started>,
    pub(crate) answer_refund: Batcher<AnswerRefund, ()>,
    pub(crate) clear: Batcher<ClearOwed, ()>,
}

#[async_trait]
impl Sweep for Sweeper {
    fn name(&self) -> &'static str {
        "payments"
    }

    async fn run_once(&self, now: Millis) -> Result<usize, Failure> {
        Ok(self.swept(store::claim_due(&self.db, LIMIT, now).await?).await)
    }
}

/// The payments that a channel has to be asked about: while one does not answer, the others are judged all the same.
pub(crate) struct AtChannels(pub(crate) Arc<Sweeper>);

#[async_trait]
impl Sweep for AtChannels {
    fn name(&self) -> &'static str {
        "payments at channels"
    }

    async fn run_once(&self, now: Millis) -> Result<usize, Failure> {
        Ok(self.0.swept(store::claim_at_channels(&self.0.db, LIMIT, now).await?).await)
    }
}

impl Sweeper {
    async fn swept(&self, due: Vec<Payment>) -> usize {
        if !due.is_empty() {
            Box::pin(TraceParent::start().scope(self.work(&due))).await;
        }
        due.len()
    }

    async fn work(&self, due: &[Payment]) {
        let owing = |owed| due.iter().filter(|payment| payment.owed.has(owed)).collect::<Vec<&Payment>>();
        let judged = async {
            let bound = self.judge(&owing(Owed::ORDER)).await;
            let earns = |payment: &&Payment| !payment.owed.has(Owed::ORDER) || bound.contains(&payment.pay_id);
            let earning: Vec<&Payment> = owing(Owed::POINTS).into_iter().filter(earns).collect();
            self.award(&earning).await;
        };
        let (close, refund, reverse) = (owing(Owed::CLOSE), owing(Owed::REFUND), owing(Owed::REVERSE_POINTS));
        // An order that has not judged the payment yet cannot know that it goes back.
        let is_judged = |payment: &&Payment| !payment.owed.has(Owed::ORDER);
        let gone: Vec<&Payment> = owing(Owed::TELL_ORDER).into_iter().filter(is_judged).collect();
        let (close, refund) = (self.close(&close), self.refund(&refund));
        futures::join!(judged, close, refund, self.reverse(&reverse), self.tell_orders(&gone));
    }

    /// Notes that these owe this no more; what cannot be noted is asked again.
    async fn cleared(&self, pay_ids: impl IntoIterator<Item = PayId>, answered: Owed) {
        let commands = pay_ids.into_iter().map(|pay_id| (ClearOwed { pay_id, answered }, None));
        for outcome in self.clear.run_all(commands).await {
            if let Err(error) = outcome {
                tracing::warn!(%error, "an answer about a payment was not noted; asking again later");
            }
        }
    }
}
