//! State of orders, for other services only.

use shop_common::{
    batch::NotDone,
    code::ShopCode,
    db::Db,
    error::ShopError,
    hold::Done,
    id::{OrderId, PayId, UserId},
    money::Fen,
    service::{COMMANDS_PER_CALL, answer_do, deadline_of},
};
use shop_proto::{
    common::v1::{DoOutcome, do_outcome},
    order::v1::{
        BeginPaymentCommand, BeginPaymentRequest, BeginPaymentResponse, GetStatesRequest, GetStatesResponse,
        MarkPaidCommand, MarkPaidOutcome, MarkPaidRequest, MarkPaidResponse, MarkRefundedCommand, MarkRefundedRequest,
        MarkRefundedResponse, OrderState, mark_paid_outcome::Kind, order_state_service_server::OrderStateService,
    },
};
use tonic::{Request, Response, Status};

use crate::{
    order::{Begun, Cancelled, Cause, Marked, Order},
    store,
    transitions::Transitions,
    view::{pay_status_number, status_number},
};

/// State of orders.
#[derive(Clone)]
pub(crate) struct States {
    pub(crate) db: Db,
    pub(crate) transitions: Transitions,
}

#[tonic::async_trait]
impl OrderStateService for States {
    async fn get_states(&self, request: Request<GetStatesRequest>) -> Result<Response<GetStatesResponse>, Status> {
        let order_ids = request.into_inner().order_ids;
        COMMANDS_PER_CALL.check(order_ids.len())?;
        let orders = store::orders(self.db.read(), order_ids.clone()).await.map_err(ShopError::from)?;
        let state = |order_id: i64| state(order_id, orders.get(&OrderId::new(order_id)));
        Ok(Response::new(GetStatesResponse { states: order_ids.into_iter().map(state).collect() }))
    }

    async fn begin_payment(
        &self,
        request: Request<BeginPaymentRequest>,
    ) -> Result<Response<BeginPaymentResponse>, Status> {
        let commands = request.into_inner().commands;
        COMMANDS_PER_CALL.check(commands.len())?;
        let begin = |command: BeginPaymentCommand| async move {
            let (order_id, user_id) = (OrderId::new(command.order_id), UserId::new(command.user_id));
            let deadline = deadline_of(command.context.as_ref());
            begun(self.transitions.begin(order_id, user_id, Fen::new(command.amount_fen), deadline).await)
        };
        let outcomes = futures::future::join_all(commands.into_iter().map(begin)).await;
        Ok(Response::new(BeginPaymentResponse { outcomes }))
    }

    async fn mark_paid(&self, request: Request<MarkPaidRequest>) -> Result<Response<MarkPaidResponse>, Status> {
        let commands = request.into_inner().commands;
        COMMANDS_PER_CALL.check(commands.len())?;
        let mark = |command: MarkPaidCommand| async move {
            let (order_id, pay_id) = (OrderId::new(command.order_id), PayId::new(command.pay_id));
            marked(self.transitions.mark(order_id, pay_id, Fen::new(command.amount_fen)).await)
        };
        let outcomes = futures::future::join_all(commands.into_iter().map(mark)).await;
        Ok(Response::new(MarkPaidResponse { outcomes }))
    }

    async fn mark_refunded(
        &self,
        request: Request<MarkRefundedRequest>,
    ) -> Result<Response<MarkRefundedResponse>, Status> {
        let commands = request.into_inner().commands;
        COMMANDS_PER_CALL.check(commands.len())?;
        let outcomes = futures::future::join_all(commands.into_iter().map(|command| self.refund(command))).await;
        Ok(Response::new(MarkRefundedResponse { outcomes }))
    }
}

impl States {
    /// Refunds the order, if this payment has paid it. A payment that is bound once is bound for good, so looking first
    /// is as good as looking under the lock.
    async fn refund(&self, command: MarkRefundedCommand) -> DoOutcome {
        let found = store::orders(self.db.read(), vec![command.order_id]).await;
        let outcome = match found.map(|orders| orders.into_values().next()) {
            Err(failure) => return unknown(failure.to_string()),
            Ok(None) => Done::Refused(ShopError::at(ShopCode::OrderNotFound, "order_id")),
            Ok(Some(order)) if order.pay_id != Some(PayId::new(command.pay_id)) => Done::Already,
            Ok(Some(_)) => {
                let cancel = self.transitions.cancel(OrderId::new(command.order_id), Cause::Refund(command.reason));
                return answer_do(cancel.await.map(|cancelled| match cancelled {
                    Cancelled::Now => Done::Done,
                    Cancelled::Already | Cancelled::NotCancellable(_) => Done::Already,
                }));
            }
        };
        outcome.into()
    }
}

fn unknown(detail: String) -> DoOutcome {
    DoOutcome { kind: do_outcome::Kind::Unknown.into(), refusal: None, detail }
}

fn begun(outcome: Result<Begun, NotDone>) -> DoOutcome {
    let (kind, detail) = match outcome {
        Ok(Begun::Now) => (do_outcome::Kind::Done, String::new()),
        Ok(Begun::Already) => (do_outcome::Kind::Already, String::new()),
        Ok(Begun::Refused(refusal)) => return refusal.into(),
        Err(not_done) if not_done.is_not_run() => (do_outcome::Kind::NotRun, not_done.to_string()),
        Err(not_done) => (do_outcome::Kind::Unknown, not_done.to_string()),
    };
    DoOutcome { kind: kind.into(), refusal: None, detail }
}

fn marked(outcome: Result<Marked, NotDone>) -> MarkPaidOutcome {
    let (kind, detail) = match outcome {
        Ok(Marked::Bound) => (Kind::Bound, String::new()),
        Ok(Marked::AlreadyBound) => (Kind::AlreadyBound, String::new()),
        Ok(Marked::Cancelled) => (Kind::NotBoundCancelled, String::new()),
        Ok(Marked::PaidByOther) => (Kind::NotBoundPaidByOther, String::new()),
        Ok(Marked::Amount) => (Kind::NotBoundAmount, String::new()),
        Ok(Marked::NotYet) => (Kind::NotYet, String::new()),
        Ok(Marked::NotFound) => (Kind::NotFound, String::new()),
        Err(not_done) if not_done.is_not_run() => (Kind::NotRun, not_done.to_string()),
        Err(not_done) => (Kind::Unknown, not_done.to_string()),
    };
    MarkPaidOutcome { kind: kind.into(), detail }
}

fn state(order_id: i64, order: Option<&Order>) -> OrderState {
    let Some(order) = order else { return OrderState { order_id, ..OrderState::default() } };
    OrderState {
        order_id,
        found: true,
        user_id: order.user_id.get(),
        status: i32::from(status_number(order.status)),
        pay_status: i32::from(pay_status_number(order.pay_status)),
        amount_due_fen: order.amount_due.get(),
        pay_id: order.pay_id.map_or(0, PayId::get),
    }
}
