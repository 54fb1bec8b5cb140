//! The course's routes, unchanged in path, JSON and answer (the course, text 003, chapter 10).
//!
//! A refusal of the shop is 200 with `success: false`, as the course's clients expect; an HTTP status of its own is for
//! what cannot be read and for the system itself. Ids and money may be numbers or strings; `null` is absent; unknown
//! keys are ignored, because the course's clients send whole rows. An unsigned callback is a hint and nothing more
//! (traps 40 to 42).

mod forms;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing,
};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use shop_common::{
    code::ShopCode,
    error::ShopError,
    id::{OrderId, PayId, UserId},
    money::Fen,
};
use shop_proto::{
    order::v1::GetStatesRequest,
    pay::v1::{CreatePaymentRequest, HintPaidRequest, Payment, PaymentStatus},
};
use tonic::Status;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::forms::{CallbackForm, OrderForm, PaymentForm};
use crate::{
    app::App,
    body::JsonText,
    json,
    params::{acting_user, idempotency_key},
    problem::{Problem, ask_again_later},
};

/// The course's number and text of success.
const SUCCESS: (i32, &str) = (1, "正确");
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

/// Places an order of one goods line.
#[utoipa::path(post, path = "/order-web/order/confirm", tag = "tutorial", request_body = OrderForm,
    responses((status = 200, description = "Done, or refused with `success: false`", body = Answer)))]
pub(crate) async fn confirm_order(
    State(app): State<App>,
    headers: HeaderMap,
    body: Result<JsonText, Problem>,
) -> Response {
    let request = body.and_then(|JsonText(text)| {
        let form: OrderForm = json::read(&text)?;
        let key = idempotency_key(&headers)?.unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
        form.into_request(acting_user(&app, &headers)?, key)
    });
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
    let read = body.and_then(|JsonText(text)| {
        let (order_id, amount) = json::read::<PaymentForm>(&text)?.read()?;
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
    let read = body.and_then(|JsonText(text)| json::read::<CallbackForm>(&text)?.read());
    match read {
        Ok((pay_id, is_paid)) if PAID.contains(&is_paid) => answer_with(hint(&app, pay_id).await),
        Ok(_) => refused(&ShopError::invalid("isPaid", "only isPaid 2 says that something happened")),
        Err(problem) => unreadable(&problem),
    }
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
        Answer::failure(&ShopError::from(ShopCode::PaymentNotPaid).because("the channel does not say that it is paid"))
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

/// The course's answer has no place for a field but its text.
fn unreadable(problem: &Problem) -> Response {
    let mut answer = Answer::failure(&problem.error);
    if let Some(field) = &problem.error.field {
        answer.message = format!("{field}: {}", answer.message);
    }
    (problem.status, axum::Json(answer)).into_response()
}
