//! Bodies of requests: read whole, up to a size and within a time; never inflated.

use axum::{
    body::{Body, HttpBody},
    extract::{FromRequest, Request},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::{app::App, problem::Problem};

/// The text of a JSON request; empty only where there is no body at all.
pub(crate) struct JsonText(pub(crate) String);

impl FromRequest<App> for JsonText {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(app, &parts.headers, body).await?;
        if !bytes.is_empty() {
            require_json(&parts.headers)?;
        }
        let text = String::from_utf8(bytes.into()).map_err(|_| Problem::http(StatusCode::BAD_REQUEST, "not UTF-8"))?;
        Ok(Self(text))
    }
}

/// The bytes of a body.
///
/// # Errors
/// 415 when it is compressed, 413 when it is too large, 408 when it takes too long, 400 when it breaks off.
pub(crate) async fn read(app: &App, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let is_plain = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(header::CONTENT_ENCODING).iter().all(is_plain) {
        return Err(Problem::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a compressed body is not read"));
    }
    let too_large = || Problem::http(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
    if body.size_hint().lower() > u64::try_from(app.body_limit).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    match timeout(app.body_timeout, Limited::new(body, app.body_limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Problem::http(StatusCode::BAD_REQUEST, "the body broke off")),
        Err(_) => Err(Problem::http(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    }
}

/// `application/json` or `application/…+json`, in UTF-8.
fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = value.split(';').map(|part| part.trim().to_ascii_lowercase());
    let media_type = parts.next().unwrap_or_default();
    let is_json =
        media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"));
    let is_utf8 = |part: String| part.strip_prefix("charset=").is_none_or(|name| name.trim_matches('"') == "utf-8");
    if is_json && parts.all(is_utf8) {
        Ok(())
    } else {
        Err(Problem::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content type is application/json in UTF-8"))
    }
}
