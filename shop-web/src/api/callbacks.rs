//! Notifications of payment channels: handed on as they came, byte for byte; the signature covers the raw body.

use std::collections::HashMap;

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};
use shop_common::{code::ShopCode, service::PUBLIC_MESSAGE_BYTES};
use shop_proto::pay::v1::CallbackPaymentRequest;

use crate::{app::App, body, problem::Problem, problem::ask_again_later};

/// What a channel reads where its notification was not accepted; it sends it again.
const FAIL: &str = "fail";
/// Room for what a gRPC message needs besides the notification itself.
const MESSAGE_OVERHEAD: usize = 4 << 10;

/// A notification of a channel, in the channel's own format. Answers what the channel wants to read.
#[utoipa::path(
    post, path = "/api/v1/callbacks/{channel}", tag = "payments",
    request_body(content = String, description = "As the channel sent it", content_type = "*/*"),
    params(("channel" = String, Path, description = "Name of a configured channel")),
    responses(
        (status = 200, description = "Accepted", body = String, content_type = "text/plain"),
        (status = "4XX", description = "`fail`", body = String, content_type = "text/plain"),
        (status = "5XX", description = "`fail`", body = String, content_type = "text/plain"),
    ),
)]
pub(crate) async fn callback_payment(
    State(app): State<App>,
    channel: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match notify(&app, channel, &headers, body).await {
        Ok(ack) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], ack).into_response(),
        Err(problem) => {
            let mut response = (problem.status, FAIL).into_response();
            ask_again_later(&mut response, &problem.error);
            response
        }
    }
}

async fn notify(
    app: &App,
    channel: Result<Path<String>, PathRejection>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Vec<u8>, Problem> {
    let Path(channel) = channel.map_err(|_| ShopCode::ChannelUnknown)?;
    let body = body::read(app, headers, body).await?;
    let request = CallbackPaymentRequest { channel, headers: lower_case(headers), body: body.into() };
    require_room(&request)?;
    Ok(app.payments().callback_payment(app.call(request)).await?.into_inner().ack_body)
}

/// Headers by name in lower case. One that stands there twice is joined as HTTP joins it, so a signature that was sent
/// twice is no signature; one that is not visible ASCII is none that a channel sends.
fn lower_case(headers: &HeaderMap) -> HashMap<String, String> {
    let mut all: HashMap<String, String> = HashMap::new();
    for (name, value) in headers {
        let Ok(value) = value.to_str() else { continue };
        all.entry(name.as_str().to_owned())
            .and_modify(|joined| {
                joined.push_str(", ");
                joined.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    all
}

/// The pay service reads no message larger than its public limit, and would call a larger one broken.
fn require_room(request: &CallbackPaymentRequest) -> Result<(), Problem> {
    let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    if request.body.len() + headers + request.channel.len() + MESSAGE_OVERHEAD > PUBLIC_MESSAGE_BYTES {
        return Err(Problem::http(StatusCode::PAYLOAD_TOO_LARGE, "the notification is too large"));
    }
    Ok(())
}
