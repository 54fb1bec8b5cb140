//! Refunds: promise, list, ask again. For operators, except that a payment tells its own.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use shop_common::{
    code::ShopCode,
    id::{OrderId, PayId, RefundId},
    money::Fen,
};
use shop_proto::pay::v1 as proto;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::App,
    json::{Json, Moment},
    params::{Key, Params, PathId},
    problem::{Problem, ProblemBody},
};

/// Money on its way back to the buyer, or there.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Refund)]
pub(crate) struct RefundView {
    #[schema(value_type = String, example = "352542415984402433")]
    refund_id: RefundId,
    #[schema(value_type = String, example = "352542415984402432")]
    pay_id: PayId,
    #[schema(value_type = String, example = "352537369385242624")]
    order_id: OrderId,
    #[schema(value_type = String, example = "100.00")]
    amount: Fen,
    /// `OPEN`, `DONE`; `REFUSED` is a case for an operator.
    #[schema(example = "OPEN")]
    status: &'static str,
    /// `ORDER_CANCELLED`, `PAID_BY_OTHER`, `WRONG_AMOUNT`, `ORDER_REFUNDED`, `OPERATOR`.
    #[schema(example = "OPERATOR")]
    cause: &'static str,
    /// Why, in the operator's words.
    reason: String,
    /// What the channel said when it refused.
    remark: String,
    #[schema(value_type = String, format = DateTime)]
    created_ms: Moment,
    /// When the channel paid it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    done_ms: Option<Moment>,
}

/// A refund to be made.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewRefund {
    /// At most what is left of the payment; all that is left if absent.
    #[schema(value_type = Option<String>, example = "100.00")]
    amount: Option<Fen>,
    /// Why; kept, and shown to the buyer. 1 to 255 characters.
    #[schema(example = "arrived broken")]
    reason: String,
    /// Who says so; at most 64 characters.
    #[serde(default)]
    operator: String,
}

/// A page of refunds, newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RefundPage {
    refunds: Vec<RefundView>,
    /// Empty on the last page.
    next_page_token: String,
}

/// Which refunds.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Only those that stand there: `OPEN`, `DONE` or `REFUSED`.
    #[serde(default)]
    status: String,
    /// Rows of the page, 1 to 100; 20 if absent.
    #[serde(default)]
    page_size: i32,
    /// `nextPageToken` of the page before.
    #[serde(default)]
    page_token: String,
}

/// Promises a payment back, all that is left of it or a part. The same key and content again: the same refund.
#[utoipa::path(
    post, path = "/api/v1/payments/{id}/refunds", tag = "refunds", request_body = NewRefund,
    params(
        ("id" = String, Path, description = "The payment"),
        ("Idempotency-Key" = String, Header, description = "1 to 64 visible ASCII characters"),
    ),
    responses(
        (status = 201, description = "Promised; the channel pays it back by and by", body = RefundView),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "Not known", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn refund_payment(
    State(app): State<App>,
    PathId(pay_id): PathId,
    Key(request_id): Key,
    Json(NewRefund { amount, reason, operator }): Json<NewRefund>,
) -> Result<Response, Problem> {
    let amount_fen = amount.map(Fen::get);
    let request = proto::RefundPaymentRequest { pay_id, request_id, amount_fen, reason, operator };
    let refund = app.refunds()?.refund_payment(app.call(request)).await?.into_inner().refund;
    Ok((StatusCode::CREATED, axum::Json(RefundView::from(refund.ok_or(ShopCode::Internal)?))).into_response())
}

/// Refunds of all payments and causes, newest first.
#[utoipa::path(
    get, path = "/api/v1/refunds", tag = "refunds", params(Wanted),
    responses(
        (status = 200, description = "A page", body = RefundPage),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list_refunds(
    State(app): State<App>,
    Params(Wanted { status, page_size, page_token }): Params<Wanted>,
) -> Result<axum::Json<RefundPage>, Problem> {
    let request = proto::ListRefundsRequest { pay_id: 0, status, page_size, page_token };
    let page = app.refunds()?.list_refunds(app.call(request)).await?.into_inner();
    let refunds = page.refunds.into_iter().map(RefundView::from).collect();
    Ok(axum::Json(RefundPage { refunds, next_page_token: page.next_page_token }))
}

/// Asks the channel once more for a refund it had refused, under the same number; any other is answered as it is.
#[utoipa::path(
    post, path = "/api/v1/refunds/{id}/retry", tag = "refunds",
    params(("id" = String, Path, description = "The refund")),
    responses(
        (status = 200, description = "The refund", body = RefundView),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn retry_refund(
    State(app): State<App>,
    PathId(refund_id): PathId,
) -> Result<axum::Json<RefundView>, Problem> {
    let request = proto::RetryRefundRequest { refund_id };
    let refund = app.refunds()?.retry_refund(app.call(request)).await?.into_inner().refund;
    Ok(axum::Json(refund.ok_or(ShopCode::Internal)?.into()))
}

impl From<proto::Refund> for RefundView {
    fn from(refund: proto::Refund) -> Self {
        Self {
            refund_id: RefundId::new(refund.refund_id),
            pay_id: PayId::new(refund.pay_id),
            order_id: OrderId::new(refund.order_id),
            amount: Fen::new(refund.amount_fen),
            status: refund.status().as_str_name(),
            cause: refund.cause().as_str_name(),
            reason: refund.reason,
            remark: refund.remark,
            created_ms: Moment(refund.created_ms),
            done_ms: refund.done_ms.map(Moment),
        }
    }
}
