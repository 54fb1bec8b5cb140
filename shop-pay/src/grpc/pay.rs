//! `PayService`: what clients and channels call.

use std::{sync::Arc, time::Duration};

use shop_common::{
    batch::Batcher,
    code::{ShopCode, Verdict},
    db::Db,
    error::{Result, ShopError},
    id::{Generator, OrderId, PayId, UserId},
    link::Deadline,
    money::Fen,
    time::Clock,
    trace::TraceParent,
};
use shop_proto::{
    common::v1::{DoOutcome, do_outcome},
    pay::v1::{
        CallbackPaymentRequest, CallbackPaymentResponse, CreatePaymentRequest, CreatePaymentResponse,
        GetPaymentRequest, Payment as WirePayment, pay_service_server::PayService,
    },
};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{outcome, rejected::Rejected};
use crate::{
    begin::BeginPayment,
    channel::{Channels, Genuine, PaymentChannel, Registered, Trade},
    payment::{NewPayment, Payment, settle::Notice},
    settling::Settling,
    store,
    tx::{CreatePayment, KeepPayUrl},
};

/// Longest address of a buyer's page; the column holds as many characters.
const PAY_URL_MAX: usize = 255;

/// Payments, for clients and channels.
#[derive(Clone)]
pub(crate) struct Pay {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) ids: Arc<Generator>,
    pub(crate) channels: Channels,
    pub(crate) begin: Batcher<BeginPayment, DoOutcome>,
    pub(crate) create: Batcher<CreatePayment, Result<Payment>>,
    pub(crate) query_after: Duration,
    pub(crate) keep_pay_url: Batcher<KeepPayUrl, Option<Payment>>,
    pub(crate) settling: Settling,
    pub(crate) rejected: Arc<Rejected>,
}

#[tonic::async_trait]
impl PayService for Pay {
    async fn create_payment(
        &self,
        request: Request<CreatePaymentRequest>,
    ) -> Result<Response<CreatePaymentResponse>, Status> {
        let deadline = Deadline::of(&request);
        let payment = self.create(request.into_inner(), deadline).await?;
        Ok(Response::new(CreatePaymentResponse { payment: Some(payment.into()) }))
    }

    async fn callback_payment(
        &self,
        request: Request<CallbackPaymentRequest>,
    ) -> Result<Response<CallbackPaymentResponse>, Status> {
        Ok(Response::new(self.callback(request.into_inner()).await?))
    }

    async fn get_payment(&self, request: Request<GetPaymentRequest>) -> Result<Response<WirePayment>, Status> {
        let request = request.into_inner();
        let pay_id = PayId::parse(request.pay_id, "pay_id")?;
        let user_id = UserId::parse(request.user_id, "user_id")?;
        let payment = store::payment(self.db.read(), pay_id).await.map_err(ShopError::from)?;
        let own = payment.filter(|payment| payment.user_id == user_id);
        let payment = own.ok_or(ShopError::at(ShopCode::PaymentNotFound, "pay_id"))?;
        let refunds = store::refunds_of(self.db.read(), pay_id).await.map_err(ShopError::from)?;
        let refunds = refunds.into_iter().map(Into::into).collect();
        Ok(Response::new(WirePayment { refunds, ..payment.into() }))
    }
}

impl Pay {
    /// The order's word first, then ours, then the channel is told; each step may be repeated.
    async fn create(&self, request: CreatePaymentRequest, deadline: Instant) -> Result<Payment> {
        let order_id = OrderId::parse(request.order_id, "order_id")?;
        let user_id = UserId::parse(request.user_id, "user_id")?;
        let amount = Fen::new(request.amount_fen);
        if amount <= Fen::ZERO {
            return Err(ShopError::invalid("amount_fen", "an amount is greater than zero"));
        }
        let channel = self.channels.wanted(&request.channel)?;
        let command = BeginPayment { order_id, user_id, amount, deadline, trace: TraceParent::current() };
        allowed(self.begin.run(command, Some(deadline)).await?)?;
        let pay_id = PayId::new(self.ids.next().await?);
        let pay_url = channel.known_pay_url(pay_id).unwrap_or_default();
        let new = NewPayment {
            pay_id,
            order_id,
            user_id,
            channel: channel.name().to_owned(),
            amount,
            pay_url,
            ask_after: self.query_after,
        };
        let payment = self.create.run(CreatePayment(new), Some(deadline)).await??;
        self.announce(channel, payment, deadline).await.map_err(|error| match error.verdict() {
            // There is a payment now, whether or not the channel has heard of it.
            Verdict::Retry => ShopCode::Unknown.into(),
            _ => error,
        })
    }

