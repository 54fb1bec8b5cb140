//! A shop with orders in every state, run by the built binary.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use shop::audit::Schemas;
use shop_common::time::Clock;
use shop_proto::{
    order::v1::{
        CancelOrderRequest, ConfirmItem, ConfirmOrderRequest, GetOrderRequest, Order, PayStatus,
        order_service_client::OrderServiceClient,
    },
    pay::v1::{CallbackPaymentRequest, CreatePaymentRequest, Payment, pay_service_client::PayServiceClient},
};
use shop_testkit::{
    eventually,
    participant::{execute, number},
};
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::wire::Wire;
use crate::child::{self, Up};

/// The key of the sandbox: nothing that leaves the process may hold it.
pub(crate) const CANARY: &str = "canary-key-of-the-sandbox-0123456789";
/// The buyer.
pub(crate) const ME: i64 = 1;
/// Somebody else.
pub(crate) const OTHER: i64 = 2;
/// Plenty, 100.00.
pub(crate) const BOOK: i64 = 1;
/// Too dear to be multiplied.
pub(crate) const JEWEL: i64 = 2;
/// Three of them, 1.00.
pub(crate) const RARE: i64 = 3;
/// Units of [`RARE`].
pub(crate) const RARE_STOCK: i32 = 3;
/// What shipping costs.
pub(crate) const SHIPPING: i64 = 1000;
/// What [`BOOK`] costs.
pub(crate) const PRICE: i64 = 10_000;
/// My balance.
pub(crate) const BALANCE: i64 = 8000;
/// Coupons: good, of somebody else, used, expired, not yet valid, for larger orders, larger than any order.
pub(crate) const COUPONS: [i64; 7] = [1, 2, 3, 4, 5, 6, 7];
/// Longest wait for what happens by itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The shop.
pub(crate) struct World {
    pub(crate) up: Up,
    pub(crate) channel: Channel,
    /// Another connection to it, for bytes of every kind.
    pub(crate) wire: Wire,
    pub(crate) schemas: Schemas,
    /// Confirmed, nothing paid.
    pub(crate) open: Order,
    /// Paid.
    pub(crate) paid: Payment,
    /// A payment that can be paid.
    pub(crate) paying: Payment,
    /// The closed payment of a cancelled order.
    pub(crate) closed: Payment,
    /// A payment of [`OTHER`].
    pub(crate) foreign: Payment,
    _dir: TempDir,
}

/// A correct order under this key.
pub(crate) fn order(request_id: &str) -> ConfirmOrderRequest {
    let item = ConfirmItem { goods_id: BOOK, quantity: 1, expected_price_fen: Some(PRICE) };
    ConfirmOrderRequest {
        request_id: request_id.to_owned(),
        user_id: ME,
        items: vec![item],
        expected_shipping_fen: Some(SHIPPING),
        expected_total_fen: Some(PRICE + SHIPPING),
        ..ConfirmOrderRequest::default()
    }
}

/// A correct notification about `payment`, to be signed.
pub(crate) fn notice(notify_id: &str, payment: &Payment) -> serde_json::Value {
    serde_json::json!({
        "notify_id": notify_id, "pay_id": payment.pay_id.to_string(), "channel_trade_no": format!("T{}", payment.pay_id),
        "merchant_id": "shop", "amount_fen": payment.amount_fen, "currency": "CNY", "status": "SUCCESS",
    })
}

