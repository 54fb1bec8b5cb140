//! Clients that order and pay, and ask again what they were not answered.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream};
use hmac::{Hmac, KeyInit, Mac};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use sha2::Sha256;
use shop::audit::Schemas;
use shop_common::time::Clock;
use shop_pay::{DEMO_KEY, DEMO_KID};
use shop_proto::{
    order::v1::{
        CancelOrderRequest, ConfirmItem, ConfirmOrderRequest, GetOrderRequest, Order, OrderStatus,
        order_service_client::OrderServiceClient,
    },
    pay::v1::{CallbackPaymentRequest, CreatePaymentRequest, Payment, pay_service_client::PayServiceClient},
};
use shop_testkit::participant::execute;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tonic::{Request, transport::Channel};

use super::{
    log::{Answer, Log, Way},
    stock::{self, COUPONS, GOODS, USERS},
};

/// Where clients find a shop.
#[derive(Clone)]
pub(crate) struct Entrance {
    /// `OrderService`.
    pub(crate) orders: Channel,
    /// `PayService`.
    pub(crate) payments: Channel,
    /// The gateway.
    pub(crate) web: SocketAddr,
}

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after an order that was not confirmed.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest wait for a definite answer, once the shop stays up; some seconds are enough on a machine that has time.
const PATIENCE: Duration = Duration::from_secs(240);

/// Clients at work.
pub(crate) struct Load {
    is_over: Arc<AtomicBool>,
    clients: JoinSet<()>,
}

/// One client of the shop.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) orders: OrderServiceClient<Channel>,
    pub(crate) payments: PayServiceClient<Channel>,
    http: reqwest::Client,
    web: SocketAddr,
    log: Log,
}

impl Load {
    /// One client for each buyer.
    pub(crate) fn start(shop: &Entrance, log: &Log, seed: u64, round: u64) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for user_id in 1..=USERS {
            let client = Client::of(shop, log);
            let random = StdRng::seed_from_u64(seed ^ (round << 32) ^ user_id.unsigned_abs());
            clients.spawn(client.work(user_id, round, random, Arc::clone(&is_over)));
        }
        Self { is_over, clients }
    }

    /// Lets no client ask anything more.
    pub(crate) fn stop_asking(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    /// Waits for the answers, or for their absence.
    pub(crate) async fn ended(self) {
        self.clients.join_all().await;
    }
}

impl Client {
    pub(crate) fn of(shop: &Entrance, log: &Log) -> Self {
        Self {
            orders: OrderServiceClient::new(shop.orders.clone()),
            payments: PayServiceClient::new(shop.payments.clone()),
            http: reqwest::Client::builder().timeout(TIMEOUT).build().unwrap(),
            web: shop.web,
            log: log.clone(),
        }
    }

    async fn work(mut self, user_id: i64, round: u64, mut random: StdRng, is_over: Arc<AtomicBool>) {
        let mut number = 0;
        while !is_over.load(Ordering::SeqCst) {
            let open: Vec<String> = self.open(user_id);
            if let Some(request_id) = open.choose(&mut random).filter(|_| random.random_ratio(1, 5)) {
                self.confirm(request_id).await;
                continue;
            }
            number += 1;
            let request_id = format!("round-{round}/user-{user_id}/{number}");
            let coupon = i64::try_from(round * 25 + number).unwrap();
            let request = request(&request_id, user_id, coupon, &mut random);
            let way = *[None, Some(Way::Page), Some(Way::Notice)].choose(&mut random).unwrap();
            // The sandbox gives back only what was paid at the sandbox.
            let is_cancelled = way != Some(Way::Notice) && random.random_ratio(1, 4);
            self.log.ask(&request, way, is_cancelled);
            let Some(order) = self.confirm(&request_id).await else { continue };
            if way.is_some() {
                self.pay(&order).await;
            }
            if is_cancelled {
                self.cancel(&order).await;
            }
            self.look(&order).await;
        }
    }

