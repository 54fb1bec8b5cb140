//! `PaymentStateService`: what only other services and the gateway call.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use shop_common::{
    batch::{Batcher, NotDone},
    code::ShopCode,
    db::Db,
    due::Wake,
    error::{Result, ShopError},
    hold::Done,
    id::{Generator, OrderId, PayId, RefundId},
    service::{COMMANDS_PER_CALL, answer_do},
};
use shop_proto::{
    common::v1::DoOutcome,
    pay::v1::{
        CloseAtChannelOutcome, CloseAtChannelRequest, CloseAtChannelResponse, ClosePaymentsRequest,
        ClosePaymentsResponse, GetStatesRequest, GetStatesResponse, HintPaidRequest, HintPaidResponse, PaymentState,
        RefundOrderCommand, RefundOrderRequest, RefundOrderResponse, close_at_channel_outcome::Kind as Closed,
        payment_state_service_server::PaymentStateService,
    },
};
use tonic::{Request, Response, Status};

use super::outcome;
use crate::{
    channel::Channels,
    payment::{Payment, owed::Owed, refund::Started, settle::Verdict},
    settling::Settling,
    store,
    sweep::Sweeper,
    tx::{ClosePayments, RefundOrder},
};

/// How long the channels have to close what is open; their caller waits longer.
const CHANNEL_TIME: Duration = Duration::from_secs(3);

/// State of payments.
#[derive(Clone)]
pub(crate) struct State {
    pub(crate) db: Db,
    pub(crate) channels: Channels,
    pub(crate) ids: Arc<Generator>,
    pub(crate) close: Batcher<ClosePayments, Done>,
    pub(crate) refund: Batcher<RefundOrder, Result<Started>>,
    pub(crate) sweeper: Arc<Sweeper>,
    pub(crate) settling: Settling,
    pub(crate) wake: Wake,
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
        self.wake.now();
        Ok(Response::new(ClosePaymentsResponse { outcomes: outcomes.into_iter().map(answer_do).collect() }))
    }

    async fn close_at_channel(
        &self,
        request: Request<CloseAtChannelRequest>,
    ) -> Result<Response<CloseAtChannelResponse>, Status> {
        let commands = request.into_inner().commands;
        COMMANDS_PER_CALL.check(commands.len())?;
        let order_ids: Vec<i64> = commands.iter().map(|command| command.order_id).collect();
        let outcomes = self.close_at_channels(order_ids).await?;
        self.wake.now();
        Ok(Response::new(CloseAtChannelResponse { outcomes }))
    }

    async fn refund_order(
        &self,
        request: Request<RefundOrderRequest>,
    ) -> Result<Response<RefundOrderResponse>, Status> {
        let commands = request.into_inner().commands;
        COMMANDS_PER_CALL.check(commands.len())?;
        let mut refunds = Vec::with_capacity(commands.len());
        for RefundOrderCommand { order_id, pay_id, .. } in commands {
            let refund_id = RefundId::new(self.ids.next().await?);
            refunds.push(RefundOrder { refund_id, order_id: OrderId::new(order_id), pay_id: PayId::new(pay_id) });
        }
        let refunds = refunds.into_iter().map(|refund| (refund, None));
        let outcomes = self.refund.run_all(refunds).await.into_iter().map(answer_refund).collect();
        self.wake.now();
        Ok(Response::new(RefundOrderResponse { outcomes }))
    }

    async fn hint_paid(&self, request: Request<HintPaidRequest>) -> Result<Response<HintPaidResponse>, Status> {
        let pay_id = PayId::parse(request.into_inner().pay_id, "pay_id")?;
        let (verdict, payment) = self.hint(pay_id).await?;
        Ok(Response::new(HintPaidResponse { outcome: outcome(verdict).into(), payment: Some(payment.into()) }))
    }
}

impl State {
    /// Closes here first, so that no payment can be made any more; then asks the channels. The rows are the answer.
    async fn close_at_channels(&self, order_ids: Vec<i64>) -> Result<Vec<CloseAtChannelOutcome>> {
        let orders = order_ids.iter().map(|order_id| (ClosePayments { order_id: OrderId::new(*order_id) }, None));
        let shut = self.close.run_all(orders).await;
        let payments = async || store::payments_of(self.db.read(), order_ids.clone()).await.map_err(ShopError::from);
        self.sweeper.close_within(CHANNEL_TIME, &payments().await?).await;
        let payments = payments().await?;
        let outcomes = order_ids.iter().zip(shut).map(|(order_id, shut)| match shut {
            Ok(_) => closed_so_far(&payments, OrderId::new(*order_id)),
            Err(error) => CloseAtChannelOutcome { kind: Closed::NotYet.into(), detail: error.to_string() },
        });
        Ok(outcomes.collect())
    }

    /// Asks the payment's own channel and believes nothing else (trap 40).
    async fn hint(&self, pay_id: PayId) -> Result<(Verdict, Payment)> {
        let payment = store::payment(self.db.read(), pay_id).await.map_err(ShopError::from)?;
        let payment = payment.ok_or(ShopError::at(ShopCode::PaymentNotFound, "pay_id"))?;
        let channel = self.channels.get(&payment.channel)?;
        channel.hinted(pay_id).await?;
        Ok(self.settling.ask(channel, pay_id).await?.unwrap_or((Verdict::Ignored, payment)))
    }
}

/// How far the payments of one order are closed.
fn closed_so_far(payments: &[Payment], order_id: OrderId) -> CloseAtChannelOutcome {
    let mut of_order = payments.iter().filter(|payment| payment.order_id == order_id);
    let (kind, detail) = if of_order.clone().any(Payment::is_kept) {
        (Closed::Paid, "")
    } else if of_order.any(|payment| payment.owed.has(Owed::CLOSE)) {
        (Closed::NotYet, "a channel has not answered")
    } else {
        (Closed::Closed, "")
    };
    CloseAtChannelOutcome { kind: kind.into(), detail: detail.to_owned() }
}

fn answer_refund(outcome: Result<Result<Started>, NotDone>) -> DoOutcome {
    answer_do(outcome.map(|started| match started {
        Ok(Started::Done) => Done::Done,
        Ok(Started::Already) => Done::Already,
        Err(refusal) => Done::Refused(refusal),
    }))
}
