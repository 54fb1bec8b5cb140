//! The sandbox channel as its buyers and its merchant see it: the cashier, paying, statements.

mod cashier;

use axum::{
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, header};
use serde::Serialize;
use shop_common::{
    code::ShopCode,
    error::ShopError,
    id::{OrderId, PayId},
    money::Fen,
};
use shop_proto::pay::v1::GetStatesRequest;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use self::cashier::Word;
use crate::{app::App, params::PathId, problem::Problem, problem::ProblemBody};

/// Where a trade of the sandbox stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The buyer may pay it.
    Waiting,
    /// Paid.
    Paid,
    /// Over without payment.
    Closed,
}

/// A trade as its buyer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// How much it is about.
    pub amount: Fen,
    /// Where it stands.
    pub status: Standing,
}

/// The sandbox channel, from outside of the shop.
#[async_trait::async_trait]
pub trait Buyer: Send + Sync {
    /// What there is to pay.
    ///
    /// # Errors
    /// `SHOP_PAYMENT_NOT_FOUND`.
    async fn look(&self, pay_id: PayId) -> Result<Trade, ShopError>;

    /// Pays; the channel then sends its signed notification until it is accepted.
    ///
    /// # Errors
    /// `SHOP_PAYMENT_NOT_FOUND`, or what the channel refuses with.
    async fn pay(&self, pay_id: PayId) -> Result<(), ShopError>;

    /// What the channel booked on a day of Beijing, as its merchants download it: CSV.
    ///
    /// # Errors
    /// `SHOP_REQUEST_PARAMETER_VALID` at `day`.
    async fn statement(&self, day: &str) -> Result<String, ShopError>;
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(cashier, pay)).routes(routes!(leave)).routes(routes!(statement))
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

/// The cashier's page, which `pay_url` leads to.
#[utoipa::path(
    get, path = "/sandbox/pay/{pay_id}", tag = "sandbox",
    params(("pay_id" = String, Path, description = "The payment")),
    responses(
        (status = 200, description = "A page with what there is to pay", body = String, content_type = "text/html"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn cashier(State(app): State<App>, PathId(pay_id): PathId) -> Result<Response, Problem> {
    show(&app, PayId::new(pay_id), Word::OfTrade).await
}

/// Where the buyer goes who does not pay after all. Nothing changes: the payment waits as before.
#[utoipa::path(
    get, path = "/sandbox/pay/{pay_id}/left", tag = "sandbox",
    params(("pay_id" = String, Path, description = "The payment")),
    responses(
        (status = 200, description = "A page that says so", body = String, content_type = "text/html"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn leave(State(app): State<App>, PathId(pay_id): PathId) -> Result<Response, Problem> {
    show(&app, PayId::new(pay_id), Word::Left).await
}

/// Pays a payment of the sandbox channel. A browser is led back to the page, which says how it went.
#[utoipa::path(
    post, path = "/sandbox/pay/{pay_id}", tag = "sandbox",
    params(("pay_id" = String, Path, description = "The payment")),
    responses(
        (status = 200, description = "Paid; the notification is on its way", body = Paid),
        (status = 303, description = "The same, for a browser: back to the page"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn pay(
    State(app): State<App>,
    PathId(pay_id): PathId,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let pay_id = PayId::new(pay_id);
    let paid = buyer(&app)?.pay(pay_id).await;
    match paid {
        // The page says that it is closed.
        Err(error) if error.code != ShopCode::OrderNotPayable || !is_browser(&headers) => {
            Err(Problem::of_service(error))
        }
        Ok(()) if !is_browser(&headers) => Ok(axum::Json(Paid { pay_id, status: "SUCCESS" }).into_response()),
        _ => Ok(Redirect::to(&format!("/sandbox/pay/{pay_id}")).into_response()),
    }
}

/// What the sandbox booked on a day of Beijing, for `shop reconcile --channel sandbox`.
#[utoipa::path(
    get, path = "/sandbox/statement/{day}", tag = "sandbox",
    params(("day" = String, Path, description = "The day", example = "2026-11-24")),
    responses(
        (status = 200, description = "Lines of `at,kind,pay_id,refund_id,trade_no,amount`", body = String, content_type = "text/csv"),
        (status = "4XX", description = "Refused", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn statement(
    State(app): State<App>,
    day: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(day) = day.map_err(|_| Problem::invalid("day", "a day like 2026-11-24"))?;
    let text = buyer(&app)?.statement(&day).await.map_err(Problem::of_service)?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response())
}

async fn show(app: &App, pay_id: PayId, word: Word) -> Result<Response, Problem> {
    let trade = buyer(app)?.look(pay_id).await.map_err(Problem::of_service)?;
    // The provider does not know the order; the shop does. Without its answer the page is complete enough to pay.
    let asked = app.call(GetStatesRequest { pay_ids: vec![pay_id.get()] });
    let states = app.payment_state().get_states(asked).await.map(|answer| answer.into_inner().states);
    let order_id = states.ok().and_then(|states| states.first().map(|state| OrderId::new(state.order_id)));
    Ok(cashier::page(pay_id, order_id.filter(|order_id| order_id.get() > 0), &trade, word))
}

fn buyer(app: &App) -> Result<&dyn Buyer, Problem> {
    Ok(app.sandbox.as_deref().ok_or(ShopCode::PaymentNotFound)?)
}

/// Whether a page is wanted rather than JSON: a browser says so.
fn is_browser(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accepted.is_some_and(|accept| accept.contains("text/html"))
}
