//! All services, played by one: it notes what it was asked and answers with the course's rows, or as it was told.

use std::{
    any::Any,
    sync::{Arc, Mutex},
    time::Duration,
};

use shop_common::error::ShopError;
use shop_proto::{
    coupon::v1::{self as coupon, coupon_service_server::CouponService},
    goods::v1::{self as goods, goods_service_server::GoodsService},
    order::v1::{self as order, order_service_server::OrderService, order_state_service_server::OrderStateService},
    pay::v1::{
        self as pay, pay_service_server::PayService, payment_state_service_server::PaymentStateService,
        refund_service_server::RefundService,
    },
    user::v1::{self as user, user_service_server::UserService},
};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

pub(crate) const USER: i64 = 345_963_634_385_633_280;
pub(crate) const GOODS: i64 = 345_959_443_973_935_104;
pub(crate) const COUPON: i64 = 345_988_230_098_857_984;
pub(crate) const ORDER: i64 = 352_537_369_385_242_624;
pub(crate) const PAYMENT: i64 = 352_542_415_984_402_432;
pub(crate) const REFUND: i64 = 352_542_415_984_402_433;
/// 2026-11-21T07:00:00.000Z
const NOON: i64 = 1_795_244_400_000;

/// One call as it arrived.
pub(crate) struct Call {
    pub(crate) message: Box<dyn Any + Send>,
    pub(crate) timeout: String,
    pub(crate) traceparent: String,
}

/// The services.
#[derive(Clone)]
pub(crate) struct Fake(Arc<Inner>);

pub(crate) struct Inner {
    calls: Mutex<Vec<Call>>,
    called: Notify,
    refusal: Mutex<Option<Status>>,
    gate: Semaphore,
    watched: Mutex<Option<mpsc::Receiver<Result<order::Order, Status>>>>,
    payment_status: Mutex<pay::PaymentStatus>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            calls: Mutex::default(),
            called: Notify::new(),
            refusal: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            watched: Mutex::default(),
            payment_status: Mutex::new(pay::PaymentStatus::Unpaid),
        }))
    }

    /// Every call from now on is refused.
    pub(crate) fn refuse(&self, error: ShopError) {
        self.fail(error.into());
    }

    /// Every call from now on fails with this status.
    pub(crate) fn fail(&self, status: Status) {
        *self.0.refusal.lock().unwrap() = Some(status);
    }

    /// Calls arrive but do not return until [`Fake::open`].
    pub(crate) fn close(&self) {
        self.0.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn open(&self) {
        self.0.gate.add_permits(1000);
    }

    /// What the next watcher sees.
    pub(crate) fn watched(&self) -> mpsc::Sender<Result<order::Order, Status>> {
        let (sender, receiver) = mpsc::channel(8);
        *self.0.watched.lock().unwrap() = Some(receiver);
        sender
    }

    /// What payments are from now on.
    pub(crate) fn set_paid(&self) {
        *self.0.payment_status.lock().unwrap() = pay::PaymentStatus::Paid;
    }

    pub(crate) fn take_call(&self) -> Call {
        let mut calls = self.0.calls.lock().unwrap();
        assert!(!calls.is_empty(), "no service was called");
        calls.remove(0)
    }

    /// The oldest call not taken yet.
    pub(crate) fn take<T: 'static>(&self) -> T {
        *self.take_call().message.downcast().expect("a call of another kind came first")
    }

    pub(crate) fn call_count(&self) -> usize {
        self.0.calls.lock().unwrap().len()
    }

    /// Waits for the `count`th call.
    pub(crate) async fn wait_for_calls(&self, count: usize) {
        let arrived = async {
            loop {
                let next = self.0.called.notified();
                if self.call_count() >= count {
                    return;
                }
                next.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), arrived).await.expect("the call never came");
    }

    async fn note<T: Send + 'static>(&self, request: Request<T>) -> Result<(), Status> {
        let header = |name: &str| {
            request.metadata().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let (timeout, traceparent) = (header("grpc-timeout"), header("traceparent"));
        let message = Box::new(request.into_inner());
        self.0.calls.lock().unwrap().push(Call { message, timeout, traceparent });
        self.0.called.notify_one();
        self.0.gate.acquire().await.unwrap().forget();
        self.0.refusal.lock().unwrap().clone().map_or(Ok(()), Err)
    }

    fn payment(&self) -> pay::Payment {
        let status = *self.0.payment_status.lock().unwrap();
        pay::Payment { status: status.into(), ..payment() }
    }
}

/// The course's order, confirmed.
pub(crate) fn order() -> order::Order {
    order::Order {
        order_id: ORDER,
        user_id: USER,
        request_id: "key-1".into(),
        status: order::OrderStatus::Confirmed.into(),
        pay_status: order::PayStatus::Unpaid.into(),
        items: vec![order::OrderItem { goods_id: GOODS, quantity: 1, price_fen: 100_000 }],
        items_total_fen: 100_000,
        shipping_fen: 0,
        order_total_fen: 100_000,
        coupon_id: Some(COUPON),
        coupon_discount_fen: 2_000,
        balance_used_fen: 10_000,
        amount_due_fen: 88_000,
        cancel_reason: String::new(),
        created_ms: NOON,
        confirmed_ms: Some(NOON + 7),
        paid_ms: None,
        cancelled_ms: None,
        pay_deadline_ms: Some(NOON + 1_800_000),
    }
}

