//! What the harness has to know of a channel to speak like its provider. One file per channel.

mod alipay;
mod sandbox;
mod wechat;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use shop_common::{money::Fen, time::Millis};
use shop_sim::{
    Provider,
    books::{self, Due, State},
};

pub use self::{alipay::AlipaySigner, sandbox::SandboxSigner, wechat::WechatSigner};
use crate::notification::{Headers, Key};

/// A trade that the buyer has paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Our payment.
    pub pay_id: i64,
    /// How much.
    pub amount: Fen,
    /// When.
    pub paid: Millis,
}

/// What a body says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// About which payment.
    pub pay_id: i64,
    /// How much.
    pub amount: Fen,
    /// That it was paid.
    pub is_paid: bool,
}

/// What is changed in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is about another payment.
    PayId(i64),
    /// It is about another amount.
    Amount(Fen),
}

/// A notification with its signature, wherever the channel puts that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The headers.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

/// A body or a key that cannot be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be signed")]
pub struct Unsignable;

/// A channel as its provider knows it.
pub trait Signer: Send + Sync {
    /// Its name.
    fn channel(&self) -> &'static str;

    /// What lies between one notification and the next until it reads [`Self::ack`].
    fn gaps(&self) -> &'static [Duration];

    /// What it wants to read.
    fn ack(&self) -> &'static [u8];

    /// How old a notification may be.
    fn oldest(&self) -> Duration;

    /// The body that says that `trade` was paid.
    ///
    /// # Errors
    /// [`Unsignable`].
    fn notification(&self, trade: &Trade) -> Result<Vec<u8>, Unsignable>;

    /// Signs `body` as of `at`; a signature within it is replaced.
    ///
    /// # Errors
    /// [`Unsignable`].
    fn sign(&self, body: &[u8], key: Key, at: Millis) -> Result<Signed, Unsignable>;

    /// What `body` says, where it can be read.
    fn read(&self, body: &[u8]) -> Option<Said>;

    /// `body` with a change and nothing else changed, where it can be read; a signature within it stays as it is.
    fn alter(&self, body: &[u8], change: Change) -> Option<Vec<u8>>;

    /// With another signature, which `change` makes of the old one, and nothing else changed; none where there is none.
    fn with_signature(&self, signed: Signed, change: &dyn Fn(&str) -> String) -> Option<Signed>;

    /// Whether two bodies are one: a channel that signs what it decodes cannot tell its spellings apart.
    fn is_same(&self, one: &[u8], other: &[u8]) -> bool {
        one == other
    }

    /// Whether nothing in `body` is hidden under a key that is not ours.
    fn can_open(&self, _body: &[u8]) -> bool {
        true
    }
}

/// The body in which `provider` says that `trade` was paid; its own number of it begins with `prefix`.
fn written(provider: &impl Provider, trade: &Trade, prefix: &str) -> Result<Vec<u8>, Unsignable> {
    let (out_trade_no, amount, paid) = (trade.pay_id.to_string(), trade.amount, trade.paid);
    let trade_no = format!("{prefix}{out_trade_no}");
    let (subject, state, refunded) = ("replayed".to_owned(), State::Paid, Fen::ZERO);
    let of_books = books::Trade {
        out_trade_no,
        trade_no,
        amount,
        subject,
        notify_url: String::new(),
        state,
        created: paid,
        paid: Some(paid),
        refunded,
    };
    let due = Due { id: format!("replay-{}", trade.pay_id), trade: of_books, refund: None, attempts: 0 };
    Ok(provider.notification(&due, paid).ok_or(Unsignable)?.body)
}

/// The channels that the harness can sign for, by name.
#[derive(Clone, Default)]
pub struct Signers(BTreeMap<&'static str, Arc<dyn Signer>>);

impl Signers {
    /// These channels.
    pub fn new(signers: impl IntoIterator<Item = Arc<dyn Signer>>) -> Self {
        Self(signers.into_iter().map(|signer| (signer.channel(), signer)).collect())
    }

    /// The channel of this name.
    pub fn get(&self, channel: &str) -> Option<&dyn Signer> {
        self.0.get(channel).map(Arc::as_ref)
    }
}
