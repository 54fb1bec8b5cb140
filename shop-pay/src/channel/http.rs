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

fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()),
        None => false,
    }
}
