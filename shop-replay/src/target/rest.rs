//! The shop over REST.

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use shop_common::{
    code::ShopCode,
    error::{Result, ShopError},
    id::{OrderId, PayId},
    money::Fen,
};

use super::{PATIENCE, TIMEOUT, Wanted};
use crate::{compose::Message, judge::Answer, notification::PaymentRef};

#[derive(Clone)]
pub(super) struct Rest {
    client: Client,
    base: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    order_id: OrderId,
    amount_due: Fen,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payment {
    pay_id: PayId,
    amount: Fen,
    status: String,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

impl Rest {
    pub(super) fn new(host: &str) -> Self {
        Self { client: Client::new(), base: format!("http://{host}") }
    }

    /// Whether it answers at all, whatever it answers.
    pub(super) async fn is_spoken(&self) -> bool {
        self.client.get(format!("{}/healthz", self.base)).timeout(TIMEOUT).send().await.is_ok()
    }

    pub(super) async fn deliver(&self, message: &Message, ack: &[u8]) -> Answer {
        let url = format!("{}/api/v1/callbacks/{}", self.base, message.channel);
        let mut post = self.client.post(url).timeout(TIMEOUT).body(message.body.clone());
        for (name, value) in &message.headers {
            post = post.header(name, value);
        }
        match post.send().await {
            Ok(answer) => {
                let status = answer.status();
                match answer.bytes().await {
                    Ok(body) => read(status.as_u16(), &body, ack),
                    Err(error) => Answer::Unclear(error.without_url().to_string()),
                }
            }
            Err(error) => Answer::Unclear(error.without_url().to_string()),
        }
    }

    pub(super) async fn place(&self, wanted: &Wanted) -> Result<PaymentRef> {
        let user_id = wanted.user_id;
        let order = json!({ "items": [{ "goodsId": wanted.goods_id.to_string(), "quantity": 1 }] });
        let place =
            self.client.post(format!("{}/api/v1/orders", self.base)).header("idempotency-key", &wanted.request_id);
        let order: Order = self.ask(place.json(&order), user_id).await?;
        let order_id = order.order_id.get();
        let payment = json!({ "amount": order.amount_due.to_string(), "channel": wanted.channel });
        let make = self.client.post(format!("{}/api/v1/orders/{order_id}/payments", self.base));
        let payment: Payment = self.ask(make.json(&payment), user_id).await?;
        Ok(PaymentRef { pay_id: payment.pay_id.get(), order_id, user_id, amount: payment.amount })
    }

    pub(super) async fn cancel(&self, payment: &PaymentRef) -> Result<()> {
        let cancel = self.client.post(format!("{}/api/v1/orders/{}/cancel", self.base, payment.order_id));
        match self.ask::<Order>(cancel, payment.user_id).await {
            Err(error) if error.code != ShopCode::OrderNotCancellable => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) async fn is_paid(&self, payment: &PaymentRef) -> Result<bool> {
        let get = self.client.get(format!("{}/api/v1/payments/{}", self.base, payment.pay_id));
        Ok(self.ask::<Payment>(get, payment.user_id).await?.status == "PAID")
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder, user_id: i64) -> Result<T> {
        let request = request.header("x-user-id", user_id.to_string()).timeout(PATIENCE);
        let answer = request.send().await.map_err(|_| ShopCode::Unknown)?;
        if answer.status().is_success() {
            return answer.json().await.map_err(|_| ShopCode::Internal.into());
        }
        Err(refusal(answer).await)
    }
}

/// What a notification was answered with.
pub(super) fn read(status: u16, body: &[u8], ack: &[u8]) -> Answer {
    if status != StatusCode::OK.as_u16() {
        return Answer::of_http(status);
    }
    Answer::of_ack(body, ack, false)
}

async fn refusal(answer: Response) -> ShopError {
    let status = answer.status();
    let named = answer.json::<Problem>().await.ok().and_then(|problem| ShopCode::from_name(&problem.code));
    let error = ShopError::from(named.unwrap_or(ShopCode::Internal));
    if named.is_some() { error } else { error.because(format!("HTTP {status}")) }
}
