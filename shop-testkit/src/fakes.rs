//! Services that others ask, as the tests want them to answer: the owners of orders and of payments.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use shop_common::link::Link;
use shop_proto::{
    order::v1::{self as order, order_state_service_server as order_server},
    pay::v1::{self as pay, payment_state_service_server as pay_server},
};
use tonic::{Request, Response, Status, service::Routes};

/// What a fake knows, by id, and whether it can be reached; clones are one.
#[derive(Debug)]
struct Known<S> {
    states: Mutex<BTreeMap<i64, S>>,
    away: AtomicBool,
}

impl<S> Default for Known<S> {
    fn default() -> Self {
        Self { states: Mutex::default(), away: AtomicBool::new(false) }
    }
}

impl<S: Clone> Known<S> {
    fn set(&self, id: i64, state: S) {
        self.states.lock().expect("no test panics here").insert(id, state);
    }

    /// One state for each of `ids`, those of unknown ids made by `unknown`.
    fn answer(&self, ids: Vec<i64>, unknown: impl Fn(i64) -> S) -> Result<Vec<S>, Status> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Status::unavailable("away"));
        }
        let states = self.states.lock().expect("no test panics here");
        Ok(ids.into_iter().map(|id| states.get(&id).cloned().unwrap_or_else(|| unknown(id))).collect())
    }
}

/// The owner of orders.
#[derive(Clone, Debug, Default)]
pub struct FakeOrders(Arc<Known<order::OrderState>>);

impl FakeOrders {
    /// Lets `order_id` be there, in `status`.
    pub fn set(&self, order_id: i64, status: order::OrderStatus) {
        let state = order::OrderState { order_id, found: true, status: status.into(), ..Default::default() };
        self.0.set(order_id, state);
    }

    /// Lets `order_id` be there, confirmed and paid.
    pub fn set_paid(&self, order_id: i64) {
        let (status, pay_status) = (order::OrderStatus::Confirmed.into(), order::PayStatus::Paid.into());
        self.0.set(order_id, order::OrderState { order_id, found: true, status, pay_status, ..Default::default() });
    }

    /// Whether nobody can reach it.
    pub fn set_away(&self, away: bool) {
        self.0.away.store(away, Ordering::SeqCst);
    }

    /// A link to it.
    pub fn link(&self) -> Link {
        Link::local(Routes::new(order_server::OrderStateServiceServer::new(self.clone())))
    }
}

#[tonic::async_trait]
impl order_server::OrderStateService for FakeOrders {
    async fn get_states(
        &self,
        request: Request<order::GetStatesRequest>,
    ) -> Result<Response<order::GetStatesResponse>, Status> {
        let unknown = |order_id| order::OrderState { order_id, ..Default::default() };
        let states = self.0.answer(request.into_inner().order_ids, unknown)?;
        Ok(Response::new(order::GetStatesResponse { states }))
    }

    async fn begin_payment(
        &self,
        _request: Request<order::BeginPaymentRequest>,
    ) -> Result<Response<order::BeginPaymentResponse>, Status> {
        Err(Status::unimplemented("a fake"))
    }

    async fn mark_paid(
        &self,
        _request: Request<order::MarkPaidRequest>,
    ) -> Result<Response<order::MarkPaidResponse>, Status> {
        Err(Status::unimplemented("a fake"))
    }

    async fn mark_refunded(
        &self,
        _request: Request<order::MarkRefundedRequest>,
    ) -> Result<Response<order::MarkRefundedResponse>, Status> {
        Err(Status::unimplemented("a fake"))
    }
}

/// The owner of payments.
#[derive(Clone, Debug, Default)]
pub struct FakePayments(Arc<Known<pay::PaymentState>>);

impl FakePayments {
    /// Lets a payment be there.
    pub fn set(&self, state: pay::PaymentState) {
        self.0.set(state.pay_id, pay::PaymentState { found: true, ..state });
    }

    /// Whether nobody can reach it.
    pub fn set_away(&self, away: bool) {
        self.0.away.store(away, Ordering::SeqCst);
    }

    /// A link to it.
    pub fn link(&self) -> Link {
        Link::local(Routes::new(pay_server::PaymentStateServiceServer::new(self.clone())))
    }
}

#[tonic::async_trait]
impl pay_server::PaymentStateService for FakePayments {
    async fn get_states(
        &self,
        request: Request<pay::GetStatesRequest>,
    ) -> Result<Response<pay::GetStatesResponse>, Status> {
        let unknown = |pay_id| pay::PaymentState { pay_id, ..Default::default() };
        let states = self.0.answer(request.into_inner().pay_ids, unknown)?;
        Ok(Response::new(pay::GetStatesResponse { states }))
    }

    async fn close_payments(
        &self,
        _request: Request<pay::ClosePaymentsRequest>,
    ) -> Result<Response<pay::ClosePaymentsResponse>, Status> {
        Err(Status::unimplemented("a fake"))
    }

    async fn close_at_channel(
        &self,
        _request: Request<pay::CloseAtChannelRequest>,
    ) -> Result<Response<pay::CloseAtChannelResponse>, Status> {
        Err(Status::unimplemented("a fake"))
    }

    async fn refund_order(
        &self,
        _request: Request<pay::RefundOrderRequest>,
    ) -> Result<Response<pay::RefundOrderResponse>, Status> {
        Err(Status::unimplemented("a fake"))
    }

    async fn hint_paid(
        &self,
        _request: Request<pay::HintPaidRequest>,
    ) -> Result<Response<pay::HintPaidResponse>, Status> {
        Err(Status::unimplemented("a fake"))
    }
}
