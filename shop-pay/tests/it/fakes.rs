//! What the pay service asks, as the contract says they answer, with faults to switch on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use shop_common::{
    code::ShopCode,
    error::{Result, ShopError},
    id::{PayId, RefundId},
    money::Fen,
    time::Millis,
};
use shop_pay::{
    channel::{
        Closing, Found, FoundRefund, Genuine, Headers, PaymentChannel, RefundNotice, Registered, Return, Trade,
        sandbox::Sandbox,
    },
    payment::refund::Answer,
};
use shop_proto::{
    common::v1::{DoOutcome, UndoOutcome, do_outcome, undo_outcome},
    order::v1::{
        BeginPaymentRequest, BeginPaymentResponse, GetStatesRequest, GetStatesResponse, MarkPaidOutcome,
        MarkPaidRequest, MarkPaidResponse, MarkRefundedRequest, MarkRefundedResponse, OrderState, OrderStatus,
        mark_paid_outcome::Kind, order_state_service_server::OrderStateService,
    },
    user::v1::{
        AwardPointsRequest, AwardPointsResponse, ReversePointsRequest, ReversePointsResponse,
        points_service_server::PointsService,
    },
};
use tonic::{Request, Response, Status};

/// Every order is confirmed, belongs to [`USER`] and costs [`DUE`], unless a set says otherwise.
#[derive(Default)]
pub(crate) struct Orders {
    pub(crate) away: AtomicBool,
    pub(crate) cancelled: Mutex<BTreeSet<i64>>,
    pub(crate) not_yet: Mutex<BTreeSet<i64>>,
    pub(crate) unknown: Mutex<BTreeSet<i64>>,
    pub(crate) bound: Mutex<BTreeMap<i64, i64>>,
    pub(crate) asked: AtomicUsize,
    /// Orders that were refunded, with the reason.
    pub(crate) refunded: Mutex<BTreeMap<i64, String>>,
}

pub(crate) const USER: i64 = 345_963_634_385_633_280;
pub(crate) const DUE: i64 = 88_000;

impl Orders {
    fn there(&self) -> Result<(), Status> {
        if self.away.load(Ordering::SeqCst) { Err(Status::unavailable("away")) } else { Ok(()) }
    }

    fn judge(&self, order_id: i64, pay_id: i64, amount_fen: i64) -> Kind {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.unknown.lock().unwrap().contains(&order_id) {
            return Kind::NotFound;
        }
        if self.not_yet.lock().unwrap().contains(&order_id) {
            return Kind::NotYet;
        }
        if self.cancelled.lock().unwrap().contains(&order_id) {
            return Kind::NotBoundCancelled;
        }
        if amount_fen != DUE {
            return Kind::NotBoundAmount;
        }
        let mut bound = self.bound.lock().unwrap();
        match bound.get(&order_id) {
            Some(bound) if *bound == pay_id => Kind::AlreadyBound,
            Some(_) => Kind::NotBoundPaidByOther,
            None => {
                bound.insert(order_id, pay_id);
                Kind::Bound
            }
        }
    }
}

/// The fake behind the generated trait; clones share the state.
#[derive(Clone)]
pub(crate) struct OrdersServer(pub(crate) Arc<Orders>);

#[tonic::async_trait]
impl OrderStateService for OrdersServer {
    async fn get_states(&self, request: Request<GetStatesRequest>) -> Result<Response<GetStatesResponse>, Status> {
        self.0.there()?;
        let cancelled = self.0.cancelled.lock().unwrap();
        let state = |order_id: i64| {
            let status = if cancelled.contains(&order_id) { OrderStatus::Cancelled } else { OrderStatus::Confirmed };
            OrderState { order_id, found: true, user_id: USER, status: status.into(), ..OrderState::default() }
        };
        let states = request.into_inner().order_ids.into_iter().map(state).collect();
        Ok(Response::new(GetStatesResponse { states }))
    }

