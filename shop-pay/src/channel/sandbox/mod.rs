//! The sandbox: a channel that stands in for Alipay and WeChat Pay, with the provider's own books and its own signature.
//!
//! Its books lie in the shop's database for convenience only: the shop reaches them through [`PaymentChannel`] alone.

mod body;
mod books;
mod entity;
mod resend;
mod signature;
mod store;

use std::sync::Arc;

use async_trait::async_trait;
use shop_common::{
    batch::{Batcher, Limits},
    code::ShopCode,
    db::Db,
    due::Wake,
    error::{Result, ShopError},
    id::PayId,
    money::Fen,
    time::{Clock, Millis},
};

use self::{
    books::{Act, Acted, State},
    signature::Keyring,
};
pub use self::{
    resend::{Deliver, GAPS, Resend, deliver_over},
    signature::HEADER,
};
use super::{Closing, Found, FoundRefund, Genuine, Headers, PaymentChannel, Registered, Return, Trade, TradeStatus};
use crate::{
    config::{BadConfig, SandboxConfig},
    payment::refund::Answer,
    reconcile::statement::{Day, write_sandbox},
};

/// The channel's name.
pub const NAME: &str = "sandbox";
/// What the provider wants to read.
const SUCCESS: &[u8] = b"success";
/// Longest `pay_url_prefix`; the column holds 255 characters.
const PREFIX_MAX: usize = 200;

/// The channel and its provider; clones share the books.
#[derive(Clone)]
pub struct Sandbox {
    db: Db,
    books: Batcher<Act, Acted>,
    keys: Arc<Keyring>,
    merchant_id: Arc<str>,
    pay_url_prefix: Arc<str>,
    tutorial_mode: bool,
    wake: Wake,
}

impl shop_common::batch::Command for Act {}

impl Sandbox {
    /// A sandbox whose books are in `db`; `wake` is told when a notification is due.
    ///
    /// # Errors
    /// [`BadConfig`].
    pub fn new(config: &SandboxConfig, db: Db, clock: Clock, limits: Limits, wake: Wake) -> Result<Self, BadConfig> {
        let keys = Arc::new(keyring(config)?);
        let books =
            Batcher::of_transactions(db.clone(), clock, limits, |tx, acts, now| Box::pin(store::act(tx, acts, now)));
        Ok(Self {
            db,
            books,
            keys,
            merchant_id: config.merchant_id.as_str().into(),
            pay_url_prefix: config.pay_url_prefix.as_str().into(),
            tutorial_mode: config.tutorial_mode,
            wake,
        })
    }

    /// Whether [`Self::new`] would take it.
    ///
    /// # Errors
    /// [`BadConfig`].
    pub(crate) fn check(config: &SandboxConfig) -> Result<(), BadConfig> {
        keyring(config).map(drop)
    }

    /// What the buyer is shown of a trade: how much it is about, and where it stands.
    ///
    /// # Errors
    /// `SHOP_PAYMENT_NOT_FOUND`.
    pub async fn look(&self, pay_id: PayId) -> Result<(Fen, TradeStatus)> {
        let trade = store::trade(self.db.read(), pay_id).await.map_err(ShopError::from)?;
        let trade = trade.ok_or(ShopError::at(ShopCode::PaymentNotFound, "pay_id"))?;
        let status = match trade.state {
            State::Waiting => TradeStatus::Wait,
            State::Success => TradeStatus::Success,
            State::Closed => TradeStatus::Closed,
        };
        Ok((trade.amount, status))
    }

    /// Pays like a buyer would: the provider books it and sends the signed notification by and by.
    ///
    /// # Errors
    /// `SHOP_PAYMENT_NOT_FOUND`, or `SHOP_ORDER_NOT_PAYABLE` once the trade is closed.
    pub async fn pay_like_a_buyer(&self, pay_id: PayId) -> Result<()> {
        match self.act(Act::Pay(pay_id)).await? {
            Acted::Closed => Err(ShopError::at(ShopCode::OrderNotPayable, "pay_id")),
            Acted::NotFound => Err(ShopError::at(ShopCode::PaymentNotFound, "pay_id")),
            _ => {
                self.wake.now();
                Ok(())
            }
        }
    }

