//! The course's routes, unchanged in path, JSON and answer (seed 003, chapter 10).
//!
//! A refusal of the shop is 200 with `success: false`, as the course's clients expect; an HTTP status of its own is for
//! what cannot be read and for the system itself. Ids and money may be numbers or strings; `null` is absent; unknown
//! keys are ignored, because the course's clients send whole rows. An unsigned callback is a hint and nothing more
//! (traps 40 to 42).

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing,
};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use shop_common::{
    code::ShopCode,
    error::ShopError,
    id::{OrderId, PayId, UserId},
    money::Fen,
};
use shop_proto::{
    order::v1::{ConfirmItem, ConfirmOrderRequest, GetStatesRequest},
    pay::v1::{CreatePaymentRequest, HintPaidRequest, Payment, PaymentStatus},
};
use tonic::Status;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    body::JsonText,
    json::{self, Literal},
    params::{acting_user, idempotency_key},
    problem::{Problem, ask_again_later},
};

/// The course's number and text of success.
const SUCCESS: (i32, &str) = (1, "正确");
/// The course's number of a failure that has none of its own.
const FAIL: i32 = 0;
/// `isPaid` of a paid payment: in the course's table, and in copies of the course.
const PAID: [i64; 2] = [2, 70002];

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(confirm_order))
        .routes(routes!(create_payment))
        .routes(routes!(callback_payment))
}

/// The spellings of copies of the course; served, not advertised.
pub(crate) fn aliases() -> Router<App> {
    let mut router = Router::new();
    for path in ["/order-web/order/confirmOrder", "/order/confirm", "/order/confirmOrder"] {
        router = router.route(path, routing::post(confirm_order));
    }
    router = router.route("/pay/createPayment", routing::post(create_payment));
    for path in ["/pay-web/pay/callBackPayment", "/pay/callbackPayment", "/pay/callBackPayment"] {
        router = router.route(path, routing::post(callback_payment));
    }
    router
}

/// The course's `Result`, with the ids it forgot (trap 51).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    /// Whether it was done.
    success: bool,
    /// For a person.
    message: String,
    /// 1, or why not: the number of the error table.
    code: i32,
    /// The order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    order_id: Option<OrderId>,
    /// The payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pay_id: Option<PayId>,
}

/// What the routes read of the course's `TradeOrder`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OrderForm {
    /// The buyer; must be the acting user where the request names one.
    #[schema(value_type = Option<String>, example = "345963634385633280")]
    user_id: Option<Literal>,
    /// What to buy.
    #[schema(value_type = String, example = "345959443973935104")]
    goods_id: Option<Literal>,
    /// How many.
    #[schema(value_type = i32, example = 1)]
    goods_number: Option<Literal>,
    /// Price of one the buyer was shown.
    #[schema(value_type = Option<String>, example = "1000")]
    goods_price: Option<Literal>,
    /// Freight the buyer was shown.
    #[schema(value_type = Option<String>, example = "0")]
    shipping_fee: Option<Literal>,
    /// The items' total, or the total with freight.
    #[schema(value_type = Option<String>, example = "1000")]
    order_amount: Option<Literal>,
    /// What to take from the balance.
    #[schema(value_type = Option<String>, example = "100")]
    money_paid: Option<Literal>,
    /// A coupon of the buyer.
    #[schema(value_type = Option<String>, example = "345988230098857984")]
    coupon_id: Option<Literal>,
    /// Where to.
    #[schema(example = "北京")]
    address: Option<String>,
    /// To whom.
    consignee: Option<String>,
}

/// What the routes read of the course's `TradePay` to create a payment.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PaymentForm {
    /// Which order.
    #[schema(value_type = String, example = "352537369385242624")]
    order_id: Option<Literal>,
    /// Exactly the amount due.
    #[schema(value_type = String, example = "880")]
    pay_amount: Option<Literal>,
}

/// What the routes read of the course's `TradePay` when it calls back.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CallbackForm {
    /// Which payment.
    #[schema(value_type = String, example = "352542415984402432")]
    pay_id: Option<Literal>,
    /// 2, or 70002 in copies of the course: paid.
    #[schema(value_type = i64, example = 2)]
    is_paid: Option<Literal>,
}

/// Places an order of one goods line.
#[utoipa::path(post, path = "/order-web/order/confirm", tag = "tutorial", request_body = OrderForm,
    responses((status = 200, description = "Done, or refused with `success: false`", body = Answer)))]
pub(crate) async fn confirm_order(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<JsonText, Problem>,
) -> Response {
    let request = body.and_then(|body| confirm_request(&app, &headers, &json::read(&body.0)?));
    let request = match request {
        Ok(request) => request,
        Err(problem) => return unreadable(&problem),
    };
    let answer = app.orders().confirm_order(app.call(request)).await;
    answer_with(answer.map(|response| {
        let order = response.into_inner().order;
        Answer { order_id: order.map(|order| OrderId::new(order.order_id)), ..Answer::success() }
    }))
}