    async fn begin_payment(
        &self,
        request: Request<BeginPaymentRequest>,
    ) -> Result<Response<BeginPaymentResponse>, Status> {
        self.0.there()?;
        let outcomes = request.into_inner().commands.into_iter().map(|command| {
            let refused = |code, field| ShopError::at(code, field).into();
            if command.user_id != USER {
                return refused(ShopCode::OrderNotFound, "order_id");
            }
            if command.amount_fen != DUE {
                return refused(ShopCode::AmountMismatch, "amount_fen");
            }
            if self.0.cancelled.lock().unwrap().contains(&command.order_id) {
                return refused(ShopCode::OrderNotPayable, "order_id");
            }
            DoOutcome { kind: do_outcome::Kind::Done.into(), ..DoOutcome::default() }
        });
        Ok(Response::new(BeginPaymentResponse { outcomes: outcomes.collect() }))
    }

    async fn mark_paid(&self, request: Request<MarkPaidRequest>) -> Result<Response<MarkPaidResponse>, Status> {
        self.0.there()?;
        let judged = request.into_inner().commands.into_iter().map(|command| {
            let kind = self.0.judge(command.order_id, command.pay_id, command.amount_fen);
            MarkPaidOutcome { kind: kind.into(), detail: String::new() }
        });
        Ok(Response::new(MarkPaidResponse { outcomes: judged.collect() }))
    }

    async fn mark_refunded(
        &self,
        request: Request<MarkRefundedRequest>,
    ) -> Result<Response<MarkRefundedResponse>, Status> {
        self.0.there()?;
        let (bound, mut refunded) = (self.0.bound.lock().unwrap(), self.0.refunded.lock().unwrap());
        let outcomes = request.into_inner().commands.into_iter().map(|command| {
            let is_bound = bound.get(&command.order_id) == Some(&command.pay_id);
            let is_new = is_bound && refunded.insert(command.order_id, command.reason).is_none();
            let kind = if is_new { do_outcome::Kind::Done } else { do_outcome::Kind::Already };
            DoOutcome { kind: kind.into(), ..DoOutcome::default() }
        });
        Ok(Response::new(MarkRefundedResponse { outcomes: outcomes.collect() }))
    }
}

/// Points by payment: credited, or undone for ever.
#[derive(Default)]
pub(crate) struct Points {
    pub(crate) away: AtomicBool,
    pub(crate) held: Mutex<BTreeMap<i64, i64>>,
    pub(crate) undone: Mutex<BTreeSet<i64>>,
}

impl Points {
    fn there(&self) -> Result<(), Status> {
        if self.away.load(Ordering::SeqCst) { Err(Status::unavailable("away")) } else { Ok(()) }
    }
}

#[derive(Clone)]
pub(crate) struct PointsServer(pub(crate) Arc<Points>);

#[tonic::async_trait]
impl PointsService for PointsServer {
    async fn award_points(
        &self,
        request: Request<AwardPointsRequest>,
    ) -> Result<Response<AwardPointsResponse>, Status> {
        self.0.there()?;
        let (mut held, undone) = (self.0.held.lock().unwrap(), self.0.undone.lock().unwrap());
        let outcomes = request.into_inner().commands.into_iter().map(|command| {
            let kind = if undone.contains(&command.pay_id) {
                do_outcome::Kind::Cancelled
            } else if held.insert(command.pay_id, command.paid_fen / 100).is_some() {
                do_outcome::Kind::Already
            } else {
                do_outcome::Kind::Done
            };
            DoOutcome { kind: kind.into(), ..DoOutcome::default() }
        });
        Ok(Response::new(AwardPointsResponse { outcomes: outcomes.collect() }))
    }

