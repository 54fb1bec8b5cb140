//! The six roles as processes of their own, as on several machines: an order from its confirmation to its points, another
//! one given back, a role that is killed in the middle, and the audit over files that no process shares.

use std::time::Duration;

use shop::seed::seed;
use shop_common::{code::Verdict, error::ShopError, link::call};
use shop_proto::{
    order::v1::{
        CancelOrderRequest, ConfirmItem, ConfirmOrderRequest, GetOrderRequest, Order, OrderStatus, PayStatus,
        order_service_client::OrderServiceClient,
    },
    pay::v1::{CreatePaymentRequest, GetPaymentRequest, Payment, PaymentStatus, pay_service_client::PayServiceClient},
    user::v1::{GetUserRequest, user_service_client::UserServiceClient},
};
use shop_testkit::{
    eventually,
    participant::number,
    proxy::{Fault, Way},
};
use tempfile::tempdir;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use crate::{
    clients::load::notification,
    fleet::{BROKER, Databases, Fleet, SECONDS, SERVICES, WEB, internal},
};

const USER: i64 = 345_963_634_385_633_280;
const GOODS: i64 = 345_959_443_973_935_104;
const COUPON: i64 = 345_988_230_098_857_984;
const PATIENCE: Duration = Duration::from_secs(30);
/// Until each of several has its share of the messages: one that missed that another has joined looks again 20 s later.
const SHARING: Duration = Duration::from_secs(90);
/// What is owed is asked for soon; the sandbox believes nobody but itself.
const KEYS: [&str; 2] = ["sweeper.interval_ms=200", "pay.sandbox.tutorial_mode=false"];

/// A client of the roles.
struct Client {
    orders: OrderServiceClient<Channel>,
    payments: PayServiceClient<Channel>,
    users: UserServiceClient<Channel>,
    http: reqwest::Client,
}

impl Client {
    fn of(fleet: &Fleet) -> Self {
        Self {
            orders: OrderServiceClient::new(fleet.connect("order")),
            payments: PayServiceClient::new(fleet.connect("pay")),
            users: UserServiceClient::new(fleet.connect("user")),
            http: reqwest::Client::new(),
        }
    }

    async fn confirm(&mut self, key: &str, coupon_id: Option<i64>) -> Order {
        self.try_confirm(key, coupon_id).await.unwrap()
    }

    async fn try_confirm(&mut self, key: &str, coupon_id: Option<i64>) -> Result<Order, ShopError> {
        let item = ConfirmItem { goods_id: GOODS, quantity: 1, ..ConfirmItem::default() };
        let request = ConfirmOrderRequest {
            request_id: key.to_owned(),
            user_id: USER,
            items: vec![item],
            coupon_id,
            balance_used_fen: 10_000,
            ..ConfirmOrderRequest::default()
        };
        let answer = self.orders.confirm_order(call(request, PATIENCE)).await;
        answer.map(|answer| answer.into_inner().order.unwrap()).map_err(|status| ShopError::from_status(&status))
    }

    async fn create_payment(&mut self, order: &Order) -> Payment {
        let Order { order_id, user_id, amount_due_fen: amount_fen, .. } = *order;
        let request = CreatePaymentRequest { order_id, user_id, amount_fen, channel: String::new() };
        self.payments.create_payment(request).await.unwrap().into_inner().payment.unwrap()
    }

    /// The channel's signed notification through the gateway: what it is answered.
    async fn notify(&self, fleet: &Fleet, payment: &Payment) -> String {
        let (header, signature, body) = notification(payment);
        let page = fleet.page("/api/v1/callbacks/sandbox");
        let answer = self.http.post(page).header(header, signature).body(body).send().await.unwrap();
        answer.text().await.unwrap()
    }

    async fn order_until(&mut self, what: &str, order: &Order, there: impl Fn(&Order) -> bool) {
        let request = GetOrderRequest { order_id: order.order_id, user_id: USER };
        eventually(what, PATIENCE, async || there(&self.orders.get_order(request).await.unwrap().into_inner())).await;
    }

    async fn points(&mut self) -> i64 {
        self.users.get_user(GetUserRequest { user_id: USER }).await.unwrap().into_inner().score
    }