    /// Tells the channel, and keeps where the buyer pays before anybody is sent there. Whoever died in between is healed
    /// by the next call: the payment is found open, announced again under its number, and kept.
    async fn announce(&self, channel: &dyn PaymentChannel, payment: Payment, deadline: Instant) -> Result<Payment> {
        let Payment { pay_id, amount, .. } = payment;
        let pay_url = match channel.register(Trade { pay_id, amount }).await? {
            Registered::At(pay_url) => pay_url,
            Registered::Over => return self.over(channel, payment).await,
        };
        if pay_url == payment.pay_url {
            return Ok(payment);
        }
        if !matches!(pay_url.len(), 1..=PAY_URL_MAX) {
            tracing::error!(pay.id = %pay_id, bytes = pay_url.len(), "the channel's pay URL cannot be kept");
            return Err(ShopCode::Internal.into());
        }
        let kept = self.keep_pay_url.run(KeepPayUrl { pay_id, pay_url }, Some(deadline)).await?;
        kept.ok_or(ShopError::at(ShopCode::OrderNotPayable, "order_id"))
    }

    /// The trade ended before its buyer could be told where to pay: the channel's word about the money is settled.
    async fn over(&self, channel: &dyn PaymentChannel, payment: Payment) -> Result<Payment> {
        match self.settling.ask(channel, payment.pay_id).await? {
            Some((_, settled)) => Ok(settled),
            None => Err(ShopError::at(ShopCode::OrderNotPayable, "order_id")),
        }
    }

    /// Answers after the effect is durable; every error means that the channel must send again.
    async fn callback(&self, request: CallbackPaymentRequest) -> Result<CallbackPaymentResponse> {
        let channel = self.channels.get(&request.channel)?;
        let now = self.clock.now();
        let genuine = match channel.verify(&request.headers, &request.body, now).and_then(Genuine::checked) {
            Ok(genuine) => genuine,
            Err(error) => {
                self.rejected.note(channel, &request, &error, now).await;
                return Err(error);
            }
        };
        let headers = signed_headers(channel, &request, str::to_owned);
        let lasting = channel.lasting(&request.headers, &request.body).into_owned();
        let notice = Notice::new(channel.name(), genuine, request.body, headers).held_against(&lasting);
        let (verdict, payment) = self.settling.settle(notice).await?;
        Ok(CallbackPaymentResponse {
            outcome: outcome(verdict).into(),
            ack_body: channel.ack_success().to_vec(),
            payment: Some(payment.into()),
        })
    }
}

/// Nothing but the signature is kept of the headers, each as `kept` keeps it: the rest is the gateway's, cookies
/// included.
pub(super) fn signed_headers(
    channel: &dyn PaymentChannel,
    request: &CallbackPaymentRequest,
    kept: impl Fn(&str) -> String,
) -> String {
    let header = |name: &&str| Some(((*name).to_owned(), kept(request.headers.get(*name)?).into()));
    let all: serde_json::Map<_, _> = channel.signature_headers().iter().filter_map(header).collect();
    serde_json::Value::Object(all).to_string()
}

/// Whether the order lets the payment be made.
fn allowed(outcome: DoOutcome) -> Result<()> {
    match outcome.kind() {
        do_outcome::Kind::Done | do_outcome::Kind::Already => Ok(()),
        do_outcome::Kind::Cancelled => Err(ShopError::at(ShopCode::OrderNotPayable, "order_id")),
        do_outcome::Kind::Refused => Err(outcome.refusal.map_or(ShopCode::Internal.into(), ShopError::from)),
        do_outcome::Kind::NotRun => Err(ShopCode::Busy.into()),
        do_outcome::Kind::Unknown | do_outcome::Kind::Unspecified => Err(ShopCode::Unknown.into()),
    }
}
