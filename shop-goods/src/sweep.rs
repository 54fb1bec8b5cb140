//! Stock auto-unlock by work order (the course, text 001): a hold past its time asks the order service what became of its
//! order. It needs no message and no sweeper of anybody else; that the order is closed elsewhere too changes nothing, since all
//! meet on the hold.

use std::fmt::Debug;

use async_trait::async_trait;
use shop_common::{
    batch::{Batcher, Command},
    db::{Db, Failure},
    due::{Backoff, Sweep},
    error::ShopError,
    hold::{Finished, Undone},
    id::OrderId,
    link::{BETWEEN_SERVICES, Link, call},
    time::Millis,
    trace::TraceParent,
};
use shop_proto::order::v1::{GetStatesRequest, OrderState, order_state_service_client::OrderStateServiceClient};

use crate::{
    store,
    tx::{KeepStock, ReleaseStock},
    work_order::Fate,
};

/// Most holds of one round, asked for in one call.
const BATCH: u32 = 256;

/// The sweeper of holds.
pub(crate) struct HoldSweep {
    pub(crate) db: Db,
    pub(crate) orders: OrderStateServiceClient<Link>,
    pub(crate) keep: Batcher<KeepStock, Finished>,
    pub(crate) release: Batcher<ReleaseStock, Undone>,
}

#[async_trait]
impl Sweep for HoldSweep {
    fn name(&self) -> &'static str {
        "stock holds"
    }

    async fn run_once(&self, now: Millis) -> Result<usize, Failure> {
        let claimed = store::DUE.claim::<i64>(&self.db, BATCH, Backoff::default(), now).await?;
        if claimed.is_empty() {
            return Ok(0);
        }
        let order_ids: Vec<i64> = claimed.iter().map(|(order_id, _)| *order_id).collect();
        TraceParent::start().scope(self.ask(order_ids)).await;
        Ok(claimed.len())
    }
}

impl HoldSweep {
    /// Asks for these orders and does what their states say; whatever is left comes up again, later each time.
    async fn ask(&self, order_ids: Vec<i64>) {
        let holds = order_ids.len();
        match self.orders.clone().get_states(call(GetStatesRequest { order_ids }, BETWEEN_SERVICES)).await {
            Ok(answer) => self.settle(&answer.into_inner().states).await,
            Err(status) => {
                let error = ShopError::from_status(&status);
                tracing::warn!(holds, %error, "cannot ask what became of orders; their stock stays held");
            }
        }
    }

    async fn settle(&self, states: &[OrderState]) {
        let of = |fate| states.iter().filter(move |state| Fate::of(state) == fate);
        for OrderState { order_id, .. } in of(Fate::NoOrder) {
            metrics::counter!("shop_holds_without_order_total").increment(1);
            tracing::error!(order.id = order_id, "stock is held for an order that does not exist; nothing is released");
        }
        let keep = of(Fate::Keep).map(|state| KeepStock { order_id: OrderId::new(state.order_id) });
        let release = of(Fate::Release).map(|state| ReleaseStock { order_id: OrderId::new(state.order_id) });
        futures::join!(run(&self.keep, keep), run(&self.release, release));
    }
}

/// Runs these; what is not known to be done is asked for again later.
async fn run<C: Command, O: Debug + Send + 'static>(batcher: &Batcher<C, O>, commands: impl Iterator<Item = C> + Send) {
    for outcome in batcher.run_all(commands.map(|command| (command, None))).await {
        match outcome {
            Ok(outcome) => tracing::debug!(?outcome, "a hold past its time was settled"),
            Err(error) => tracing::warn!(%error, "a hold past its time is not known to be settled; asking again later"),
        }
    }
}
