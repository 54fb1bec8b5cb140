//! What the harness has to know of a channel to speak like its provider. One file per channel.

mod sandbox;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use shop_common::{money::Fen, time::Millis};

pub use self::sandbox::SandboxSigner;
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

    /// The headers that its signature lies in; none where it lies in the body.
    fn signature_headers(&self) -> &'static [&'static str];

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
