//! The client over REST.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use shop_common::{
    code::ShopCode,
    error::{Result, ShopError},
    id::{OrderId, PayId, UserId},
    money::Fen,
};
use shop_pay::channel::sandbox;
use shop_proto::order::v1::{ConfirmItem, ConfirmOrderRequest, Order, OrderStatus, PayStatus};
use shop_replay::signer::Signed;

/// How long a client waits for one answer.
const PATIENCE: Duration = Duration::from_secs(30);
const USER: &str = "x-user-id";
/// What a channel reads where its notification was accepted.
const SUCCESS: &str = "success";

/// The client over REST.
pub(in crate::bench) struct Rest {
    http: reqwest::Client,
    api: String,
}

/// What is read of an order.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderBody {
    order_id: OrderId,
    user_id: UserId,
    status: String,
    pay_status: String,
    amount_due: Fen,
}

/// What is read of a payment.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PaymentBody {
    pay_id: PayId,
}

/// What is read of a user.
#[derive(Deserialize)]
struct UserBody {
    score: i64,
}

/// What is read of a refusal.
#[derive(Deserialize)]
struct ProblemBody {
    code: String,
}

impl Rest {
    pub(in crate::bench) fn new(address: &str) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().timeout(PATIENCE).tcp_nodelay(true).build()?;
        Ok(Self { http, api: format!("{address}/api/v1") })
    }

    pub(super) async fn confirm(&self, wanted: ConfirmOrderRequest) -> Result<Order> {
        let body = new_order(&wanted);
        let post = self.http.post(format!("{}/orders", self.api)).header("Idempotency-Key", wanted.request_id);
        read::<OrderBody>(post.header(USER, wanted.user_id).json(&body)).await.map(Order::from)
    }

    pub(super) async fn cancel(&self, order_id: i64, user_id: i64) -> Result<Order> {
        let post = self.http.post(format!("{}/orders/{order_id}/cancel", self.api)).header(USER, user_id);
        read::<OrderBody>(post.json(&json!({ "reason": "bench" }))).await.map(Order::from)
    }

    pub(super) async fn order(&self, order_id: i64, user_id: i64) -> Result<Order> {
        let get = self.http.get(format!("{}/orders/{order_id}", self.api)).header(USER, user_id);
        read::<OrderBody>(get).await.map(Order::from)
    }

    pub(super) async fn create_payment(&self, order: &Order) -> Result<i64> {
        let post = self.http.post(format!("{}/orders/{}/payments", self.api, order.order_id));
        let body = json!({ "amount": Fen::new(order.amount_due_fen), "channel": sandbox::NAME });
        Ok(read::<PaymentBody>(post.header(USER, order.user_id).json(&body)).await?.pay_id.get())
    }

    pub(super) async fn notify(&self, notice: Signed) -> Result<()> {
        let post = self.http.post(format!("{}/callbacks/{}", self.api, sandbox::NAME));
        let post = notice.headers.into_iter().fold(post, |post, (name, value)| post.header(name, value));
        let answer = post.body(notice.body).send().await.map_err(unknown)?;
        let is_ok = answer.status() == StatusCode::OK;
        let ack = answer.text().await.map_err(unknown)?;
        if is_ok && ack == SUCCESS { Ok(()) } else { Err(ShopCode::Unknown.into()) }
    }

    pub(super) async fn score(&self, user_id: i64) -> Result<i64> {
        let get = self.http.get(format!("{}/users/me", self.api)).header(USER, user_id);
        Ok(read::<UserBody>(get).await?.score)
    }
}

/// An order to be placed, as REST wants it.
fn new_order(wanted: &ConfirmOrderRequest) -> Value {
    let item = |item: &ConfirmItem| json!({ "goodsId": item.goods_id.to_string(), "quantity": item.quantity });
    json!({
        "items": wanted.items.iter().map(item).collect::<Vec<Value>>(),
        "couponId": wanted.coupon_id.map(|id| id.to_string()),
        "balanceUsed": Fen::new(wanted.balance_used_fen),
        "address": wanted.address,
        "consignee": wanted.consignee,
        "phone": wanted.phone,
    })
}

async fn read<T: DeserializeOwned>(request: RequestBuilder) -> Result<T> {
    let answer = request.send().await.map_err(unknown)?;
    if answer.status().is_success() {
        return answer.json().await.map_err(unknown);
    }
    let problem: ProblemBody = answer.json().await.map_err(unknown)?;
    Err(ShopCode::from_name(&problem.code).unwrap_or(ShopCode::Unknown).into())
}

/// No answer, or none that can be read: what became of the request is not known.
fn unknown(error: impl std::fmt::Display) -> ShopError {
    tracing::debug!(%error, "no answer over REST");
    ShopCode::Unknown.into()
}

impl From<OrderBody> for Order {
    fn from(body: OrderBody) -> Self {
        Self {
            order_id: body.order_id.get(),
            user_id: body.user_id.get(),
            status: OrderStatus::from_str_name(&body.status).unwrap_or_default().into(),
            pay_status: PayStatus::from_str_name(&body.pay_status).unwrap_or_default().into(),
            amount_due_fen: body.amount_due.get(),
            ..Self::default()
        }
    }
}
