//! Errors of `/api/v1`: `application/problem+json` (RFC 9457) with the shop's code, number and field.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use shop_common::{
    code::{ShopCode, Verdict},
    error::ShopError,
};
use tonic::Status;
use utoipa::ToSchema;

/// What a request is refused with: a code of the table and the HTTP status, which differs from the table's where HTTP
/// itself has a name for what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) error: ShopError,
}

/// The body of an error.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// `urn:shop:problem:` and the code.
    r#type: String,
    /// What kind of problem it is.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request.
    detail: String,
    /// Stable name, for example `SHOP_GOODS_NUM_NOT_ENOUGH`.
    code: &'static str,
    /// Stable number, for example 20003.
    number: i32,
    /// The field, parameter or header at fault.
    field: Option<String>,
}

impl Problem {
    /// A request that cannot be read, under an HTTP status of its own.
    pub(crate) fn http(status: StatusCode, why: impl Into<Cow<'static, str>>) -> Self {
        Self { status, error: ShopError::from(ShopCode::ParameterInvalid).because(why) }
    }

    /// A field, parameter or header that is missing or malformed.
    pub(crate) fn invalid(field: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        ShopError::invalid(field, why).into()
    }

    /// The same with another HTTP status.
    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// A service's no, with the field as clients of REST call it.
    pub(crate) fn of_service(error: ShopError) -> Self {
        let field = error.field.as_deref().map(field_in_json).map(Cow::Owned);
        ShopError { field, ..error }.into()
    }

    pub(crate) fn body(&self) -> ProblemBody {
        let row = self.error.code.row();
        let is_own = self.status.as_u16() == row.http;
        ProblemBody {
            r#type: format!("urn:shop:problem:{}", row.name),
            title: if is_own { row.message } else { self.status.canonical_reason().unwrap_or(row.message) },
            status: self.status.as_u16(),
            detail: self.error.message.to_string(),
            code: row.name,
            number: row.number,
            field: self.error.field.as_deref().map(str::to_owned),
        }
    }
}

impl From<ShopError> for Problem {
    fn from(error: ShopError) -> Self {
        let status = StatusCode::from_u16(error.code.row().http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, error }
    }
}

impl From<ShopCode> for Problem {
    fn from(code: ShopCode) -> Self {
        ShopError::from(code).into()
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        Self::of_service(ShopError::from_status(&status))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = (self.status, axum::Json(self.body()));
        let mut response = body.into_response();
        let media_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        ask_again_later(&mut response, &self.error);
        response
    }
}

/// Says when to come back, where nothing was done and asking again may help.
pub(crate) fn ask_again_later(response: &mut Response, error: &ShopError) {
    if error.verdict() == Verdict::Retry {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
}

/// The field as clients of REST call it: `items[0].expected_price_fen` is `items[0].expectedPrice`.
fn field_in_json(field: &str) -> String {
    match field {
        "request_id" => "Idempotency-Key".to_owned(),
        "user_id" => "x-user-id".to_owned(),
        _ => field.split('.').map(camel_case).collect::<Vec<_>>().join("."),
    }
}

fn camel_case(segment: &str) -> String {
    let mut words = segment.strip_suffix("_fen").unwrap_or(segment).split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_as_in_json() {
        let names = [
            ("items[0].expected_price_fen", "items[0].expectedPrice"),
            ("balance_used_fen", "balanceUsed"),
            ("goods_id", "goodsId"),
            ("request_id", "Idempotency-Key"),
            ("user_id", "x-user-id"),
            ("address", "address"),
            ("", ""),
        ];
        for (ours, theirs) in names {
            assert_eq!(field_in_json(ours), theirs);
        }
    }

    #[test]
    fn only_a_retry_says_when_to_come_back() {
        for (code, expected) in [
            (ShopCode::Busy, Some("1")),
            (ShopCode::Unavailable, Some("1")),
            (ShopCode::InProgress, Some("1")),
            (ShopCode::Unknown, None),
            (ShopCode::GoodsNotEnough, None),
        ] {
            let response = Problem::from(code).into_response();
            assert_eq!(response.status().as_u16(), code.row().http);
            let header = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap());
            assert_eq!(header, expected, "{code:?}");
        }
    }
}
