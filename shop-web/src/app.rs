//! What every handler is given: the clients of the services, the limits, whom to believe.

use std::{ops::Deref, sync::Arc, time::Duration};

use shop_common::{
    code::ShopCode,
    error::ShopError,
    link::{self, Link},
};
use shop_proto::{
    coupon::v1::coupon_service_client::CouponServiceClient,
    goods::v1::goods_service_client::GoodsServiceClient,
    order::v1::{order_service_client::OrderServiceClient, order_state_service_client::OrderStateServiceClient},
    pay::v1::{
        pay_service_client::PayServiceClient, payment_state_service_client::PaymentStateServiceClient,
        refund_service_client::RefundServiceClient,
    },
    user::v1::user_service_client::UserServiceClient,
};
use tokio::sync::Semaphore;

use crate::{config::Config, sandbox::Buyer};

/// Where the services are.
#[derive(Clone, Debug)]
pub struct Links {
    /// `OrderService`.
    pub orders: Link,
    /// `OrderStateService`: whose an order is.
    pub order_state: Link,
    /// `PayService`.
    pub payments: Link,
    /// `PaymentStateService`: hints that a payment was paid.
    pub payment_state: Link,
    /// `RefundService`, where operators are served; without it the routes of refunds do not exist.
    pub refunds: Option<Link>,
    /// `GoodsService`.
    pub goods: Link,
    /// `CouponService`.
    pub coupons: Link,
    /// `UserService`.
    pub users: Link,
}

impl Links {
    fn limited(self, calls: usize) -> Self {
        Self {
            orders: self.orders.bulkhead("order", calls),
            order_state: self.order_state.bulkhead("order-state", calls),
            payments: self.payments.bulkhead("pay", calls),
            payment_state: self.payment_state.bulkhead("payment-state", calls),
            refunds: self.refunds.map(|link| link.bulkhead("refund", calls)),
            goods: self.goods.bulkhead("goods", calls),
            coupons: self.coupons.bulkhead("coupon", calls),
            users: self.users.bulkhead("user", calls),
        }
    }
}

/// The state of the router.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    links: Links,
    call_timeout: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) body_limit: usize,
    pub(crate) believes_user_header: bool,
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) event_streams: Arc<Semaphore>,
    pub(crate) sandbox: Option<Arc<dyn Buyer>>,
}

impl App {
    pub(crate) fn new(config: &Config, links: Links, sandbox: Option<Arc<dyn Buyer>>) -> Self {
        Self(Arc::new(Inner {
            links: links.limited(config.max_calls),
            call_timeout: config.call_timeout(),
            body_timeout: config.body_timeout(),
            body_limit: config.body_limit_bytes,
            believes_user_header: config.believes_user_header(),
            in_flight: Arc::new(Semaphore::new(config.max_in_flight)),
            event_streams: Arc::new(Semaphore::new(config.max_event_streams)),
            sandbox,
        }))
    }

    /// A call with the gateway's deadline and the trace of the request.
    pub(crate) fn call<T>(&self, message: T) -> tonic::Request<T> {
        link::call(message, self.call_timeout)
    }

    pub(crate) fn orders(&self) -> OrderServiceClient<Link> {
        OrderServiceClient::new(self.links.orders.clone())
    }

    pub(crate) fn order_state(&self) -> OrderStateServiceClient<Link> {
        OrderStateServiceClient::new(self.links.order_state.clone())
    }

    pub(crate) fn payments(&self) -> PayServiceClient<Link> {
        PayServiceClient::new(self.links.payments.clone())
    }

    pub(crate) fn payment_state(&self) -> PaymentStateServiceClient<Link> {
        PaymentStateServiceClient::new(self.links.payment_state.clone())
    }

    /// Operators' refunds.
    ///
    /// # Errors
    /// `SHOP_REFUND_NOT_FOUND` where operators are not served; their routes do not exist there.
    pub(crate) fn refunds(&self) -> Result<RefundServiceClient<Link>, ShopError> {
        let link = self.links.refunds.clone().ok_or(ShopCode::RefundNotFound)?;
        Ok(RefundServiceClient::new(link))
    }

    pub(crate) fn has_refunds(&self) -> bool {
        self.links.refunds.is_some()
    }

    pub(crate) fn goods(&self) -> GoodsServiceClient<Link> {
        GoodsServiceClient::new(self.links.goods.clone())
    }

    pub(crate) fn coupons(&self) -> CouponServiceClient<Link> {
        CouponServiceClient::new(self.links.coupons.clone())
    }

    pub(crate) fn users(&self) -> UserServiceClient<Link> {
        UserServiceClient::new(self.links.users.clone())
    }
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}