fn payment() -> pay::Payment {
    pay::Payment {
        pay_id: PAYMENT,
        order_id: ORDER,
        amount_fen: 88_000,
        channel: "sandbox".into(),
        status: pay::PaymentStatus::Unpaid.into(),
        pay_url: format!("http://127.0.0.1:8080/sandbox/pay/{PAYMENT}"),
        channel_trade_no: String::new(),
        created_ms: NOON,
        paid_ms: None,
        closed_ms: None,
        refunded_fen: 0,
        refunds: Vec::new(),
    }
}

/// A refund of the course's payment.
pub(crate) fn refund() -> pay::Refund {
    pay::Refund {
        refund_id: REFUND,
        pay_id: PAYMENT,
        order_id: ORDER,
        amount_fen: 10_000,
        status: pay::refund::Status::Open.into(),
        cause: pay::refund::Cause::Operator.into(),
        reason: "arrived broken".into(),
        remark: String::new(),
        created_ms: NOON,
        done_ms: None,
    }
}

#[tonic::async_trait]
impl OrderService for Fake {
    type WatchOrderStream = ReceiverStream<Result<order::Order, Status>>;

    async fn confirm_order(
        &self,
        request: Request<order::ConfirmOrderRequest>,
    ) -> Result<Response<order::ConfirmOrderResponse>, Status> {
        self.note(request).await?;
        Ok(Response::new(order::ConfirmOrderResponse { order: Some(order()) }))
    }

    async fn get_order(&self, request: Request<order::GetOrderRequest>) -> Result<Response<order::Order>, Status> {
        self.note(request).await?;
        Ok(Response::new(order()))
    }

    async fn list_orders(
        &self,
        request: Request<order::ListOrdersRequest>,
    ) -> Result<Response<order::ListOrdersResponse>, Status> {
        self.note(request).await?;
        let next_page_token = ORDER.to_string();
        Ok(Response::new(order::ListOrdersResponse { orders: vec![order()], next_page_token }))
    }

    async fn cancel_order(
        &self,
        request: Request<order::CancelOrderRequest>,
    ) -> Result<Response<order::Order>, Status> {
        let cancel_reason = request.get_ref().reason.clone();
        self.note(request).await?;
        let status = order::OrderStatus::Cancelled.into();
        Ok(Response::new(order::Order { status, cancel_reason, cancelled_ms: Some(NOON), ..order() }))
    }

    async fn watch_order(
        &self,
        request: Request<order::WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        self.note(request).await?;
        let watched = self.0.watched.lock().unwrap().take().expect("nothing to watch");
        Ok(Response::new(ReceiverStream::new(watched)))
    }
}

#[tonic::async_trait]
impl OrderStateService for Fake {
    async fn get_states(
        &self,
        request: Request<order::GetStatesRequest>,
    ) -> Result<Response<order::GetStatesResponse>, Status> {
        let order_ids = request.get_ref().order_ids.clone();
        self.note(request).await?;
        let state = |order_id| order::OrderState {
            order_id,
            found: order_id == ORDER,
            user_id: USER,
            ..order::OrderState::default()
        };
        Ok(Response::new(order::GetStatesResponse { states: order_ids.into_iter().map(state).collect() }))
    }

    async fn begin_payment(
        &self,
        _: Request<order::BeginPaymentRequest>,
    ) -> Result<Response<order::BeginPaymentResponse>, Status> {
        panic!("the gateway begins no payment")
    }

    async fn mark_paid(&self, _: Request<order::MarkPaidRequest>) -> Result<Response<order::MarkPaidResponse>, Status> {
        panic!("the gateway marks nothing paid")
    }

    async fn mark_refunded(
        &self,
        _: Request<order::MarkRefundedRequest>,
    ) -> Result<Response<order::MarkRefundedResponse>, Status> {
        panic!("the gateway refunds no order")
    }
}

#[tonic::async_trait]
impl PayService for Fake {
    async fn create_payment(
        &self,
        request: Request<pay::CreatePaymentRequest>,
    ) -> Result<Response<pay::CreatePaymentResponse>, Status> {
        self.note(request).await?;
        Ok(Response::new(pay::CreatePaymentResponse { payment: Some(self.payment()) }))
    }

    async fn callback_payment(
        &self,
        request: Request<pay::CallbackPaymentRequest>,
    ) -> Result<Response<pay::CallbackPaymentResponse>, Status> {
        self.note(request).await?;
        let outcome = pay::callback_payment_response::Outcome::Applied.into();
        let (ack_body, payment) = (b"success".to_vec(), Some(self.payment()));
        Ok(Response::new(pay::CallbackPaymentResponse { outcome, ack_body, payment }))
    }

