//! How a channel asks its provider: one POST or GET, a limit on the time and on the answer.
//!
//! Whatever goes wrong here is *not known*: the provider may have done what it was asked. Nothing is asked twice here;
//! whoever asks again does so under the same numbers.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, Url, header::HeaderMap, redirect::Policy};
use shop_common::{code::ShopCode, error::Result};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Longest wait for a whole answer.
const TIME: Duration = Duration::from_secs(10);
/// Longest answer.
const ANSWER_BYTES: usize = 256 << 10;

/// What a provider answered, byte for byte.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Asks one provider.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    http: Client,
    base: Url,
}

impl Caller {
    /// Asks at `base`: https, or anything on loopback. No redirect is followed: our signature is for this address.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn new(base: &str) -> Result<Self, String> {
        let base: Url = base.parse().map_err(|error| format!("{base:?} is no URL: {error}"))?;
        let is_loopback = is_loopback(&base);
        if base.scheme() != "https" && !(base.scheme() == "http" && is_loopback) {
            return Err(format!("{base} is neither https nor on loopback"));
        }
        let http = Client::builder().connect_timeout(CONNECT).timeout(TIME).redirect(Policy::none());
        let http = if is_loopback { http.no_proxy() } else { http };
        Ok(Self { http: http.build().map_err(|error| error.to_string())?, base })
    }

    /// Where it asks.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// What requests are built with.
    pub(crate) fn http(&self) -> &Client {
        &self.http
    }

    /// Sends `request` once and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// `SHOP_UNKNOWN`.
    pub(crate) async fn ask(&self, request: RequestBuilder) -> Result<Answer> {
        self.answer(request).await.map_err(|why| {
            tracing::warn!(provider = %self.base.host_str().unwrap_or_default(), why, "no answer; not known");
            ShopCode::Unknown.into()
        })
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Answer, String> {
        let said = |error: reqwest::Error| error.without_url().to_string();
        let mut response = request.send().await.map_err(said)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(said)? {
            if body.len().saturating_add(chunk.len()) > ANSWER_BYTES {
                return Err(format!("the answer has more than {ANSWER_BYTES} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status: response.status(), headers: std::mem::take(response.headers_mut()), body })
    }
}

/// Whether notifications can be sent there: the providers take no query.
///
/// # Errors
/// Why not.
pub(crate) fn check_notify_url(url: &str) -> Result<(), String> {
    let url: Result<Url, _> = url.parse();
    if url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none()) {
        return Ok(());
    }
    Err("an http or https URL without a query".to_owned())
}

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, response::Redirect, routing::get};

    use super::*;

    async fn caller() -> (Caller, shop_sim::Served) {
        let routes = Router::new()
            .route("/full", get(|| async { "x".repeat(ANSWER_BYTES) }))
            .route("/more", get(|| async { "x".repeat(ANSWER_BYTES + 1) }))
            .route("/away", get(|| async { Redirect::temporary("/full") }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let served = shop_sim::serve(routes, listener).unwrap();
        (Caller::new(&format!("http://{}", served.address())).unwrap(), served)
    }

    async fn asked(caller: &Caller, path: &str) -> Result<(u16, usize), ShopCode> {
        let request = caller.http().get(caller.base().join(path).unwrap());
        let answer = caller.ask(request).await.map_err(|error| error.code)?;
        Ok((answer.status.as_u16(), answer.body.len()))
    }

    #[tokio::test]
    async fn an_answer_has_its_limit_and_no_redirect_is_followed() {
        let (caller, served) = caller().await;
        assert_eq!(asked(&caller, "/full").await, Ok((200, ANSWER_BYTES)));
        assert_eq!(asked(&caller, "/more").await, Err(ShopCode::Unknown));
        assert_eq!(asked(&caller, "/away").await, Ok((307, 0)));
        assert_eq!(asked(&caller, "/nowhere").await, Ok((404, 0)), "what a status means is the channel's to say");
        served.stop().await.unwrap();
        assert_eq!(asked(&caller, "/full").await, Err(ShopCode::Unknown), "nobody listens");
    }

    #[test]
    fn only_https_leaves_the_machine() {
        for base in
            ["https://openapi.alipay.com/gateway.do", "http://127.0.0.1:9/", "http://[::1]:9/", "http://localhost/"]
        {
            assert!(Caller::new(base).is_ok(), "{base}");
        }
        for base in ["http://openapi.alipay.com/", "http://127.0.0.1.example.com/", "ftp://127.0.0.1/", "", "gateway"] {
            assert!(Caller::new(base).is_err(), "{base}");
        }
    }
}