    async fn points_until(&mut self, points: i64) {
        eventually("the points", PATIENCE, async || self.points().await == points).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_processes_serve_orders_from_end_to_end() {
    let dir = tempdir().unwrap();
    let databases = Databases::sqlite(dir.path());
    let schemas = databases.open().await;
    seed(&schemas).await.unwrap();
    let mut fleet = Fleet::start(databases, &KEYS).await;
    let mut client = Client::of(&fleet);
    each_says_that_it_serves(&fleet).await;

    let order = client.confirm("paid", Some(COUPON)).await;
    assert_eq!((order.status(), order.amount_due_fen), (OrderStatus::Confirmed, 88_000));
    let payment = client.create_payment(&order).await;
    assert_eq!(client.notify(&fleet, &payment).await, "success");
    client.order_until("it is paid", &order, |order| order.pay_status() == PayStatus::Paid).await;
    client.points_until(980).await;
    assert_eq!(client.notify(&fleet, &payment).await, "success", "told twice");
    for service in ["order", "user"] {
        // A sweeper may have been faster than its message.
        let handled = async || has_handled_messages(&fleet, service).await;
        eventually(&format!("{service} counts what it has handled"), PATIENCE, handled).await;
    }

    a_paid_order_goes_back(&fleet, &mut client, "given-back").await;
    a_killed_role_comes_back(&mut fleet, &mut client).await;

    fleet.databases().assert_clean().await;
    fleet.stop().await.assert_clean_as_they_are().await;
    let sold = "SELECT 1000 - goods_number AS n FROM trade_goods";
    assert_eq!(number(&schemas.goods, sold).await, 2, "two of three orders stand");
    assert_eq!(number(&schemas.user, "SELECT user_money_fen AS n FROM trade_user").await, 80_000);
    schemas.close().await;
}

/// The coupon role takes what it is asked and answers nobody (F79): orders without a coupon are served as ever, an order
/// with one is told that nothing is known, and is placed once the role answers again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_does_not_answer_holds_up_nobody_else() {
    let dir = tempdir().unwrap();
    let databases = Databases::sqlite(dir.path());
    seed(&databases.open().await).await.unwrap();
    let fleet = Fleet::start(databases, &KEYS).await;
    let mut client = Client::of(&fleet);

    fleet.door(&internal("coupon")).spoil(Fault::BlackHole(Way::Requests));
    let waits = tokio::spawn({
        let mut client = Client::of(&fleet);
        async move { client.try_confirm("with-coupon", Some(COUPON)).await }
    });
    for key in ["one", "two", "three"] {
        assert_eq!(client.confirm(key, None).await.status(), OrderStatus::Confirmed);
    }
    let unanswered = waits.await.unwrap().unwrap_err();
    assert_ne!(unanswered.verdict(), Verdict::Refused, "{unanswered}");

    fleet.door(&internal("coupon")).heal();
    let order = client.confirm("with-coupon", Some(COUPON)).await;
    assert_eq!((order.status(), order.coupon_discount_fen), (OrderStatus::Confirmed, 2_000));
    fleet.databases().assert_clean().await;
    fleet.stop().await;
}

/// Two instances of each service behind one address, over one schema: what both are asked at once is one order, each hears of
/// orders that were paid or cancelled, and one that dies holds up nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_of_each_service_share_its_work() {
    let dir = tempdir().unwrap();
    let Some(databases) = Databases::mariadb(dir.path()).await else { return };
    let schemas = databases.open().await;
    seed(&schemas).await.unwrap();
    let mut fleet = Fleet::start(databases, &KEYS).await;
    fleet.start_seconds().await;
    let (mut client, mut other) = (Client::of(&fleet), Client::of(&fleet));

    let (order, same) = tokio::join!(client.confirm("asked-of-both", None), other.confirm("asked-of-both", None));
    assert_eq!(order.order_id, same.order_id);
    let mut round = 0;
    eventually("each has handled messages", SHARING, async || {
        round += 1;
        a_paid_order_goes_back(&fleet, &mut client, &format!("round-{round}")).await;
        let handled = SERVICES.iter().chain(&SECONDS).map(|name| has_handled_messages(&fleet, name));
        futures::future::join_all(handled).await.into_iter().all(|handled| handled)
    })
    .await;

