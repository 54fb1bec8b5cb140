//! Payments: create, read.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use shop_common::{
    code::ShopCode,
    id::{OrderId, PayId},
    money::Fen,
};
use shop_proto::pay::v1 as proto;
use utoipa::ToSchema;

use super::refunds::RefundView;
use crate::{
    app::App,
    json::{Json, Moment},
    params::{PathId, User},
    problem::{Problem, ProblemBody},
};

/// A payment.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    #[schema(value_type = String, example = "352542415984402432")]
    pay_id: PayId,
    #[schema(value_type = String, example = "352537369385242624")]
    order_id: OrderId,
    #[schema(value_type = String, example = "880.00")]
    amount: Fen,
    #[schema(example = "sandbox")]
    channel: String,
    /// `UNPAID`, `PAYING`, `PAID`.
    #[schema(example = "UNPAID")]
    status: &'static str,
    /// Where the buyer pays.
    pay_url: String,
    /// The channel's own number; empty until it is known.
    channel_trade_no: String,
    #[schema(value_type = String, format = DateTime)]
    created_ms: Moment,
    /// When the money arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    paid_ms: Option<Moment>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    closed_ms: Option<Moment>,
    /// What has been promised back.
    #[schema(value_type = String, example = "0.00")]
    refunded: Fen,
    /// Its refunds, oldest first; only where one payment is read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refunds: Vec<RefundView>,
}

/// A payment to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewPayment {
    /// Exactly the amount due.
    #[schema(value_type = String, example = "880.00")]
    amount: Fen,
    /// The first configured one if absent.
    #[serde(default)]
    channel: String,
}

/// Makes a payment for an order. The same open order and channel again: the same payment.
#[utoipa::path(
    post, path = "/api/v1/orders/{id}/payments", tag = "payments", request_body = NewPayment,
    params(
        ("id" = String, Path, description = "The order"),
        ("x-user-id" = String, Header, description = "The acting user"),
    ),
    responses(
        (status = 201, description = "The payment", body = Payment, headers(("Location" = String))),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Not known", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn create_payment(
    State(app): State<App>,
    User(user): User,
    PathId(order_id): PathId,
    Json(NewPayment { amount, channel }): Json<NewPayment>,
) -> Result<Response, Problem> {
    let request = proto::CreatePaymentRequest { order_id, user_id: user.get(), amount_fen: amount.get(), channel };
    let response = app.payments().create_payment(app.call(request)).await?.into_inner();
    let payment = Payment::from(response.payment.ok_or(ShopCode::Internal)?);
    let location = format!("/api/v1/payments/{}", payment.pay_id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], axum::Json(payment)).into_response())
}

/// One payment.
#[utoipa::path(
    get, path = "/api/v1/payments/{id}", tag = "payments",
    params(
        ("id" = String, Path, description = "The payment"),
        ("x-user-id" = String, Header, description = "The acting user"),
    ),
    responses(
        (status = 200, description = "The payment", body = Payment),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn get_payment(
    State(app): State<App>,
    User(user): User,
    PathId(pay_id): PathId,
) -> Result<axum::Json<Payment>, Problem> {
    let request = proto::GetPaymentRequest { pay_id, user_id: user.get() };
    Ok(axum::Json(app.payments().get_payment(app.call(request)).await?.into_inner().into()))
}

impl From<proto::Payment> for Payment {
    fn from(payment: proto::Payment) -> Self {
        Self {
            pay_id: PayId::new(payment.pay_id),
            order_id: OrderId::new(payment.order_id),
            amount: Fen::new(payment.amount_fen),
            status: payment.status().as_str_name(),
            channel: payment.channel,
            pay_url: payment.pay_url,
            channel_trade_no: payment.channel_trade_no,
            created_ms: Moment(payment.created_ms),
            paid_ms: payment.paid_ms.map(Moment),
            closed_ms: payment.closed_ms.map(Moment),
            refunded: Fen::new(payment.refunded_fen),
            refunds: payment.refunds.into_iter().map(RefundView::from).collect(),
        }
    }
}
