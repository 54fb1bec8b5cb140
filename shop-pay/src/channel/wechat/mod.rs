//! WeChat Pay, API v3, as a direct merchant with native payments: the buyer scans a code.
//!
//! Nothing the provider says is believed without its signature, answers included: an answer that is not signed settles
//! nothing. What was read where, and what is not known, stands in `docs/channels.md`.

mod body;
mod request;
mod resource;
mod signature;

use std::{borrow::Cow, collections::BTreeMap};

use async_trait::async_trait;
use aws_lc_rs::rand;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, USER_AGENT};
use shop_common::{
    code::ShopCode,
    error::Result,
    id::PayId,
    time::{Clock, Millis},
};

pub(crate) use self::body::CURRENCY;
use self::{
    body::Account,
    request::{Ask, Closed, Reply},
    resource::Apiv3Key,
    signature::{HEADERS, Merchant, Platform, SERIAL},
};
use super::{
    Closing, Found, FoundRefund, Genuine, Headers, PaymentChannel, Registered, Return, Trade,
    http::{Caller, check_notify_url},
    keys::{self, SigningKey, VerifyingKey},
};
use crate::{
    config::{BadConfig, WechatConfig},
    payment::refund::Answer,
};

/// The channel's name.
pub const NAME: &str = "wechat";
/// What the provider wants to read; its status is what counts.
const SUCCESS: &[u8] = br#"{"code":"SUCCESS","message":"OK"}"#;
/// Whose the platform's keys are.
const WHOSE: &str = "the provider's";
/// What both sides write.
const JSON: &str = "application/json";
/// Longest number or serial.
const WORD_MAX: usize = 64;
/// Why a refund is refused whose trade the provider knows otherwise than we do.
const NOT_PAID: &str = "WeChat Pay does not call the payment paid";
/// Longest description of a trade.
const DESCRIPTION_MAX: usize = 127;

/// The channel.
pub struct Wechat {
    account: Account,
    merchant: Merchant,
    platform: Platform,
    key: Apiv3Key,
    caller: Caller,
    notify_url: String,
    description: String,
    clock: Clock,
}

impl Wechat {
    /// The channel of this merchant.
    ///
    /// # Errors
    /// [`BadConfig`].
    pub fn new(config: &WechatConfig, clock: Clock) -> Result<Self, BadConfig> {
        let key = said("private_key", config.private_key.reveal(), &config.private_key_file)?;
        let key = SigningKey::read(&key).map_err(bad("private_key"))?;
        let api_v3_key = said("api_v3_key", config.api_v3_key.reveal(), &config.api_v3_key_file)?;
        let (appid, mchid) = (word("app_id", &config.app_id)?, word("mchid", &config.mchid)?);
        if !matches!(config.description.chars().count(), 1..=DESCRIPTION_MAX) {
            return Err(bad("description")(format!("a description has 1 to {DESCRIPTION_MAX} characters")));
        }
        check_notify_url(&config.notify_url).map_err(bad("notify_url"))?;
        Ok(Self {
            account: Account { appid, mchid: mchid.clone() },
            platform: platform(config, &key)?,
            merchant: Merchant { mchid, serial_no: word("merchant_serial", &config.merchant_serial)?, key },
            key: Apiv3Key::read(api_v3_key.trim_end()).map_err(bad("api_v3_key"))?,
            caller: Caller::new(&config.gateway).map_err(bad("gateway"))?,
            notify_url: config.notify_url.clone(),
            description: config.description.clone(),
            clock,
        })
    }

    /// Asks, and answers with status and body of an answer that the provider signed.
    ///
    /// # Errors
    /// `SHOP_UNKNOWN`: no answer, or one that anybody may have written. Now and then the provider signs one wrongly to see
    /// whether that is noticed, so this is not an attack; the same is asked again.
    async fn ask(&self, ask: &Ask) -> Result<(u16, Vec<u8>)> {
        let Ask { method, target, body } = ask;
        let authorization = self.merchant.authorization(method.as_str(), target, body, &nonce()?, self.clock.now())?;
        let url = self.caller.base().join(target).map_err(|_| ShopCode::Internal)?;
        let mut request = self.caller.http().request(method.clone(), url).body(body.clone());
        for (name, value) in
            [(ACCEPT, JSON), (CONTENT_TYPE, JSON), (USER_AGENT, "shop"), (AUTHORIZATION, authorization.as_str())]
        {
            request = request.header(name, value);
        }
        if let Some(serial) = self.platform.wanted() {
            request = request.header(SERIAL, serial);
        }
        let answer = self.caller.ask(request).await?;
        let (status, headers) = (answer.status.as_u16(), signed_by(&answer.headers));
        self.platform.verify(&headers, &answer.body, self.clock.now()).map_err(|error| {
            tracing::warn!(status, %error, target, "an answer of wechat pay is not signed; not known");
            ShopCode::Unknown
        })?;
        Ok((status, answer.body))
    }