    /// What the provider booked on `day`, as its merchants download it.
    ///
    /// # Errors
    /// The books cannot be read.
    pub async fn statement(&self, day: Day) -> Result<String> {
        let lines = store::booked(self.db.read(), day.bounds()).await.map_err(ShopError::from)?;
        Ok(write_sandbox(&lines))
    }

    fn pay_url(&self, pay_id: PayId) -> String {
        format!("{}{pay_id}", self.pay_url_prefix)
    }

    async fn act(&self, act: Act) -> Result<Acted> {
        Ok(self.books.run(act, None).await?)
    }
}

fn keyring(config: &SandboxConfig) -> Result<Keyring, BadConfig> {
    if !matches!(config.merchant_id.chars().count(), 1..=64) {
        return Err(BadConfig::Merchant);
    }
    if config.pay_url_prefix.chars().count() > PREFIX_MAX {
        return Err(BadConfig::PayUrlPrefix);
    }
    Keyring::new(config)
}

#[async_trait]
impl PaymentChannel for Sandbox {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature_headers(&self) -> &'static [&'static str] {
        &[HEADER]
    }

    fn verify(&self, headers: &Headers, body: &[u8], now: Millis) -> Result<Genuine> {
        self.keys.verify(headers.get(HEADER).map(String::as_str), body, now)?;
        body::read(body, &self.merchant_id)
    }

    fn known_pay_url(&self, pay_id: PayId) -> Option<String> {
        Some(self.pay_url(pay_id))
    }

    async fn register(&self, trade: Trade) -> Result<Registered> {
        match self.act(Act::Register(trade)).await? {
            Acted::Refused(why) => {
                tracing::error!(pay.id = %trade.pay_id, why, "sandbox refused a trade");
                Err(ShopCode::Internal.into())
            }
            _ => Ok(Registered::At(self.pay_url(trade.pay_id))),
        }
    }

    /// In tutorial mode the buyer always has paid.
    async fn hinted(&self, pay_id: PayId) -> Result<()> {
        if self.tutorial_mode {
            self.act(Act::Pay(pay_id)).await?;
        }
        Ok(())
    }

    async fn query(&self, pay_id: PayId) -> Result<Found> {
        let trade = store::trade(self.db.read(), pay_id).await.map_err(ShopError::from)?;
        match trade.map(|trade| trade.as_paid()) {
            Some(Acted::Paid(paid)) => Ok(Found::Paid(paid)),
            _ => Ok(Found::NotPaid),
        }
    }

    async fn close(&self, trade: Trade) -> Result<Closing> {
        match self.act(Act::Close(trade)).await? {
            Acted::Paid(paid) => Ok(Closing::Paid(paid)),
            _ => Ok(Closing::Closed),
        }
    }

    async fn refund(&self, wanted: Return) -> Result<Answer> {
        match self.act(Act::Refund(wanted)).await? {
            Acted::Refused(why) => Ok(Answer::Refused(why.to_owned())),
            _ => Ok(Answer::Done),
        }
    }

    async fn query_refund(&self, wanted: Return) -> Result<FoundRefund> {
        let known = store::refund(self.db.read(), wanted.refund_id).await.map_err(ShopError::from)?;
        Ok(match known {
            None => FoundRefund::Unheard,
            Some(known) if known == wanted => FoundRefund::Answered(Answer::Done),
            Some(_) => FoundRefund::Answered(Answer::Refused(books::ANOTHER_REFUND.to_owned())),
        })
    }

    fn ack_success(&self) -> &'static [u8] {
        SUCCESS
    }
}
