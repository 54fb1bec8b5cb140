//! The transaction bodies behind their batchers, with what follows a commit: poke the relay, hint to who waits.

use shop_common::{
    batch::{Batcher, Limits, NotDone},
    id::{OrderId, PayId, UserId},
    money::Fen,
    outbox::Relay,
    service::Deps,
    time::Millis,
    trace::TraceParent,
    transactions,
};
use tokio::time::Instant;

use crate::{
    order::{Begun, Cancelled, Cause, Confirmed, Marked, Order, Owed, Status},
    tx::{
        BeginClosing, BeginPayment, CancelOrder, ConfirmOrder, CreateOrder, Created, MarkPaid, SettleOwed,
        begin_closing, begin_payment, cancel_order, confirm_order, create_order, mark_paid, settle_owed,
    },
    watch::Changes,
};

/// Everything that changes an order.
#[derive(Clone)]
pub(crate) struct Transitions {
    create: Batcher<CreateOrder, Created>,
    confirm: Batcher<ConfirmOrder, (Confirmed, Option<Order>)>,
    cancel: Batcher<CancelOrder, Cancelled>,
    begin: Batcher<BeginPayment, Begun>,
    closing: Batcher<BeginClosing, Option<Millis>>,
    mark: Batcher<MarkPaid, Marked>,
    settle: Batcher<SettleOwed, ()>,
    relay: Relay,
    pub(crate) changes: Changes,
}

impl Transitions {
    pub(crate) fn new(deps: &Deps, limits: Limits, relay: Relay) -> Self {
        Self {
            create: transactions!(deps, limits, create_order),
            confirm: transactions!(deps, limits, confirm_order),
            cancel: transactions!(deps, limits, cancel_order),
            begin: transactions!(deps, limits, begin_payment),
            closing: transactions!(deps, limits, begin_closing),
            mark: transactions!(deps, limits, mark_paid),
            settle: transactions!(deps, limits, settle_owed),
            relay,
            changes: Changes::default(),
        }
    }

    pub(crate) async fn create(&self, command: CreateOrder, deadline: Instant) -> Result<Created, NotDone> {
        self.create.run(command, Some(deadline)).await
    }

    pub(crate) async fn confirm(
        &self,
        command: ConfirmOrder,
        deadline: Instant,
    ) -> Result<(Confirmed, Option<Order>), NotDone> {
        let confirmed = self.confirm.run(command, Some(deadline)).await?;
        self.changed(command.order_id);
        Ok(confirmed)
    }

    /// Never expires in the queue: what is to be given back is given back.
    pub(crate) async fn cancel(&self, order_id: OrderId, cause: Cause) -> Result<Cancelled, NotDone> {
        let trace = TraceParent::current();
        let cancelled = self.cancel.run(CancelOrder { order_id, cause, trace }, None).await?;
        self.changed(order_id);
        Ok(cancelled)
    }

    pub(crate) async fn begin(
        &self,
        order_id: OrderId,
        user_id: UserId,
        amount: Fen,
        deadline: Option<Instant>,
    ) -> Result<Begun, NotDone> {
        let begun = self.begin.run(BeginPayment { order_id, user_id, amount }, deadline).await?;
        self.changed(order_id);
        Ok(begun)
    }

    /// Since when the order is being closed; none where it is not overdue.
    pub(crate) async fn begin_closing(&self, order_id: OrderId) -> Result<Option<Millis>, NotDone> {
        self.closing.run(BeginClosing { order_id }, None).await
    }

    /// Never expires in the queue: money that has arrived is judged.
    pub(crate) async fn mark(&self, order_id: OrderId, pay_id: PayId, amount: Fen) -> Result<Marked, NotDone> {
        let marked = self.mark.run(MarkPaid { order_id, pay_id, amount }, None).await?;
        self.changed(order_id);
        Ok(marked)
    }

    pub(crate) async fn settle(&self, order_id: OrderId, settled: Owed, asked_in: Status) -> Result<(), NotDone> {
        self.settle.run(SettleOwed { order_id, settled, asked_in }, None).await
    }

    fn changed(&self, order_id: OrderId) {
        self.relay.wake();
        self.changes.announce(order_id);
    }
}
