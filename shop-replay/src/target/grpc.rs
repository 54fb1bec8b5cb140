//! The shop over gRPC.

use shop_common::{
    code::{ShopCode, Verdict},
    error::{Result, ShopError},
    link::{Link, call},
    money::Fen,
};
use shop_proto::{
    order::v1::{CancelOrderRequest, ConfirmItem, ConfirmOrderRequest, order_service_client::OrderServiceClient},
    pay::v1::{
        CallbackPaymentRequest, CreatePaymentRequest, GetPaymentRequest, PaymentStatus,
        callback_payment_response::Outcome, pay_service_client::PayServiceClient,
    },
};
use tonic::Status;

use super::{PATIENCE, TIMEOUT, Wanted};
use crate::{compose::Message, judge::Answer, notification::PaymentRef};

#[derive(Clone)]
pub(super) struct Grpc(Link);

impl Grpc {
    pub(super) const fn new(link: Link) -> Self {
        Self(link)
    }

    fn payments(&self) -> PayServiceClient<Link> {
        PayServiceClient::new(self.0.clone())
    }

    fn orders(&self) -> OrderServiceClient<Link> {
        OrderServiceClient::new(self.0.clone())
    }

    /// Whether a shop says no to a question about nothing: nobody else says it by our codes.
    pub(super) async fn is_spoken(&self) -> bool {
        let answer = self.payments().get_payment(call(GetPaymentRequest::default(), TIMEOUT)).await;
        answer.map_err(read).map_or_else(|no| matches!(no.verdict(), Verdict::Refused | Verdict::Retry), |_| true)
    }

    pub(super) async fn deliver(&self, message: &Message, ack: &[u8]) -> Answer {
        let request = CallbackPaymentRequest {
            channel: message.channel.clone(),
            headers: message.headers.clone().into_iter().collect(),
            body: message.body.clone(),
        };
        match self.payments().callback_payment(call(request, TIMEOUT)).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                Answer::of_ack(&answer.ack_body, ack, answer.outcome() == Outcome::Applied)
            }
            Err(status) => Answer::of_code(ShopError::from_status(&status).code),
        }
    }

    pub(super) async fn place(&self, wanted: &Wanted) -> Result<PaymentRef> {
        let user_id = wanted.user_id;
        let item = ConfirmItem { goods_id: wanted.goods_id, quantity: 1, expected_price_fen: None };
        let request = ConfirmOrderRequest {
            request_id: wanted.request_id.clone(),
            user_id,
            items: vec![item],
            ..ConfirmOrderRequest::default()
        };
        let order = self.orders().confirm_order(call(request, PATIENCE)).await.map_err(read)?.into_inner().order;
        let order = order.ok_or(ShopCode::Internal)?;
        let request = CreatePaymentRequest {
            order_id: order.order_id,
            user_id,
            amount_fen: order.amount_due_fen,
            channel: wanted.channel.clone(),
        };
        let payment = self.payments().create_payment(call(request, PATIENCE)).await.map_err(read)?.into_inner().payment;
        let payment = payment.ok_or(ShopCode::Internal)?;
        let amount = Fen::new(payment.amount_fen);
        Ok(PaymentRef { pay_id: payment.pay_id, order_id: order.order_id, user_id, amount })
    }

    pub(super) async fn cancel(&self, payment: &PaymentRef) -> Result<()> {
        let PaymentRef { order_id, user_id, .. } = *payment;
        let request = CancelOrderRequest { order_id, user_id, reason: "replayed".to_owned() };
        match self.orders().cancel_order(call(request, PATIENCE)).await.map_err(read) {
            Err(error) if error.code != ShopCode::OrderNotCancellable => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) async fn is_paid(&self, payment: &PaymentRef) -> Result<bool> {
        let request = GetPaymentRequest { pay_id: payment.pay_id, user_id: payment.user_id };
        let payment = self.payments().get_payment(call(request, PATIENCE)).await.map_err(read)?.into_inner();
        Ok(payment.status() == PaymentStatus::Paid)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn read(status: Status) -> ShopError {
    ShopError::from_status(&status)
}
