//! Orders may not have been paid in time. The message is a hint: the rows decide (F23, F24). Whatever comes too early is
//! armed again for the rest of the time, as far as one delay of the broker goes; whatever does not come costs a round of
//! the sweeper, which finds the same orders by their `due_ms`.

use std::{collections::BTreeSet, sync::Arc};

use shop_common::{
    code::ShopCode,
    error::{Result, ShopError},
    mq::SharedBus,
    time::{Clock, Millis},
    trace::TraceParent,
};
use shop_proto::event::{OrderTimeout, TIMEOUT_ORDERS_MAX};

use crate::{store, sweep::OrderSweep, timeout_hint::timeout_hint};

/// What hears that orders may not have been paid in time.
pub(crate) struct Timeouts {
    pub(crate) sweep: OrderSweep,
    pub(crate) bus: SharedBus,
    pub(crate) clock: Clock,
}

pub(crate) async fn on_order_timeout(events: Vec<OrderTimeout>, timeouts: Arc<Timeouts>) -> Result<()> {
    let order_ids: BTreeSet<i64> = events.iter().flat_map(|event| &event.order_ids).copied().collect();
    let order_ids: Vec<i64> = order_ids.into_iter().collect();
    for order_ids in order_ids.chunks(TIMEOUT_ORDERS_MAX) {
        timeouts.look_after(order_ids.to_vec()).await?;
    }
    Ok(())
}

impl Timeouts {
    async fn look_after(&self, order_ids: Vec<i64>) -> Result<()> {
        let now = self.clock.now();
        let (mut overdue, mut early) = (Vec::new(), Vec::new());
        for (order_id, order) in store::orders(self.sweep.db.read(), order_ids).await? {
            match order.awaited_until() {
                Some(deadline) if deadline <= now => overdue.push(order_id),
                Some(deadline) => early.push((deadline, order_id.get())),
                None => {}
            }
        }
        if !overdue.is_empty() {
            self.sweep.time_out(&overdue, now).await;
        }
        self.arm_again(early, now).await
    }

    /// Past the outbox: nobody owes it.
    async fn arm_again(&self, mut early: Vec<(Millis, i64)>, now: Millis) -> Result<()> {
        early.sort_unstable();
        let Some((deadline, _)) = early.first().copied() else { return Ok(()) };
        let order_ids = early.into_iter().map(|(_, order_id)| order_id).collect();
        let hint = timeout_hint(order_ids, deadline, TraceParent::current(), now)?;
        let armed = self.bus.publish(hint.into_iter().map(|hint| hint.outgoing(now)).collect()).await;
        match armed.into_iter().find_map(std::result::Result::err) {
            None => Ok(()),
            Some(error) => Err(ShopError::from(ShopCode::Unavailable).because(error.to_string())),
        }
    }
}