    let payment = client.create_payment(&order).await;
    for name in SECONDS {
        fleet.kill(name).await;
    }
    // Whoever was connected to one that died may be told so once.
    let is_believed = async || client.notify(&fleet, &payment).await == "success";
    eventually("the notification is believed", PATIENCE, is_believed).await;
    client.order_until("it is paid", &order, |order| order.pay_status() == PayStatus::Paid).await;
    client.points_until(100 + 900).await;
    let is_confirmed = async || client.try_confirm("without-the-others", None).await.is_ok();
    eventually("another order is confirmed", PATIENCE, is_confirmed).await;

    fleet.start_seconds().await;
    fleet.databases().assert_clean().await;
    fleet.stop().await.assert_clean_as_they_are().await;
    assert_eq!(number(&schemas.goods, "SELECT 1000 - goods_number AS n FROM trade_goods").await, 2);
    schemas.close().await;
}

async fn has_handled_messages(fleet: &Fleet, name: &str) -> bool {
    let page = reqwest::get(fleet.operations(name, "/metrics")).await.unwrap().text().await.unwrap();
    page.contains("shop_messages_handled_total")
}

async fn each_says_that_it_serves(fleet: &Fleet) {
    for role in SERVICES {
        let service = format!("shop.{role}.v1.{}Service", [&role[..1].to_uppercase(), &role[1..]].concat());
        let mut health = HealthClient::new(fleet.connect(role));
        let answer = health.check(HealthCheckRequest { service }).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{role}");
    }
    for page in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(reqwest::get(fleet.page(page)).await.unwrap().status(), 200, "{page}");
        for service in SERVICES {
            let answer = reqwest::get(fleet.operations(service, page)).await.unwrap();
            assert_eq!(answer.status(), 200, "{service}{page}");
        }
    }
    let elsewhere = reqwest::get(fleet.operations("goods", "/api/v1/goods")).await.unwrap();
    assert_eq!(elsewhere.status(), 404, "nothing but pages for operators");
}

/// Paid on the buyer's page, which the gateway shows of the sandbox in another process; then cancelled.
async fn a_paid_order_goes_back(fleet: &Fleet, client: &mut Client, key: &str) {
    let before = client.points().await;
    let order = client.confirm(key, None).await;
    let payment = client.create_payment(&order).await;
    let page = client.http.post(fleet.page(&payment.pay_url)).send().await.unwrap();
    assert_eq!(page.status(), 200);
    client.order_until("it is paid", &order, |order| order.pay_status() == PayStatus::Paid).await;
    client.points_until(before + 900).await;
    let request = CancelOrderRequest { order_id: order.order_id, user_id: USER, reason: "changed my mind".to_owned() };
    let cancelled = client.orders.cancel_order(request).await.unwrap().into_inner();
    assert_eq!(cancelled.status(), OrderStatus::Refunded);
    client.points_until(before).await;
}

/// The user role dies before it hears that an order was paid: the order is served all the same, and so are its points
/// once the role is back. Then the roles that an order begins with.
async fn a_killed_role_comes_back(fleet: &mut Fleet, client: &mut Client) {
    let order = client.confirm("in-the-middle", None).await;
    let payment = client.create_payment(&order).await;
    fleet.kill("user").await;
    assert_eq!(client.notify(fleet, &payment).await, "success");
    client.order_until("it is paid", &order, |order| order.pay_status() == PayStatus::Paid).await;
    fleet.start_role("user").await;
    client.points_until(980 + 900).await;

    for role in ["order", "pay", WEB, BROKER] {
        fleet.restart(role).await;
    }
    let request = GetPaymentRequest { pay_id: payment.pay_id, user_id: USER };
    let payment = client.payments.get_payment(request).await.unwrap().into_inner();
    assert_eq!(payment.status(), PaymentStatus::Paid);
    client.order_until("it is paid still", &order, |order| order.pay_status() == PayStatus::Paid).await;
    assert_eq!(client.confirm("in-the-middle", None).await.order_id, order.order_id);
}
