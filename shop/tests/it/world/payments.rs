//! Paying, as a client, a buyer and the sandbox channel do it.

use std::collections::HashMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use shop_common::{id::PayId, link::call};
use shop_pay::{DEMO_KEY, DEMO_KID, channel::sandbox::NAME};
use shop_proto::{
    order::v1::Order,
    pay::v1::{
        CallbackPaymentRequest, CallbackPaymentResponse, CreatePaymentRequest, Payment, Refund, RefundPaymentRequest,
        pay_service_client::PayServiceClient, refund_service_client::RefundServiceClient,
    },
};
use tonic::Response;

use super::{Answer, PATIENCE, World, data::answered};

impl World {
    /// Makes the payment of an order.
    pub(crate) async fn pay_for(&self, order: &Order) -> Answer<Payment> {
        let mut client = PayServiceClient::new(self.process().link());
        let request = CreatePaymentRequest {
            order_id: order.order_id,
            user_id: order.user_id,
            amount_fen: order.amount_due_fen,
            channel: String::new(),
        };
        let created = async move { client.create_payment(request).await.map(|created| created.into_inner().payment) };
        answered(self.process().run(created).await).map(Option::unwrap)
    }

    /// The buyer pays at the sandbox, which has not told the shop yet.
    pub(crate) async fn buyer_pays(&self, pay_id: i64) {
        self.pays_at_the_channel(pay_id).await.unwrap();
    }

    /// The same where the sandbox may not answer.
    pub(crate) async fn pays_at_the_channel(&self, pay_id: i64) -> Answer<()> {
        let sandbox = self.process().services.pay.sandbox().unwrap();
        let paid = self.process().run(async move { sandbox.pay_like_a_buyer(PayId::new(pay_id)).await });
        paid.await.unwrap()
    }

    /// The sandbox tells the shop whatever it has to tell.
    pub(crate) async fn sandbox_notifies(&self) {
        let sweeps = self.process().services.pay.sweeps();
        let resend = sweeps.into_iter().find(|sweep| sweep.name() == "sandbox notifications").unwrap();
        let now = self.clock.now();
        self.process().run(async move { while resend.run_once(now).await.unwrap() > 0 {} }).await.unwrap();
    }

    /// A payment that is made, paid by its buyer and known to the shop.
    pub(crate) async fn paid(&self, order: &Order) -> Payment {
        let payment = self.pay_for(order).await.unwrap();
        self.buyer_pays(payment.pay_id).await;
        self.sandbox_notifies().await;
        payment
    }

    /// An operator gives back so many fen of a payment, or all that is left.
    pub(crate) async fn refund(&self, payment: &Payment, key: &str, amount_fen: Option<i64>) -> Answer<Refund> {
        let mut client = RefundServiceClient::new(self.process().link());
        let request = RefundPaymentRequest {
            pay_id: payment.pay_id,
            request_id: key.to_owned(),
            amount_fen,
            reason: "arrived broken".to_owned(),
            operator: "ann".to_owned(),
        };
        let refunded = async move { client.refund_payment(request).await.map(|answer| answer.into_inner().refund) };
        answered(self.process().run(refunded).await).map(Option::unwrap)
    }

    /// A notification arrives.
    pub(crate) async fn callback(&self, request: CallbackPaymentRequest) -> Answer<CallbackPaymentResponse> {
        let mut client = PayServiceClient::new(self.process().link());
        let told = async move { client.callback_payment(call(request, PATIENCE)).await.map(Response::into_inner) };
        answered(self.process().run(told).await)
    }
}

/// The genuine notification that `payment` succeeded, signed now by the contract's rules and not by the shop's code.
pub(crate) fn signed(world: &World, payment: &Payment) -> CallbackPaymentRequest {
    let Payment { pay_id, amount_fen, .. } = payment;
    let now_ms = world.clock.now().get();
    let body = format!(
        r#"{{"notify_id":"n-{pay_id}","pay_id":"{pay_id}","channel_trade_no":"SB{pay_id}","merchant_id":"shop","amount_fen":{amount_fen},"currency":"CNY","status":"SUCCESS","paid_at_ms":{now_ms}}}"#
    );
    let seconds = now_ms / 1000;
    let mut mac = Hmac::<Sha256>::new_from_slice(DEMO_KEY.as_bytes()).unwrap();
    mac.update(format!("{seconds}.{body}").as_bytes());
    let v1 = hex::encode(mac.finalize().into_bytes());
    let header = format!("t={seconds},kid={DEMO_KID},v1={v1}");
    CallbackPaymentRequest {
        channel: NAME.to_owned(),
        headers: HashMap::from([("x-shop-signature".to_owned(), header)]),
        body: body.into_bytes(),
    }
}
