//! The buyer's page of the sandbox channel: paying like a buyer would.

use axum::extract::State;
use serde::Serialize;
use shop_common::{code::ShopCode, error::ShopError, id::PayId};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, params::PathId, problem::Problem, problem::ProblemBody};

/// The buyer's side of the sandbox channel.
#[async_trait::async_trait]
pub trait Buyer: Send + Sync {
    /// Pays; the channel then sends its signed notification until it is accepted.
    ///
    /// # Errors
    /// `SHOP_PAYMENT_NOT_FOUND`, or what the channel refuses with.
    async fn pay(&self, pay_id: PayId) -> Result<(), ShopError>;
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(pay))
}

/// What the sandbox says of a payment.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Paid {
    /// The payment.
    #[schema(value_type = String, example = "352542415984402432")]
    pay_id: PayId,
    /// The channel's word for it.
    #[schema(example = "SUCCESS")]
    status: &'static str,
}

/// Pays a payment of the sandbox channel.
#[utoipa::path(
    post, path = "/sandbox/pay/{pay_id}", tag = "sandbox",
    params(("pay_id" = String, Path, description = "The payment")),
    responses(
        (status = 200, description = "Paid; the notification is on its way", body = Paid),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn pay(State(app): State<App>, PathId(pay_id): PathId) -> Result<axum::Json<Paid>, Problem> {
    let sandbox = app.sandbox.as_ref().ok_or(ShopCode::PaymentNotFound)?;
    let pay_id = PayId::new(pay_id);
    sandbox.pay(pay_id).await.map_err(Problem::of_service)?;
    Ok(axum::Json(Paid { pay_id, status: "SUCCESS" }))
}
