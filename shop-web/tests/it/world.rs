//! A gateway in front of played services, and a client without a network.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, body::Body};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use shop_common::{code::ShopCode, error::ShopError, id::PayId, link::Link, money::Fen};
use shop_proto::{
    coupon::v1::coupon_service_server::CouponServiceServer,
    goods::v1::goods_service_server::GoodsServiceServer,
    order::v1::{order_service_server::OrderServiceServer, order_state_service_server::OrderStateServiceServer},
    pay::v1::{
        pay_service_server::PayServiceServer, payment_state_service_server::PaymentStateServiceServer,
        refund_service_server::RefundServiceServer,
    },
    user::v1::user_service_server::UserServiceServer,
};
use shop_web::{Buyer, Config, Links, Ops, Standing, Trade};
use tonic::service::RoutesBuilder;
use tower::ServiceExt;

use crate::fakes::{Fake, PAYMENT, USER};

pub(crate) struct World {
    pub(crate) fake: Fake,
    pub(crate) router: Router,
    pub(crate) is_ready: Arc<AtomicBool>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&Config::default())
    }

    pub(crate) fn with(config: &Config) -> Self {
        Self::build(config, Some(Arc::new(FakeBuyer::default())))
    }

    pub(crate) fn without_sandbox() -> Self {
        Self::build(&Config::default(), None)
    }

    pub(crate) fn without_operators() -> Self {
        let fake = Fake::new();
        let links = Links { refunds: None, ..links(&fake) };
        Self::over(&Config::default(), fake, links, None)
    }

    fn build(config: &Config, sandbox: Option<Arc<dyn Buyer>>) -> Self {
        let fake = Fake::new();
        let links = links(&fake);
        Self::over(config, fake, links, sandbox)
    }

    fn over(config: &Config, fake: Fake, links: Links, sandbox: Option<Arc<dyn Buyer>>) -> Self {
        let is_ready = Arc::new(AtomicBool::new(true));
        let ready = Arc::clone(&is_ready);
        let ops = Ops { is_ready: Arc::new(move || ready.load(Ordering::SeqCst)), metrics: None };
        let router = shop_web::router(config, links, sandbox, ops);
        Self { fake, router, is_ready }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }

    /// A request of the course's user.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path).header("x-user-id", USER).body(Body::empty()).unwrap()).await
    }

    /// A JSON request of the course's user.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = request("POST", path).header("x-user-id", USER).header("content-type", "application/json");
        self.send(request.header("idempotency-key", "key-1").body(body.into()).unwrap()).await
    }

    /// A JSON request of nobody, as the course's clients send it.
    pub(crate) async fn post_as_nobody(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = request("POST", path).header("content-type", "application/json;charset=UTF-8");
        self.send(request.body(body.into()).unwrap()).await
    }
}

pub(crate) fn links(fake: &Fake) -> Links {
    let mut routes = RoutesBuilder::default();
    routes.add_service(OrderServiceServer::new(fake.clone()));
    routes.add_service(OrderStateServiceServer::new(fake.clone()));
    routes.add_service(PayServiceServer::new(fake.clone()));
    routes.add_service(PaymentStateServiceServer::new(fake.clone()));
    routes.add_service(RefundServiceServer::new(fake.clone()));
    routes.add_service(GoodsServiceServer::new(fake.clone()));
    routes.add_service(CouponServiceServer::new(fake.clone()));
    routes.add_service(UserServiceServer::new(fake.clone()));
    let link = Link::local(routes.routes());
    Links {
        orders: link.clone(),
        order_state: link.clone(),
        payments: link.clone(),
        payment_state: link.clone(),
        refunds: Some(link.clone()),
        goods: link.clone(),
        coupons: link.clone(),
        users: link,
    }
}

pub(crate) fn request(method: &str, path: &str) -> http::request::Builder {
    Request::builder().method(method).uri(path)
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Status, code and field of a problem; checks what every problem has.
    pub(crate) fn problem(&self) -> (u16, String, Option<String>) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let body = self.json();
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let code = text("code").unwrap();
        let row = ShopCode::from_name(&code).unwrap().row();
        assert_eq!(body["status"], self.status.as_u16());
        assert_eq!(body["number"], row.number);
        assert_eq!(text("type").unwrap(), format!("urn:shop:problem:{code}"));
        assert!(!text("title").unwrap().is_empty() && !text("detail").unwrap().is_empty(), "{self:?}");
        (self.status.as_u16(), code, text("field"))
    }
}

/// A payment that is closed.
pub(crate) const CLOSED: i64 = 14;

/// The sandbox's buyer: pays the course's payment, knows no other but a closed one, and breaks on 13.
#[derive(Default)]
struct FakeBuyer(AtomicBool);

#[tonic::async_trait]
impl Buyer for FakeBuyer {
    async fn look(&self, pay_id: PayId) -> Result<Trade, ShopError> {
        let status = match pay_id.get() {
            PAYMENT if self.0.load(Ordering::SeqCst) => Standing::Paid,
            PAYMENT => Standing::Waiting,
            CLOSED => Standing::Closed,
            _ => return Err(ShopError::at(ShopCode::PaymentNotFound, "pay_id")),
        };
        Ok(Trade { amount: Fen::new(88_000), status })
    }

    async fn statement(&self, day: &str) -> Result<String, ShopError> {
        match day {
            "2026-11-24" => Ok("at,kind,pay_id,refund_id,trade_no,amount\n".to_owned()),
            _ => Err(ShopError::invalid("day", "not a day")),
        }
    }

    async fn pay(&self, pay_id: PayId) -> Result<(), ShopError> {
        match pay_id.get() {
            PAYMENT => {
                self.0.store(true, Ordering::SeqCst);
                Ok(())
            }
            CLOSED => Err(ShopError::at(ShopCode::OrderNotPayable, "pay_id")),
            13 => panic!("the sandbox is broken"),
            _ => Err(ShopError::at(ShopCode::PaymentNotFound, "pay_id")),
        }
    }
}