/// The header that signs `body`, made `seconds` from now.
pub(crate) fn signature(body: &[u8], seconds: i64) -> String {
    let at = (Clock::system().now().get() / 1000 + seconds).to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(CANARY.as_bytes()).unwrap();
    for part in [at.as_bytes(), b".", body] {
        mac.update(part);
    }
    format!("t={at},kid=demo,v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// `body` as the sandbox would have sent it now.
pub(crate) fn signed(body: impl Into<Vec<u8>>) -> CallbackPaymentRequest {
    let body = body.into();
    let headers = [("x-shop-signature".to_owned(), signature(&body, 0))].into();
    CallbackPaymentRequest { channel: "sandbox".to_owned(), headers, body }
}

impl World {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let schemas = child::schemas(dir.path()).await;
        fill(&schemas).await;
        let up = Up::start(dir.path(), &[&format!("pay.sandbox.keys.demo={CANARY}")]).await;
        let channel = up.connect().await;
        let wire = Wire::connect(up.grpc).await.unwrap();
        let [open, spends, to_pay, to_cancel, pays] = ["open", "spends", "paid", "closed", "paying"];
        let mut buyer =
            Buyer { orders: OrderServiceClient::new(channel.clone()), pay: PayServiceClient::new(channel.clone()) };
        let open = buyer.confirm(order(open)).await;
        buyer.confirm(ConfirmOrderRequest { coupon_id: Some(COUPONS[2]), ..order(spends) }).await;
        let paying = buyer.confirm_and_create(order(pays)).await;
        let closed = buyer.confirm_and_create(order(to_cancel)).await;
        let cancel = CancelOrderRequest { order_id: closed.order_id, user_id: ME, reason: String::new() };
        buyer.orders.cancel_order(cancel).await.unwrap();
        let foreign = buyer.confirm_and_create(ConfirmOrderRequest { user_id: OTHER, ..order("foreign") }).await;
        let paid = buyer.confirm_and_create(order(to_pay)).await;
        let page = format!("http://{}{}", up.web, paid.pay_url);
        assert!(reqwest::Client::new().post(page).send().await.unwrap().status().is_success());
        eventually("the order is paid", PATIENCE, async || {
            let request = GetOrderRequest { order_id: paid.order_id, user_id: ME };
            buyer.orders.get_order(request).await.unwrap().into_inner().pay_status() == PayStatus::Paid
        })
        .await;
        let world = Self { up, channel, wire, schemas, open, paid, paying, closed, foreign, _dir: dir };
        world.settle().await;
        world
    }

    /// Waits until nothing moves any more.
    pub(crate) async fn settle(&self) {
        let mut before = String::new();
        let mut alike = 0;
        eventually("all is quiet", PATIENCE, async || {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = self.dump().await;
            alike = if now == before && self.outbox().await == 0 { alike + 1 } else { 0 };
            before = now;
            // Longer than the pause of a sweeper.
            alike == 8
        })
        .await;
    }

    async fn outbox(&self) -> i64 {
        let rows = "SELECT COUNT(*) AS n FROM trade_mq_producer_temp";
        number(&self.schemas.order, rows).await + number(&self.schemas.pay, rows).await
    }

    /// All rows of all schemas but the evidence of what was not believed.
    pub(crate) async fn dump(&self) -> String {
        without(&child::dump(&self.schemas).await, "trade_pay_rejected").join("\n")
    }

    /// Whether it still says that it serves.
    pub(crate) async fn is_healthy(&self) -> bool {
        let request = HealthCheckRequest { service: "shop.order.v1.OrderService".to_owned() };
        let answer = HealthClient::new(self.channel.clone()).check(request).await;
        answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
    }
}

/// A client that does everything right.
struct Buyer {
    orders: OrderServiceClient<Channel>,
    pay: PayServiceClient<Channel>,
}

impl Buyer {
    async fn confirm(&mut self, request: ConfirmOrderRequest) -> Order {
        self.orders.confirm_order(request).await.unwrap().into_inner().order.unwrap()
    }

    async fn confirm_and_create(&mut self, request: ConfirmOrderRequest) -> Payment {
        let order = self.confirm(request).await;
        let request = CreatePaymentRequest {
            order_id: order.order_id,
            user_id: order.user_id,
            amount_fen: order.amount_due_fen,
            channel: String::new(),
        };
        self.pay.create_payment(request).await.unwrap().into_inner().payment.unwrap()
    }
}

async fn fill(schemas: &Schemas) {
    for (goods, stock, price) in
        [(BOOK, 100, PRICE), (JEWEL, 100_000, i64::MAX / 2), (RARE, i64::from(RARE_STOCK), 100)]
    {
        let columns = "(goods_id, goods_name, goods_number, goods_price_fen, add_ms)";
        execute(
            &schemas.goods,
            &format!("INSERT INTO trade_goods {columns} VALUES ({goods}, 'x', {stock}, {price}, 1)"),
        )
        .await;
        execute(&schemas.goods, &format!("INSERT INTO trade_goods_number_log VALUES (0, {goods}, 0, {stock}, 1)"))
            .await;
    }
    for user in [ME, OTHER] {
        let columns = "(user_id, user_name, user_score, user_reg_ms, user_money_fen)";
        execute(&schemas.user, &format!("INSERT INTO trade_user {columns} VALUES ({user}, 'u', 0, 1, {BALANCE})"))
            .await;
        execute(&schemas.user, &format!("INSERT INTO trade_user_money_log VALUES (0, {user}, 0, {BALANCE}, 1)")).await;
        execute(&schemas.user, &format!("INSERT INTO trade_user_score_log VALUES (0, {user}, 0, 0, 1)")).await;
    }
    let far = 4_000_000_000_000_i64;
    let [good, foreign, used, expired, early, large, dear] = COUPONS;
    for (coupon, price, user, minimum, from, until) in [
        (good, 2000, ME, 0, "NULL".to_owned(), "NULL".to_owned()),
        (foreign, 2000, OTHER, 0, "NULL".to_owned(), "NULL".to_owned()),
        (used, 2000, ME, 0, "NULL".to_owned(), "NULL".to_owned()),
        (expired, 2000, ME, 0, "NULL".to_owned(), "2".to_owned()),
        (early, 2000, ME, 0, far.to_string(), "NULL".to_owned()),
        (large, 2000, ME, PRICE + 1, "NULL".to_owned(), "NULL".to_owned()),
        (dear, PRICE + SHIPPING + 1, ME, 0, "NULL".to_owned(), "NULL".to_owned()),
    ] {
        let columns = "(coupon_id, coupon_price_fen, user_id, minimum_fen, valid_from_ms, valid_until_ms)";
        let values = format!("({coupon}, {price}, {user}, {minimum}, {from}, {until})");
        execute(&schemas.coupon, &format!("INSERT INTO trade_coupon {columns} VALUES {values}")).await;
    }
}

/// The lines of a dump but those of this table.
pub(crate) fn without<'a>(dump: &'a str, left_out: &str) -> Vec<&'a str> {
    let mut table = "";
    let is_kept = |line: &&'a str| {
        if !line.starts_with(' ') {
            table = *line;
        }
        table != left_out
    };
    dump.lines().filter(is_kept).collect()
}
