//! `PaymentStateService`: what only other services and the gateway call.

use std::{collections::BTreeMap, sync::Arc};

use shop_common::{
    batch::Batcher,
    code::ShopCode,
    db::Db,
    error::{Result, ShopError},
    hold::Done,
    id::{OrderId, PayId},
    service::{COMMANDS_PER_CALL, answer_do},
};
use shop_proto::pay::v1::{
    ClosePaymentsRequest, ClosePaymentsResponse, GetStatesRequest, GetStatesResponse, HintPaidRequest,
    HintPaidResponse, PaymentState, payment_state_service_server::PaymentStateService,
};
use tokio::sync::Notify;
use tonic::{Request, Response, Status};

use super::outcome;
use crate::{
    channel::{Channels, Found, notice_of},
    payment::{Payment, settle::Verdict},
    settling::Settling,
    store,
    tx::ClosePayments,
};

/// State of payments.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) db: Db,
    pub(crate) channels: Channels,
    pub(crate) close: Batcher<ClosePayments, Done>,
    pub(crate) settling: Settling,
    pub(crate) wake: Arc<Notify>,
}

#[tonic::async_trait]
impl PaymentStateService for State {
    async fn get_states(&self, request: Request<GetStatesRequest>) -> Result<Response<GetStatesResponse>, Status> {
        let pay_ids = request.into_inner().pay_ids;
        COMMANDS_PER_CALL.check(pay_ids.len())?;
        let found = store::payments(self.db.read(), pay_ids.clone()).await.map_err(ShopError::from)?;
        let by_id: BTreeMap<i64, &Payment> = found.iter().map(|payment| (payment.pay_id.get(), payment)).collect();
        let state = |pay_id: i64| match by_id.get(&pay_id) {
            Some(payment) => PaymentState::from(*payment),
            None => PaymentState { pay_id, ..PaymentState::default() },
        };
        Ok(Response::new(GetStatesResponse { states: pay_ids.into_iter().map(state).collect() }))
    }

    async fn close_payments(
        &self,
        request: Request<ClosePaymentsRequest>,
    ) -> Result<Response<ClosePaymentsResponse>, Status> {
        let commands = request.into_inner().commands;
        COMMANDS_PER_CALL.check(commands.len())?;
        let orders = commands.into_iter().map(|command| OrderId::new(command.order_id));
        let outcomes = self.close.run_all(orders.map(|order_id| (ClosePayments { order_id }, None))).await;
        self.wake.notify_one();
        Ok(Response::new(ClosePaymentsResponse { outcomes: outcomes.into_iter().map(answer_do).collect() }))
    }

    async fn hint_paid(&self, request: Request<HintPaidRequest>) -> Result<Response<HintPaidResponse>, Status> {
        let pay_id = PayId::parse(request.into_inner().pay_id, "pay_id")?;
        let (verdict, payment) = self.hint(pay_id).await?;
        Ok(Response::new(HintPaidResponse { outcome: outcome(verdict).into(), payment: Some(payment.into()) }))
    }
}

impl State {
    /// Asks the payment's own channel and believes nothing else (trap 40).
    async fn hint(&self, pay_id: PayId) -> Result<(Verdict, Payment)> {
        let payment = store::payment(self.db.read(), pay_id).await.map_err(ShopError::from)?;
        let payment = payment.ok_or(ShopError::at(ShopCode::PaymentNotFound, "pay_id"))?;
        let channel = self.channels.get(&payment.channel)?;
        channel.hinted(pay_id).await?;
        match channel.query(pay_id).await? {
            Found::Paid(paid) => self.settling.settle(notice_of(channel.name(), pay_id, &paid)).await,
            Found::NotPaid => Ok((Verdict::Ignored, payment)),
        }
    }
}
