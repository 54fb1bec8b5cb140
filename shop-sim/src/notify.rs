//! Sends notifications to the merchant, with what goes wrong on the way.

use std::time::Duration;

use reqwest::{Client, redirect::Policy};
use shop_common::time::Millis;

use crate::{Provider, Sim, books::Due, faults::NoticeFault};

/// Longest wait for the merchant's answer.
const TIME: Duration = Duration::from_secs(5);
/// How much later a notification comes that is held up.
const DELAY: Duration = Duration::from_secs(60);
/// As much of the merchant's answer as is read.
const ANSWER_BYTES: usize = 1 << 10;

/// A notification as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its headers, the content type among them.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

pub(crate) fn client() -> Result<Client, reqwest::Error> {
    Client::builder().timeout(TIME).redirect(Policy::none()).no_proxy().build()
}

impl<P: Provider> Sim<P> {
    pub(crate) async fn notify(&self, due: &Due, now: Millis) {
        let Some(outgoing) = self.provider.notification(due, now) else { return self.books().acknowledge(&due.id) };
        let times = match self.faults.notice() {
            Some(NoticeFault::Drop) => 0,
            Some(NoticeFault::Delay) => return self.books().put_off(&due.id, now.after(DELAY)),
            Some(NoticeFault::Double) => 2,
            None => 1,
        };
        let url = self.notify_url.as_deref().unwrap_or(&due.trade.notify_url);
        for _ in 0..times {
            match self.sent(url, &outgoing).await {
                Ok((status, body)) if self.provider.is_acknowledged(status, &body) => {
                    self.books().acknowledge(&due.id);
                }
                Ok((status, _)) => tracing::warn!(id = due.id, status, "notification not acknowledged; it comes again"),
                Err(error) => tracing::warn!(id = due.id, %error, "notification not delivered; it comes again"),
            }
        }
    }

    async fn sent(&self, url: &str, outgoing: &Outgoing) -> Result<(u16, Vec<u8>), reqwest::Error> {
        let mut request = self.http.post(url).body(outgoing.body.clone());
        for (name, value) in &outgoing.headers {
            request = request.header(*name, value);
        }
        let mut response = request.send().await?;
        let (status, mut body) = (response.status().as_u16(), Vec::new());
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES {
                break;
            }
        }
        Ok((status, body))
    }
}