    async fn get_payment(&self, request: Request<pay::GetPaymentRequest>) -> Result<Response<pay::Payment>, Status> {
        self.note(request).await?;
        Ok(Response::new(pay::Payment { refunded_fen: 10_000, refunds: vec![refund()], ..self.payment() }))
    }
}

#[tonic::async_trait]
impl PaymentStateService for Fake {
    async fn get_states(
        &self,
        request: Request<pay::GetStatesRequest>,
    ) -> Result<Response<pay::GetStatesResponse>, Status> {
        let pay_ids = request.get_ref().pay_ids.clone();
        self.note(request).await?;
        let found = |pay_id| pay::PaymentState { pay_id, found: true, order_id: ORDER, ..pay::PaymentState::default() };
        Ok(Response::new(pay::GetStatesResponse { states: pay_ids.into_iter().map(found).collect() }))
    }

    async fn close_payments(
        &self,
        _: Request<pay::ClosePaymentsRequest>,
    ) -> Result<Response<pay::ClosePaymentsResponse>, Status> {
        panic!("the gateway closes no payment")
    }

    async fn close_at_channel(
        &self,
        _: Request<pay::CloseAtChannelRequest>,
    ) -> Result<Response<pay::CloseAtChannelResponse>, Status> {
        panic!("the gateway closes no payment")
    }

    async fn refund_order(
        &self,
        _: Request<pay::RefundOrderRequest>,
    ) -> Result<Response<pay::RefundOrderResponse>, Status> {
        panic!("the gateway refunds no order")
    }

    async fn hint_paid(
        &self,
        request: Request<pay::HintPaidRequest>,
    ) -> Result<Response<pay::HintPaidResponse>, Status> {
        self.note(request).await?;
        let outcome = pay::callback_payment_response::Outcome::Applied.into();
        Ok(Response::new(pay::HintPaidResponse { outcome, payment: Some(self.payment()) }))
    }
}

#[tonic::async_trait]
impl RefundService for Fake {
    async fn refund_payment(
        &self,
        request: Request<pay::RefundPaymentRequest>,
    ) -> Result<Response<pay::RefundPaymentResponse>, Status> {
        self.note(request).await?;
        Ok(Response::new(pay::RefundPaymentResponse { refund: Some(refund()) }))
    }

    async fn retry_refund(
        &self,
        request: Request<pay::RetryRefundRequest>,
    ) -> Result<Response<pay::RetryRefundResponse>, Status> {
        self.note(request).await?;
        Ok(Response::new(pay::RetryRefundResponse { refund: Some(refund()) }))
    }

    async fn list_refunds(
        &self,
        request: Request<pay::ListRefundsRequest>,
    ) -> Result<Response<pay::ListRefundsResponse>, Status> {
        self.note(request).await?;
        let (refunds, next_page_token) = (vec![refund()], REFUND.to_string());
        Ok(Response::new(pay::ListRefundsResponse { refunds, next_page_token }))
    }
}

fn goods_row() -> goods::Goods {
    goods::Goods {
        goods_id: GOODS,
        goods_name: "Javase课程".into(),
        goods_desc: "<script>alert(1)</script>".into(),
        price_fen: 100_000,
        stock_on_hand: 1000,
        added_ms: 1_562_675_880_000,
    }
}

#[tonic::async_trait]
impl GoodsService for Fake {
    async fn get_goods(&self, request: Request<goods::GetGoodsRequest>) -> Result<Response<goods::Goods>, Status> {
        self.note(request).await?;
        Ok(Response::new(goods_row()))
    }

    async fn list_goods(
        &self,
        request: Request<goods::ListGoodsRequest>,
    ) -> Result<Response<goods::ListGoodsResponse>, Status> {
        self.note(request).await?;
        let next_page_token = String::new();
        Ok(Response::new(goods::ListGoodsResponse { goods: vec![goods_row()], next_page_token }))
    }
}

#[tonic::async_trait]
impl CouponService for Fake {
    async fn get_coupon(&self, _: Request<coupon::GetCouponRequest>) -> Result<Response<coupon::Coupon>, Status> {
        panic!("the gateway lists coupons")
    }

    async fn list_coupons(
        &self,
        request: Request<coupon::ListCouponsRequest>,
    ) -> Result<Response<coupon::ListCouponsResponse>, Status> {
        self.note(request).await?;
        let unused =
            coupon::Coupon { coupon_id: COUPON, user_id: USER, discount_fen: 2_000, ..coupon::Coupon::default() };
        let used = coupon::Coupon {
            coupon_id: 7,
            used: true,
            order_id: Some(ORDER),
            used_ms: Some(NOON),
            valid_from_ms: Some(0),
            valid_until_ms: Some(NOON + 1),
            ..unused
        };
        Ok(Response::new(coupon::ListCouponsResponse { coupons: vec![unused, used] }))
    }
}

#[tonic::async_trait]
impl UserService for Fake {
    async fn get_user(&self, request: Request<user::GetUserRequest>) -> Result<Response<user::User>, Status> {
        self.note(request).await?;
        Ok(Response::new(user::User { user_id: USER, user_name: "zs".into(), balance_fen: 100_000, score: 100 }))
    }
}