    async fn reverse_points(
        &self,
        request: Request<ReversePointsRequest>,
    ) -> Result<Response<ReversePointsResponse>, Status> {
        self.0.there()?;
        let (mut held, mut undone) = (self.0.held.lock().unwrap(), self.0.undone.lock().unwrap());
        let outcomes = request.into_inner().commands.into_iter().map(|command| {
            let kind = match (held.remove(&command.pay_id), undone.insert(command.pay_id)) {
                (Some(_), _) => undo_outcome::Kind::Undone,
                (None, true) => undo_outcome::Kind::NeverDone,
                (None, false) => undo_outcome::Kind::AlreadyUndone,
            };
            UndoOutcome { kind: kind.into(), detail: String::new() }
        });
        Ok(Response::new(ReversePointsResponse { outcomes: outcomes.collect() }))
    }
}

/// What [`Flaky`] says about a refund; no `refused` and not `done` is *working on it*.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefundTold {
    pub(crate) notify_id: String,
    pub(crate) refund_id: i64,
    pub(crate) pay_id: i64,
    pub(crate) fen: i64,
    pub(crate) done: bool,
    pub(crate) refused: Option<String>,
}

impl From<RefundTold> for Genuine {
    fn from(told: RefundTold) -> Self {
        let answer = told.refused.map(Answer::Refused).or_else(|| told.done.then_some(Answer::Done));
        let (refund_id, pay_id) = (RefundId::new(told.refund_id), PayId::new(told.pay_id));
        RefundNotice { notify_id: told.notify_id, refund_id, pay_id, amount: Fen::new(told.fen), answer }.into()
    }
}

/// A second channel over the sandbox's books, whose answers get lost.
pub(crate) struct Flaky {
    pub(crate) inner: Sandbox,
    pub(crate) answers_to_lose: AtomicUsize,
    pub(crate) queries: AtomicUsize,
    pub(crate) refund_calls: AtomicUsize,
    pub(crate) refuses: AtomicBool,
    /// Refunds that never reach the provider.
    pub(crate) refunds_to_lose: AtomicUsize,
}

pub(crate) const FLAKY: &str = "flaky";

impl Flaky {
    /// The call reached the provider; its answer may not reach us.
    fn answer<T>(&self, answer: T) -> Result<T> {
        let lose = |left: usize| left.checked_sub(1);
        match self.answers_to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose) {
            Ok(_) => Err(ShopCode::Unknown.into()),
            Err(_) => Ok(answer),
        }
    }
}

#[async_trait]
impl PaymentChannel for Flaky {
    fn name(&self) -> &'static str {
        FLAKY
    }

    fn signature_headers(&self) -> &'static [&'static str] {
        self.inner.signature_headers()
    }

    /// The sandbox's notifications, and [`RefundTold`], which carries no signature.
    fn verify(&self, headers: &Headers, body: &[u8], now: Millis) -> Result<Genuine> {
        match serde_json::from_slice::<RefundTold>(body) {
            Ok(told) => Ok(told.into()),
            Err(_) => self.inner.verify(headers, body, now),
        }
    }

    /// As with a real channel, only the announcement tells.
    async fn register(&self, trade: Trade) -> Result<Registered> {
        self.answer(self.inner.register(trade).await?)
    }

    async fn query(&self, pay_id: PayId) -> Result<Found> {
        self.queries.fetch_add(1, Ordering::SeqCst);
        self.answer(self.inner.query(pay_id).await?)
    }

    async fn close(&self, trade: Trade) -> Result<Closing> {
        self.answer(self.inner.close(trade).await?)
    }

    async fn refund(&self, wanted: Return) -> Result<Answer> {
        self.refund_calls.fetch_add(1, Ordering::SeqCst);
        if self.refuses.load(Ordering::SeqCst) {
            return Ok(Answer::Refused("the buyer's account is gone".to_owned()));
        }
        let lose = |left: usize| left.checked_sub(1);
        if self.refunds_to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose).is_ok() {
            return Err(ShopCode::Unknown.into());
        }
        self.answer(self.inner.refund(wanted).await?)
    }

    async fn query_refund(&self, wanted: Return) -> Result<FoundRefund> {
        self.answer(self.inner.query_refund(wanted).await?)
    }

    fn ack_success(&self) -> &'static [u8] {
        b"ok"
    }
}