    /// Cancels an order; true once that is acknowledged.
    async fn cancel(&mut self, order: &Order) -> bool {
        let (order_id, user_id) = (order.order_id, order.user_id);
        self.log.cancel(&order.request_id, "cancel asked for", |cancel| cancel.is_asked = true);
        let mut request = Request::new(CancelOrderRequest { order_id, user_id, reason: "of chance".to_owned() });
        request.set_timeout(TIMEOUT);
        match Answer::of(self.orders.cancel_order(request).await) {
            Answer::Done(cancelled) => {
                let is_over = [OrderStatus::Cancelled, OrderStatus::Refunded].contains(&cancelled.get_ref().status());
                assert!(is_over, "{cancelled:?}");
                self.log.cancel(&order.request_id, "cancel acknowledged", |cancel| cancel.is_acknowledged = true);
                true
            }
            Answer::Refused(code) => panic!("no cancel may be refused: {code:?} {order:?}"),
            Answer::Open => false,
        }
    }

    /// Reads the order again, if that can be done now: what was seen may only go on (H8).
    async fn look(&mut self, order: &Order) {
        let mut request = Request::new(GetOrderRequest { order_id: order.order_id, user_id: order.user_id });
        request.set_timeout(TIMEOUT);
        if let Ok(now) = self.orders.get_order(request).await {
            self.log.seen(&order.request_id, now.get_ref());
        }
    }

    /// Requests of this buyer that have no definite answer.
    fn open(&self, user_id: i64) -> Vec<String> {
        let asked = self.log.asked().into_iter();
        let open = asked.filter(|asked| asked.request.user_id == user_id && asked.definite().is_none());
        open.map(|asked| asked.request.request_id).collect()
    }

    /// Sends a request that stands in the log; who gets no order pauses before he asks anything more.
    async fn confirm(&mut self, request_id: &str) -> Option<Order> {
        let mut request = Request::new(self.log.of(request_id).request);
        request.set_timeout(TIMEOUT);
        let answer = self.orders.confirm_order(request).await.map(|answer| answer.into_inner().order.unwrap());
        let answer = Answer::of(answer);
        self.log.answered(request_id, answer.clone());
        if let Answer::Done(order) = answer {
            return Some(order);
        }
        sleep(PAUSE).await;
        None
    }

    /// Creates the payment and pays it; true once that is acknowledged.
    async fn pay(&mut self, order: &Order) -> bool {
        let known = self.log.of(&order.request_id).pay.unwrap();
        let payment = match known.created.last() {
            Some(payment) => payment.clone(),
            None => match self.create(order).await {
                Some(payment) => payment,
                None => return false,
            },
        };
        let is_acknowledged = match known.way {
            Way::Page => self.pay_on_page(&payment).await,
            Way::Notice => self.notify(&payment).await,
        };
        if is_acknowledged {
            self.log.pay(&order.request_id, "payment acknowledged", |pay| pay.is_acknowledged = true);
        }
        is_acknowledged
    }

    async fn create(&mut self, order: &Order) -> Option<Payment> {
        let mut request = Request::new(CreatePaymentRequest {
            order_id: order.order_id,
            user_id: order.user_id,
            amount_fen: order.amount_due_fen,
            channel: String::new(),
        });
        request.set_timeout(TIMEOUT);
        let answer = self.payments.create_payment(request).await;
        let answer = Answer::of(answer.map(|answer| answer.into_inner().payment.unwrap()));
        match answer {
            Answer::Done(payment) => {
                let what = format!("payment created: {payment:?}");
                self.log.pay(&order.request_id, &what, |pay| pay.created.push(payment.clone()));
                Some(payment)
            }
            Answer::Refused(code) => panic!("no payment may be refused: {code:?} {order:?}"),
            Answer::Open => None,
        }
    }