    async fn found(&self, pay_id: PayId) -> Result<Found> {
        let (status, body) = self.ask(&self.account.query(pay_id)).await?;
        Reply { status, body: &body }.found(pay_id, &self.account)
    }
}

#[async_trait]
impl PaymentChannel for Wechat {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature_headers(&self) -> &'static [&'static str] {
        &HEADERS
    }

    fn verify(&self, headers: &Headers, body: &[u8], now: Millis) -> Result<Genuine> {
        self.platform.verify(headers, body, now)?;
        body::read(body, &self.key, &self.account)
    }

    fn lasting<'a>(&self, _headers: &Headers, body: &'a [u8]) -> Cow<'a, [u8]> {
        body::lasting(body, &self.key).map_or(Cow::Borrowed(body), Cow::Owned)
    }

    async fn register(&self, trade: Trade) -> Result<Registered> {
        let (status, body) = self.ask(&self.account.native(trade, &self.description, &self.notify_url)).await?;
        Reply { status, body: &body }.registered()
    }

    async fn query(&self, pay_id: PayId) -> Result<Found> {
        self.found(pay_id).await
    }

    async fn close(&self, trade: Trade) -> Result<Closing> {
        let (status, body) = self.ask(&self.account.close(trade.pay_id)).await?;
        if (Reply { status, body: &body }).closed()? == Closed::Yes {
            return Ok(Closing::Closed);
        }
        match self.found(trade.pay_id).await? {
            Found::Paid(paid) => Ok(Closing::Paid(paid)),
            Found::NotPaid => Err(ShopCode::Unknown.into()),
        }
    }

    /// The provider wants to be told the trade's whole amount, so it is asked for it first. It gives nothing back of a trade
    /// that it does not call paid, and nothing was asked for: a refusal, for an operator.
    async fn refund(&self, wanted: Return) -> Result<Answer> {
        let Found::Paid(paid) = self.found(wanted.pay_id).await? else {
            return Ok(Answer::Refused(NOT_PAID.to_owned()));
        };
        let (status, body) = self.ask(&request::refund(wanted, paid.amount, &self.notify_url)).await?;
        match (Reply { status, body: &body }).refunded(wanted)? {
            FoundRefund::Answered(answer) => Ok(answer),
            FoundRefund::Working | FoundRefund::Unheard => Err(ShopCode::Unknown.into()),
        }
    }

    async fn query_refund(&self, wanted: Return) -> Result<FoundRefund> {
        let (status, body) = self.ask(&request::query_refund(wanted.refund_id)).await?;
        Reply { status, body: &body }.found_refund(wanted)
    }

    fn ack_success(&self) -> &'static [u8] {
        SUCCESS
    }
}

/// The provider's keys, by serial.
fn platform(config: &WechatConfig, ours: &SigningKey) -> Result<Platform, BadConfig> {
    let WechatConfig { platform_serial, platform_key, platform_key_file, .. } = config;
    let WechatConfig { next_platform_serial, next_platform_key, next_platform_key_file, .. } = config;
    let mut keys = BTreeMap::new();
    let text = said("platform_key", platform_key, platform_key_file)?;
    keys.insert(
        word("platform_serial", platform_serial)?,
        VerifyingKey::of_other(&text, ours, WHOSE).map_err(bad("platform_key"))?,
    );
    if let Some(text) = keys::text(next_platform_key, next_platform_key_file).map_err(bad("next_platform_key"))? {
        let serial = word("next_platform_serial", next_platform_serial)?;
        let key = VerifyingKey::of_other(&text, ours, WHOSE).map_err(bad("next_platform_key"))?;
        if keys.insert(serial, key).is_some() {
            return Err(bad("next_platform_serial")("the same as platform_serial".to_owned()));
        }
    }
    Ok(Platform(keys))
}

/// A key that must be there.
fn said(key: &'static str, text: &str, file: &str) -> Result<String, BadConfig> {
    keys::text(text, file).map_err(bad(key))?.ok_or_else(|| bad(key)("missing".to_owned()))
}

/// A number or serial: it must stand in a path and in a header as it is.
fn word(key: &'static str, text: &str) -> Result<String, BadConfig> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if matches!(text.len(), 1..=WORD_MAX) && plain {
        return Ok(text.to_owned());
    }
    Err(bad(key)(format!("1 to {WORD_MAX} letters, digits, '-' or '_'")))
}

fn bad(key: &'static str) -> impl Fn(String) -> BadConfig {
    move |why| BadConfig::Channel { channel: NAME, key, why }
}

/// What makes a request differ from every other: 32 hex digits.
fn nonce() -> Result<String> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| ShopCode::Internal)?;
    Ok(hex::encode_upper(bytes))
}

/// The headers a signature lies in; one that stands there twice is none.
fn signed_by(headers: &HeaderMap) -> Headers {
    let once = |name: &'static str| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        Some((name.to_owned(), value.to_str().ok()?.to_owned()))
    };
    HEADERS.into_iter().filter_map(once).collect()
}

#[cfg(test)]
mod tests;