/// Makes a payment for an order.
#[utoipa::path(post, path = "/pay-web/pay/createPayment", tag = "tutorial", request_body = PaymentForm,
    responses((status = 200, description = "Done, or refused with `success: false`", body = Answer)))]
pub(crate) async fn create_payment(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<JsonText, Problem>,
) -> Response {
    let read = body.and_then(|body| {
        let form: PaymentForm = json::read(&body.0)?;
        let order_id = required(form.order_id.as_ref(), "orderId")?.integer("orderId")?;
        let amount = required(form.pay_amount.as_ref(), "payAmount")?.money("payAmount")?;
        Ok((acting_user(&app, &headers)?, order_id, amount))
    });
    match read {
        Ok((user, order_id, amount)) => answer_with(pay_order(&app, user, order_id, amount).await),
        Err(problem) => unreadable(&problem),
    }
}

/// Says that a payment was paid. Unsigned, so it is believed by nobody: the payment's channel is asked.
#[utoipa::path(post, path = "/pay-web/pay/callbackPayment", tag = "tutorial", request_body = CallbackForm,
    responses((status = 200, description = "Paid, or not with `success: false`", body = Answer)))]
pub(crate) async fn callback_payment(State(app): State<App>, body: Result<JsonText, Problem>) -> Response {
    let read = body.and_then(|body| {
        let form: CallbackForm = json::read(&body.0)?;
        let pay_id = required(form.pay_id.as_ref(), "payId")?.integer("payId")?;
        Ok((pay_id, required(form.is_paid.as_ref(), "isPaid")?.integer("isPaid")?))
    });
    match read {
        Ok((pay_id, is_paid)) if PAID.contains(&is_paid) => answer_with(hint(&app, pay_id).await),
        Ok(_) => refused(&ShopError::invalid("isPaid", "only isPaid 2 says that something happened")),
        Err(problem) => unreadable(&problem),
    }
}

fn confirm_request(app: &App, headers: &HeaderMap, form: &OrderForm) -> Result<ConfirmOrderRequest, Problem> {
    let user_id = buyer(acting_user(app, headers)?, form.user_id.as_ref())?;
    let goods_id = required(form.goods_id.as_ref(), "goodsId")?.integer("goodsId")?;
    let number = required(form.goods_number.as_ref(), "goodsNumber")?.integer("goodsNumber")?;
    let quantity = i32::try_from(number).map_err(|_| Problem::invalid("goodsNumber", "out of range"))?;
    let price = money(form.goods_price.as_ref(), "goodsPrice")?;
    let shipping = money(form.shipping_fee.as_ref(), "shippingFee")?;
    let amount = money(form.order_amount.as_ref(), "orderAmount")?;
    let balance = money(form.money_paid.as_ref(), "moneyPaid")?;
    let coupon_id = form.coupon_id.as_ref().map(|id| id.integer("couponId")).transpose()?;
    let fresh_key = || format!("{:032x}", rand::random::<u128>());
    Ok(ConfirmOrderRequest {
        request_id: idempotency_key(headers)?.unwrap_or_else(fresh_key),
        user_id,
        items: vec![ConfirmItem { goods_id, quantity, expected_price_fen: price.map(Fen::get) }],
        coupon_id,
        balance_used_fen: balance.unwrap_or_default().get(),
        expected_shipping_fen: shipping.map(Fen::get),
        expected_total_fen: expected_total(price, quantity, shipping, amount).map(Fen::get),
        address: form.address.clone().unwrap_or_default(),
        consignee: form.consignee.clone().unwrap_or_default(),
        phone: String::new(),
    })
}

/// The body's `userId`, or the acting user; both only if they are the same.
fn buyer(acting: Option<UserId>, named: Option<&Literal>) -> Result<i64, Problem> {
    let named = named.map(|id| id.integer("userId")).transpose()?;
    match (acting.map(UserId::get), named) {
        (Some(acting), Some(named)) if acting != named => {
            Err(Problem::invalid("userId", "not the acting user").with_status(StatusCode::OK))
        }
        (acting, named) => acting.or(named).ok_or_else(|| Problem::invalid("userId", "required")),
    }
}

/// What `orderAmount` says of the total: the course drops the freight (trap 1), so the items' total is as good as the
/// total. Then price and freight are checked on their own, and the total follows from them.
fn expected_total(price: Option<Fen>, quantity: i32, shipping: Option<Fen>, amount: Option<Fen>) -> Option<Fen> {
    let amount = amount?;
    let items_total = price.and_then(|price| price.checked_mul(i64::from(quantity)));
    if items_total == Some(amount) { amount.checked_add(shipping?) } else { Some(amount) }
}