    async fn pay_on_page(&self, payment: &Payment) -> bool {
        let answer = self.http.post(format!("http://{}{}", self.web, payment.pay_url)).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    async fn notify(&mut self, payment: &Payment) -> bool {
        let (header, signature, body) = notification(payment);
        let headers = [(header.to_owned(), signature)].into();
        let mut request = Request::new(CallbackPaymentRequest { channel: "sandbox".to_owned(), headers, body });
        request.set_timeout(TIMEOUT);
        match Answer::of(self.payments.callback_payment(request).await) {
            Answer::Done(answer) => answer.into_inner().ack_body == b"success",
            Answer::Refused(code) => panic!("no notification may be refused: {code:?} {payment:?}"),
            Answer::Open => false,
        }
    }
}

/// Asks until every order, payment and cancel is acknowledged or definitely refused; then four minutes pass for the
/// sandbox, whose notifications went to a shop that was killed.
pub(crate) async fn settle(shop: &Entrance, log: &Log, schemas: &Schemas) {
    let client = Client::of(shop, log);
    let end = Instant::now() + PATIENCE;
    let settled = log.asked().into_iter().map(|asked| {
        let mut client = client.clone();
        async move {
            let request_id = &asked.request.request_id;
            while client.log.of(request_id).definite().is_none() {
                assert!(Instant::now() < end, "no definite answer: {:?}", client.log.of(request_id));
                client.confirm(request_id).await;
            }
            let asked = client.log.of(request_id);
            let Some(order) = asked.order() else { return };
            let mut is_acknowledged = asked.is_done();
            while !is_acknowledged {
                assert!(Instant::now() < end, "not done: {asked:?}");
                is_acknowledged =
                    if asked.cancel.is_some() { client.cancel(order).await } else { client.pay(order).await };
            }
            client.look(order).await;
        }
    });
    stream::iter(settled).buffer_unordered(16).collect::<Vec<()>>().await;
    execute(&schemas.pay, "UPDATE sandbox_trade SET due_ms = 0 WHERE due_ms IS NOT NULL").await;
}

/// An order that the shop has no reason to refuse; its coupon is nobody else's.
fn request(request_id: &str, user_id: i64, coupon: i64, random: &mut StdRng) -> ConfirmOrderRequest {
    let mut items: Vec<ConfirmItem> = (1..=GOODS)
        .map(|goods_id| ConfirmItem {
            goods_id,
            quantity: random.random_range(1..=3),
            expected_price_fen: Some(stock::price(goods_id)),
        })
        .collect();
    items.truncate(random.random_range(1..=items.len()));
    let has_coupon = coupon < COUPONS && random.random_ratio(1, 3);
    ConfirmOrderRequest {
        request_id: request_id.to_owned(),
        user_id,
        items,
        coupon_id: has_coupon.then(|| stock::coupon(user_id, coupon)),
        balance_used_fen: if random.random() { random.random_range(1..=500) } else { 0 },
        address: format!("address of {request_id}"),
        ..ConfirmOrderRequest::default()
    }
}

/// The sandbox's notification that `payment` succeeded, signed now: the name of the header, what stands in it, the body.
pub(crate) fn notification(payment: &Payment) -> (&'static str, String, Vec<u8>) {
    let body = serde_json::json!({
        "notify_id": format!("n{}", payment.pay_id), "pay_id": payment.pay_id.to_string(),
        "channel_trade_no": format!("T{}", payment.pay_id), "merchant_id": "shop",
        "amount_fen": payment.amount_fen, "currency": "CNY", "status": "SUCCESS",
    });
    let body = body.to_string().into_bytes();
    let seconds = (Clock::system().now().get() / 1000).to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(DEMO_KEY.as_bytes()).unwrap();
    for part in [seconds.as_bytes(), b".", &body] {
        mac.update(part);
    }
    let signature = format!("t={seconds},kid={DEMO_KID},v1={}", hex::encode(mac.finalize().into_bytes()));
    ("x-shop-signature", signature, body)
}
