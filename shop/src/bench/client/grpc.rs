//! The client over gRPC.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use shop_common::{
    code::ShopCode,
    error::{Result, ShopError},
    link::call,
};
use shop_pay::channel::sandbox;
use shop_proto::{
    order::v1::{
        CancelOrderRequest, ConfirmOrderRequest, GetOrderRequest, Order, order_service_client::OrderServiceClient,
    },
    pay::v1::{CallbackPaymentRequest, CreatePaymentRequest, pay_service_client::PayServiceClient},
    user::v1::{GetUserRequest, user_service_client::UserServiceClient},
};
use shop_replay::signer::Signed;
use tonic::{
    Response, Status,
    transport::{Channel, Error},
};

/// Connections; a single one would be served by one core.
const CONNECTIONS: usize = 4;
/// How long a client waits for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The client over gRPC.
pub(in crate::bench) struct Grpc {
    channels: Vec<Channel>,
    turn: AtomicUsize,
}

impl Grpc {
    pub(in crate::bench) async fn connect(address: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let endpoint = Channel::from_shared(address.to_owned())?.tcp_nodelay(true);
        let channels = futures::future::join_all((0..CONNECTIONS).map(|_| endpoint.connect())).await;
        let channels = channels.into_iter().collect::<Result<_, Error>>();
        let channels = channels.map_err(|_| format!("{address}: nobody serves gRPC there"))?;
        Ok(Self { channels, turn: AtomicUsize::new(0) })
    }

    fn channel(&self) -> Result<Channel> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % CONNECTIONS;
        Ok(self.channels.get(turn).cloned().ok_or(ShopCode::Unavailable)?)
    }

    pub(super) async fn confirm(&self, wanted: ConfirmOrderRequest) -> Result<Order> {
        let mut orders = OrderServiceClient::new(self.channel()?);
        Ok(answered(orders.confirm_order(call(wanted, PATIENCE)).await)?.order.ok_or(ShopCode::Internal)?)
    }

    pub(super) async fn cancel(&self, order_id: i64, user_id: i64) -> Result<Order> {
        let request = CancelOrderRequest { order_id, user_id, reason: "bench".to_owned() };
        answered(OrderServiceClient::new(self.channel()?).cancel_order(call(request, PATIENCE)).await)
    }

    pub(super) async fn order(&self, order_id: i64, user_id: i64) -> Result<Order> {
        let request = GetOrderRequest { order_id, user_id };
        answered(OrderServiceClient::new(self.channel()?).get_order(call(request, PATIENCE)).await)
    }

    pub(super) async fn create_payment(&self, order: &Order) -> Result<i64> {
        let request = CreatePaymentRequest {
            order_id: order.order_id,
            user_id: order.user_id,
            amount_fen: order.amount_due_fen,
            channel: sandbox::NAME.to_owned(),
        };
        let created = answered(PayServiceClient::new(self.channel()?).create_payment(call(request, PATIENCE)).await)?;
        Ok(created.payment.ok_or(ShopCode::Internal)?.pay_id)
    }

    pub(super) async fn notify(&self, notice: Signed) -> Result<()> {
        let request = CallbackPaymentRequest {
            channel: sandbox::NAME.to_owned(),
            headers: notice.headers.into_iter().collect(),
            body: notice.body,
        };
        answered(PayServiceClient::new(self.channel()?).callback_payment(call(request, PATIENCE)).await).map(drop)
    }

    pub(super) async fn score(&self, user_id: i64) -> Result<i64> {
        let user = UserServiceClient::new(self.channel()?).get_user(call(GetUserRequest { user_id }, PATIENCE)).await;
        Ok(answered(user)?.score)
    }
}

fn answered<T>(answer: Result<Response<T>, Status>) -> Result<T> {
    answer.map(Response::into_inner).map_err(|status| ShopError::from_status(&status))
}
