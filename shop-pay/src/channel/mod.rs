//! Payment channels: where the money really moves. One trait, one implementation per provider.

pub mod alipay;
pub(crate) mod beijing;
mod http;
mod keys;
mod said;
pub mod sandbox;
pub mod wechat;

pub use said::{Genuine, Notification, RefundNotice, Said, TradeStatus};

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use async_trait::async_trait;
use shop_common::{
    code::ShopCode,
    error::{Result, ShopError},
    id::{PayId, RefundId, canonical_integer},
    money::Fen,
    time::Millis,
};

use crate::{config::BadConfig, payment::refund, payment::settle::Notice};

/// HTTP headers as the gateway hands them on: names in lower case.
pub type Headers = HashMap<String, String>;

/// A trade as we announce it to a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Our payment.
    pub pay_id: PayId,
    /// How much the buyer is to pay.
    pub amount: Fen,
}

/// What a channel answers when a trade is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The buyer pays there.
    At(String),
    /// It has been paid or closed before: nobody is to be sent there.
    Over,
}

/// A payment that a channel says was paid, asked by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// The channel's own number of it.
    pub channel_trade_no: String,
    /// How much.
    pub amount: Fen,
    /// When, by the channel's clock.
    pub at: Millis,
}

/// What a channel answers when asked about a trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The buyer paid.
    Paid(Paid),
    /// Not paid: waiting, closed or never heard of.
    NotPaid,
}

/// What a channel answers when asked to close a trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Nobody can pay it any more.
    Closed,
    /// The buyer was faster.
    Paid(Paid),
}

/// Money to be paid back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    /// The refund; asked again under the same number, the channel answers the same and pays once.
    pub refund_id: RefundId,
    /// Of which payment.
    pub pay_id: PayId,
    /// How much.
    pub amount: Fen,
}

/// What a channel answers when asked about a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundRefund {
    /// It is paid back, or never will be.
    Answered(refund::Answer),
    /// The channel took it in and works on it.
    Working,
    /// Never heard of: it may be asked for again, under the same number.
    Unheard,
}

/// A payment channel. An error of its calls means *not known*: it is asked again under the same numbers.
#[async_trait]
pub trait PaymentChannel: Send + Sync + 'static {
    /// Its name in requests, routes and rows; at most 32 characters.
    fn name(&self) -> &'static str;

    /// The headers its signature lies in, names in lower case; only these are recorded.
    fn signature_headers(&self) -> &'static [&'static str];

    /// Reads a notification whose signature is right. One that is genuine but not for us (another merchant, another
    /// currency) is no error: it says so in [`Genuine::refused`].
    ///
    /// # Errors
    /// `SHOP_SIGN_INVALID`, `SHOP_NOTIFY_REPLAY` for one too old or from the future, `SHOP_NOTIFY_INVALID` for one that
    /// cannot be read, `SHOP_AMOUNT_MISMATCH` for an amount that is no whole number of fen.
    fn verify(&self, headers: &Headers, body: &[u8], now: Millis) -> Result<Genuine>;

    /// What of a genuine notification is the same each time it is sent: a repeat under its id is held against that.
    fn lasting<'a>(&self, _headers: &Headers, body: &'a [u8]) -> Cow<'a, [u8]> {
        Cow::Borrowed(body)
    }

    /// Where the buyer pays, if that is known before the trade is announced; what is announced then only says it again.
    fn known_pay_url(&self, _pay_id: PayId) -> Option<String> {
        None
    }

    /// Announces a trade and answers with where its buyer pays; a repeat changes nothing.
    async fn register(&self, trade: Trade) -> Result<Registered>;

    /// Somebody unknown says that the payment was paid. A real channel does nothing: it is asked next.
    async fn hinted(&self, _pay_id: PayId) -> Result<()> {
        Ok(())
    }

    /// Asks where a trade stands.
    async fn query(&self, pay_id: PayId) -> Result<Found>;

    /// Closes a trade; one never announced cannot be announced later.
    async fn close(&self, trade: Trade) -> Result<Closing>;

    /// Pays back. An error, too, where the channel has only taken it in: [`PaymentChannel::query_refund`] tells the end.
    async fn refund(&self, wanted: Return) -> Result<refund::Answer>;

    /// Asks where a refund stands whose answer is not known.
    async fn query_refund(&self, wanted: Return) -> Result<FoundRefund>;

    /// What it wants to read when a notification was taken.
    fn ack_success(&self) -> &'static [u8];
}

/// The configured channels.
#[derive(Clone)]
pub(crate) struct Channels(Arc<[Arc<dyn PaymentChannel>]>);

/// A number of ours as we write it, and no other spelling of it.
pub(crate) fn our_number(text: &str) -> Option<i64> {
    canonical_integer(text).filter(|number| *number > 0)
}

impl Channels {
    /// `channels` in the order of configuration; the first is the default.
    pub(crate) fn new(channels: Vec<Arc<dyn PaymentChannel>>) -> Result<Self, BadConfig> {
        for (position, channel) in channels.iter().enumerate() {
            if channels.iter().skip(position.saturating_add(1)).any(|other| other.name() == channel.name()) {
                return Err(BadConfig::ChannelTwice(channel.name().to_owned()));
            }
        }
        Ok(Self(channels.into()))
    }

    /// The channel of this name.
    pub(crate) fn get(&self, name: &str) -> Result<&dyn PaymentChannel> {
        let named = self.0.iter().find(|channel| channel.name() == name);
        named.map(Arc::as_ref).ok_or(ShopError::at(ShopCode::ChannelUnknown, "channel"))
    }

    /// The channel a client asks for; the first when it names none.
    pub(crate) fn wanted(&self, name: &str) -> Result<&dyn PaymentChannel> {
        match self.0.first() {
            Some(first) if name.is_empty() => Ok(first.as_ref()),
            _ => self.get(name),
        }
    }
}

/// What `channel` answered about `pay_id` when we asked, in the shape of a notification: all money is settled one way.
///
/// # Errors
/// `SHOP_NOTIFY_INVALID` for numbers that we could not keep.
pub(crate) fn notice_of(channel: &str, pay_id: PayId, paid: &Paid) -> Result<Notice> {
    // The same text for the same answer, so that asking again is a repeat.
    let body = format!("{pay_id} {} {} {}", paid.channel_trade_no, paid.amount.get(), paid.at.get());
    let said = Notification {
        notify_id: format!("query-{pay_id}"),
        pay_id,
        channel_trade_no: paid.channel_trade_no.clone(),
        amount: paid.amount,
        status: TradeStatus::Success,
        paid: Some(paid.at),
    };
    let genuine = Genuine::from(said)
        .checked()
        .inspect_err(|error| tracing::error!(pay.id = %pay_id, %error, "channel numbers refused"))?;
    Ok(Notice::new(channel, genuine, body.into_bytes(), "{}".to_owned()))
}
