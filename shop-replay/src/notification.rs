//! A notification to be sent: what a line of a recording says.

use std::{collections::BTreeMap, time::Duration};

use shop_common::{code::ShopCode, money::Fen};

/// HTTP headers, names in lower case.
pub type Headers = BTreeMap<String, String>;

/// A notification, when it is sent, how, and what must become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The channel it comes from.
    pub channel: String,
    /// Sent as they stand where nothing is signed anew.
    pub headers: Headers,
    /// Byte for byte.
    pub body: Vec<u8>,
    /// When it is sent, by the channel's clock, since the first of the recording.
    pub at: Duration,
    /// How it is signed when it is sent; none = it goes out with the headers it was recorded with.
    pub sign: Option<Sign>,
    /// What the shop must answer.
    pub expect: Expect,
    /// The payment it is about, where that is known.
    pub payment: Option<PaymentRef>,
    /// How often it is sent, and whether all at once.
    pub copies: Copies,
    /// How it is sent apart from that.
    pub manner: Manner,
}

/// A payment, its order and its buyer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PaymentRef {
    /// The payment.
    pub pay_id: i64,
    /// Its order.
    pub order_id: i64,
    /// The buyer.
    pub user_id: i64,
    /// What is due.
    pub amount: Fen,
}

/// A signature that is made when the notification is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign {
    /// By which key.
    pub key: Key,
    /// How old it claims to be, in seconds; less than zero = from the future.
    pub age_s: i64,
}

/// A key of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The one in force.
    Ours,
    /// Another one under the name of the one in force.
    Wrong,
    /// One that is not in force any more.
    Revoked,
}

/// What the shop must answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// What the channel wants to read.
    Accepted,
    /// A refusal by one of these codes; by any where there are none.
    Refused(Vec<ShopCode>),
}

/// How often a notification is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copies {
    /// At least one.
    pub count: u32,
    /// All at once, or one after the other.
    pub at_once: bool,
}

/// How a notification is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// The answer is read byte by byte.
    pub slow: bool,
    /// The shop does not see its payment yet.
    pub early: bool,
    /// The order is cancelled before.
    pub late: bool,
}

impl Sign {
    /// By the key in force, now.
    pub const OURS: Self = Self { key: Key::Ours, age_s: 0 };
}

impl Copies {
    /// Once.
    pub const ONE: Self = Self { count: 1, at_once: false };
}

impl Notification {
    /// A genuine one, sent once.
    pub fn genuine(channel: &str, body: Vec<u8>, at: Duration) -> Self {
        Self {
            channel: channel.to_owned(),
            headers: Headers::new(),
            body,
            at,
            sign: Some(Sign::OURS),
            expect: Expect::Accepted,
            payment: None,
            copies: Copies::ONE,
            manner: Manner::default(),
        }
    }
}
