//! Dead letters, as an operator handles them: messages that could not be sent (parked in the outbox) and messages that
//! could not be handled (kept in the consumer log). Both are rows of one schema. Nothing here needs a broker or a running
//! shop: what is resent is a row of the outbox, which the service's relay sends.

use std::fmt;

use crate::{
    db::{Db, Result},
    outbox, parked,
    time::Millis,
};

/// A dead letter, without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Where it lies.
    pub place: Place,
    /// Topic.
    pub topic: String,
    /// Tag.
    pub tag: String,
    /// Business key; the broker's id of a message that came without one.
    pub key: String,
    /// Where it stands.
    pub state: State,
    /// How often it was tried.
    pub times: i64,
    /// When it was last tried; of a message that could not be sent, when it was written.
    pub last: Millis,
    /// Why it failed.
    pub reason: String,
    /// When the broker delivers it again by itself.
    pub retry: Option<Millis>,
    /// Who resent or discarded it last.
    pub operator: Option<String>,
    /// When.
    pub operated: Option<Millis>,
    /// What was done, or the reason of a discard.
    pub note: Option<String>,
}

/// Where a dead letter lies; shown as the part of its id behind the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the outbox, under this id.
    Outbox(String),
    /// In the consumer log.
    Log {
        /// The group that could not handle it.
        group: String,
        /// Its tag.
        tag: String,
        /// Its key.
        key: String,
    },
}

/// Where a dead letter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Somebody has to look at it.
    Open,
    /// An operator has put it back into the outbox.
    Resent,
    /// A later delivery was handled.
    Handled,
    /// An operator has given it up.
    Discarded,
}

/// Who does something, and when.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// The user of the operating system.
    pub who: &'a str,
    /// The moment.
    pub now: Millis,
}

/// What became of a deed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dealt {
    /// Done.
    Done,
    /// Nothing to do: why.
    Already(String),
    /// It cannot be done: why.
    Refused(String),
    /// The letter is not there any more.
    Gone,
}

/// The open letters of a schema; with `all`, those that are settled too.
pub async fn letters(db: &Db, all: bool) -> Result<Vec<Letter>> {
    let mut letters = parked::letters(db, all).await?;
    letters.extend(outbox::letters(db, all).await?);
    Ok(letters)
}

/// The bytes of a letter; none if it is gone.
pub async fn body(db: &Db, letter: &Letter) -> Result<Option<Vec<u8>>> {
    match &letter.place {
        Place::Outbox(id) => outbox::body(db, id).await,
        Place::Log { group, tag, key } => parked::body(db, group, tag, key).await,
    }
}

/// Owes a letter again, in one transaction with the note of who did it. Twice has one effect: while it waits in the
/// outbox nothing is added, and receivers act on a message once however often it comes.
pub async fn resend(db: &Db, letter: &Letter, deed: &Deed<'_>) -> Result<Dealt> {
    db.write_tx(async |tx| match &letter.place {
        Place::Outbox(id) => outbox::resend(tx, id, deed).await,
        Place::Log { group, tag, key } => parked::resend(tx, group, tag, key, deed).await,
    })
    .await
}

/// Gives a letter up for a reason; it is kept.
pub async fn discard(db: &Db, letter: &Letter, reason: &str, deed: &Deed<'_>) -> Result<Dealt> {
    db.write_tx(async |tx| match &letter.place {
        Place::Outbox(id) => outbox::discard(tx, id, reason, deed).await,
        Place::Log { group, tag, key } => parked::discard(tx, group, tag, key, reason, deed).await,
    })
    .await
}

/// `in/<group>/<tag>/<key>` or `out/<id>`. What a foreign sender could play on a terminal is escaped.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outbox(id) => write!(f, "out/{}", id.escape_debug()),
            Self::Log { group, tag, key } => {
                write!(f, "in/{}/{}/{}", group.escape_debug(), tag.escape_debug(), key.escape_debug())
            }
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Resent => "resent",
            Self::Handled => "handled",
            Self::Discarded => "discarded",
        })
    }
}

impl fmt::Display for Dealt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Already(why) => write!(f, "nothing to do: {why}"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Gone => f.write_str("refused: it is gone; a message that was sent leaves the outbox"),
        }
    }
}
