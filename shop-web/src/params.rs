//! What a request says outside of its body: who acts, under which key, on what.

use axum::extract::{FromRequestParts, Query, RawPathParams};
use http::{HeaderMap, StatusCode, request::Parts};
use serde::{Deserialize, de::DeserializeOwned};
use shop_common::{
    error::ShopError,
    id::{UserId, canonical_integer},
};
use utoipa::IntoParams;

use crate::{app::App, problem::Problem};

const USER_HEADER: &str = "x-user-id";
const KEY_HEADER: &str = "idempotency-key";

/// The acting user.
pub(crate) struct User(pub(crate) UserId);

impl FromRequestParts<App> for User {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let user = acting_user(app, &parts.headers)?;
        user.map(Self).ok_or_else(|| Problem::invalid(USER_HEADER, "the header x-user-id says who acts"))
    }
}

/// Who the request says is acting; `None` where it does not say.
///
/// # Errors
/// 401 where an unauthenticated user is not believed; 400 for a header that is no id or stands there twice.
pub(crate) fn acting_user(app: &App, headers: &HeaderMap) -> Result<Option<UserId>, Problem> {
    if !app.believes_user_header {
        let problem = Problem::invalid(USER_HEADER, "an unauthenticated user is not believed here");
        return Err(problem.with_status(StatusCode::UNAUTHORIZED));
    }
    let Some(text) = single(headers, USER_HEADER)? else { return Ok(None) };
    Ok(Some(user_of(text, USER_HEADER)?))
}

fn user_of(text: &str, field: &'static str) -> Result<UserId, Problem> {
    let id = canonical_integer(text).ok_or_else(|| Problem::invalid(field, "not an id"))?;
    Ok(UserId::parse(id, field)?)
}

/// The acting user of a stream: by the header, or by the query, as a browser's `EventSource` sends no header of ours.
pub(crate) struct Watcher(pub(crate) UserId);

/// Who watches.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WatcherParams {
    /// The acting user, where the header `x-user-id` cannot be sent; believed where the header would be.
    user_id: Option<String>,
}

impl FromRequestParts<App> for Watcher {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let by_header = acting_user(app, &parts.headers)?;
        let Params(params) = Params::<WatcherParams>::from_request_parts(parts, app).await?;
        let by_query = params.user_id.map(|text| user_of(&text, "userId")).transpose()?;
        match (by_header, by_query) {
            (Some(one), Some(other)) if one != other => {
                Err(Problem::invalid("userId", "another user than the header x-user-id says"))
            }
            (one, other) => one.or(other).map(Self).ok_or_else(|| {
                Problem::invalid(USER_HEADER, "the header x-user-id, or userId in the query, says who acts")
            }),
        }
    }
}

/// The header `Idempotency-Key`; the order service judges what it says.
pub(crate) struct Key(pub(crate) String);

impl FromRequestParts<App> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let key = idempotency_key(&parts.headers)?;
        key.map(Self).ok_or_else(|| Problem::invalid("Idempotency-Key", "the header Idempotency-Key is required"))
    }
}

/// The idempotency key the request brings.
///
/// # Errors
/// 400 for one that is not visible ASCII or stands there twice.
pub(crate) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    Ok(single(headers, KEY_HEADER)?.map(str::to_owned))
}

fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            value.to_str().map(Some).map_err(|_| Problem::invalid(name, "a header of visible ASCII"))
        }
        (Some(_), Some(_)) => Err(Problem::invalid(name, "the header stands there twice")),
    }
}

/// The one id in the path.
pub(crate) struct PathId(pub(crate) i64);

impl FromRequestParts<App> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let malformed = || Problem::invalid("id", "the id in the path is a number greater than zero");
        let params = RawPathParams::from_request_parts(parts, app).await.map_err(|_| malformed())?;
        let id = params.iter().next().and_then(|(_, value)| canonical_integer(value)).filter(|id| *id > 0);
        id.map(Self).ok_or_else(malformed)
    }
}

/// Which page of a list.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// Rows of the page, 1 to 100; 20 if absent.
    #[serde(default)]
    pub(crate) page_size: i32,
    /// `nextPageToken` of the page before.
    #[serde(default)]
    pub(crate) page_token: String,
}

/// The query, as `T`, whose type says `deny_unknown_fields`.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        let refuse = |error: axum::extract::rejection::QueryRejection| ShopError::invalid("query", error.body_text());
        Ok(Self(query.map_err(refuse)?.0))
    }
}