/// The course's clients name no user here: the order's owner pays.
async fn pay_order(app: &App, user: Option<UserId>, order_id: i64, amount: Fen) -> Result<Answer, Status> {
    let user_id = match user {
        Some(user) => user.get(),
        None => owner_of(app, order_id).await?,
    };
    let request = CreatePaymentRequest { order_id, user_id, amount_fen: amount.get(), channel: String::new() };
    let payment = app.payments().create_payment(app.call(request)).await?.into_inner().payment;
    Ok(Answer::success().of(payment.as_ref()))
}

async fn owner_of(app: &App, order_id: i64) -> Result<i64, Status> {
    let request = GetStatesRequest { order_ids: vec![order_id] };
    let states = app.order_state().get_states(app.call(request)).await?.into_inner().states;
    let found = states.first().filter(|state| state.found);
    Ok(found.ok_or(ShopError::at(ShopCode::OrderNotFound, "orderId"))?.user_id)
}

async fn hint(app: &App, pay_id: i64) -> Result<Answer, Status> {
    let payment = app.payment_state().hint_paid(app.call(HintPaidRequest { pay_id })).await?.into_inner().payment;
    let is_paid = payment.as_ref().is_some_and(|payment| payment.status() == PaymentStatus::Paid);
    let answer = if is_paid {
        Answer::success()
    } else {
        Answer {
            success: false,
            message: "the channel does not say that it is paid".into(),
            code: FAIL,
            ..Answer::success()
        }
    };
    Ok(answer.of(payment.as_ref()))
}

impl Answer {
    fn success() -> Self {
        let (code, message) = SUCCESS;
        Self { success: true, message: message.to_owned(), code, order_id: None, pay_id: None }
    }

    fn failure(error: &ShopError) -> Self {
        let message = error.message.to_string();
        Self { success: false, message, code: error.code.row().number, order_id: None, pay_id: None }
    }

    fn of(mut self, payment: Option<&Payment>) -> Self {
        self.order_id = payment.map(|payment| OrderId::new(payment.order_id));
        self.pay_id = payment.map(|payment| PayId::new(payment.pay_id));
        self
    }
}

fn answer_with(answer: Result<Answer, Status>) -> Response {
    match answer {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(status) => refused(&ShopError::from_status(&status)),
    }
}

/// The shop's no is 200; that the shop cannot say yes or no is not.
fn refused(error: &ShopError) -> Response {
    let row = error.code.row();
    let status = match error.code {
        ShopCode::Busy | ShopCode::Unavailable | ShopCode::Unknown | ShopCode::Internal => row.http,
        _ => StatusCode::OK.as_u16(),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, axum::Json(Answer::failure(error))).into_response();
    ask_again_later(&mut response, error);
    response
}

fn unreadable(problem: &Problem) -> Response {
    (problem.status, axum::Json(Answer::failure(&problem.error))).into_response()
}

fn required<'a>(literal: Option<&'a Literal>, field: &'static str) -> Result<&'a Literal, Problem> {
    literal.ok_or_else(|| Problem::invalid(field, format!("{field} is missing")))
}

fn money(literal: Option<&Literal>, field: &'static str) -> Result<Option<Fen>, Problem> {
    literal.map(|literal| literal.money(field)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(price: Option<i64>, quantity: i32, shipping: Option<i64>, amount: Option<i64>) -> Option<i64> {
        let fen = |fen: Option<i64>| fen.map(Fen::new);
        expected_total(fen(price), quantity, fen(shipping), fen(amount)).map(Fen::get)
    }

    #[test]
    fn the_items_total_and_the_total_with_freight_are_both_understood() {
        assert_eq!(total(Some(5_000), 1, Some(1_000), Some(5_000)), Some(6_000));
        assert_eq!(total(Some(5_000), 1, Some(1_000), Some(6_000)), Some(6_000));
        assert_eq!(total(Some(2_500), 2, None, Some(5_000)), None);
        assert_eq!(total(Some(100_000), 1, Some(0), Some(100_000)), Some(100_000));
    }

    #[test]
    fn another_amount_is_passed_on_to_be_refused() {
        assert_eq!(total(Some(5_000), 1, Some(1_000), Some(5_001)), Some(5_001));
        assert_eq!(total(None, 1, Some(1_000), Some(5_000)), Some(5_000));
        assert_eq!(total(Some(i64::MAX), 2, Some(0), Some(5_000)), Some(5_000));
        assert_eq!(total(Some(5_000), 1, Some(1_000), None), None);
    }
}
