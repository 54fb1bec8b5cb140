//! A line of a recording.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use shop_common::{
    code::ShopCode,
    id::{OrderId, PayId, UserId},
    money::Fen,
};

use crate::notification::{Copies, Expect, Headers, Key, Manner, Notification, PaymentRef, Sign};

/// Most copies of one notification.
const COPIES_MAX: u32 = 1000;
/// Oldest signature, in seconds.
const AGE_MAX_S: i64 = 10 * 365 * 86_400;
/// Longest recording, in milliseconds: what is longer is a time of day that was taken for one since the first.
const AT_MAX_MS: u64 = 10 * 365 * 86_400_000;

/// What became of a notification that was sent; not read again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// What was wrong with it, or how it came.
    pub kind: String,
    /// What the shop answered.
    pub answer: String,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a key of the format")]
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    channel: String,
    #[serde(default)]
    at_ms: u64,
    #[serde(default, skip_serializing_if = "Headers::is_empty")]
    headers: Headers,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sign: Option<LineSign>,
    expect: LineExpect,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    codes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payment: Option<LinePayment>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    copies: u32,
    #[serde(default, skip_serializing_if = "is_false")]
    at_once: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    slow: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    early: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    late: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent: Option<Sent>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LineSign {
    key: LineKey,
    #[serde(default, skip_serializing_if = "is_zero")]
    age_s: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LineKey {
    Ours,
    Wrong,
    Revoked,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LineExpect {
    Accepted,
    Refused,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinePayment {
    pay_id: PayId,
    order_id: OrderId,
    user_id: UserId,
    amount: Fen,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_one(number: &u32) -> bool {
    *number == 1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Line {
    pub(super) fn of(notification: &Notification, sent: Option<Sent>) -> Self {
        let Notification { channel, headers, body, at, sign, expect, payment, copies, manner } = notification;
        let (body, body_base64) = match str::from_utf8(body) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(STANDARD.encode(body))),
        };
        let (expect, codes) = match expect {
            Expect::Accepted => (LineExpect::Accepted, Vec::new()),
            Expect::Refused(codes) => {
                (LineExpect::Refused, codes.iter().map(|code| code.row().name.to_owned()).collect())
            }
        };
        Self {
            channel: channel.clone(),
            at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            headers: headers.clone(),
            body,
            body_base64,
            sign: sign.map(LineSign::from),
            expect,
            codes,
            payment: payment.map(LinePayment::from),
            copies: copies.count,
            at_once: copies.at_once,
            slow: manner.slow,
            early: manner.early,
            late: manner.late,
            sent,
        }
    }

    /// # Errors
    /// What is wrong, in words.
    pub(super) fn into_notification(self) -> Result<Notification, String> {
        let body = match (self.body, self.body_base64) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(text)) => STANDARD.decode(text).map_err(|error| format!("body_base64: {error}"))?,
            _ => return Err("either `body` or `body_base64`".to_owned()),
        };
        if self.headers.iter().any(|(name, value)| !is_header(name, value)) {
            return Err("headers: names in lower case, values in visible ASCII".to_owned());
        }
        if self.at_ms > AT_MAX_MS {
            return Err("at_ms: milliseconds since the first notification, at most ten years".to_owned());
        }
        if !(1..=COPIES_MAX).contains(&self.copies) {
            return Err(format!("copies: 1 to {COPIES_MAX}"));
        }
        if self.late && self.payment.is_none() {
            return Err("late: `payment` must say whose order is cancelled".to_owned());
        }
        if self.early && !matches!(self.expect, LineExpect::Refused) {
            return Err("early: what comes before its payment is there is refused".to_owned());
        }
        Ok(Notification {
            channel: self.channel,
            headers: self.headers,
            body,
            at: Duration::from_millis(self.at_ms),
            sign: self.sign.map(Sign::try_from).transpose()?,
            expect: expect(&self.expect, &self.codes)?,
            payment: self.payment.map(PaymentRef::from),
            copies: Copies { count: self.copies, at_once: self.at_once },
            manner: Manner { slow: self.slow, early: self.early, late: self.late },
        })
    }
}

fn is_header(name: &str, value: &str) -> bool {
    let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.bytes().all(of_name) && value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn expect(expect: &LineExpect, codes: &[String]) -> Result<Expect, String> {
    let known = |name: &String| ShopCode::from_name(name).ok_or_else(|| format!("codes: {name:?} is no code"));
    match expect {
        LineExpect::Accepted if codes.is_empty() => Ok(Expect::Accepted),
        LineExpect::Accepted => Err("codes: what is accepted has none".to_owned()),
        LineExpect::Refused => codes.iter().map(known).collect::<Result<_, _>>().map(Expect::Refused),
    }
}

impl From<Sign> for LineSign {
    fn from(sign: Sign) -> Self {
        let key = match sign.key {
            Key::Ours => LineKey::Ours,
            Key::Wrong => LineKey::Wrong,
            Key::Revoked => LineKey::Revoked,
        };
        Self { key, age_s: sign.age_s }
    }
}

impl TryFrom<LineSign> for Sign {
    type Error = String;

    fn try_from(sign: LineSign) -> Result<Self, String> {
        if !(-AGE_MAX_S..=AGE_MAX_S).contains(&sign.age_s) {
            return Err("sign.age_s: at most ten years".to_owned());
        }
        let key = match sign.key {
            LineKey::Ours => Key::Ours,
            LineKey::Wrong => Key::Wrong,
            LineKey::Revoked => Key::Revoked,
        };
        Ok(Self { key, age_s: sign.age_s })
    }
}

impl From<PaymentRef> for LinePayment {
    fn from(payment: PaymentRef) -> Self {
        let PaymentRef { pay_id, order_id, user_id, amount } = payment;
        Self { pay_id: PayId::new(pay_id), order_id: OrderId::new(order_id), user_id: UserId::new(user_id), amount }
    }
}

impl From<LinePayment> for PaymentRef {
    fn from(payment: LinePayment) -> Self {
        let LinePayment { pay_id, order_id, user_id, amount } = payment;
        Self { pay_id: pay_id.get(), order_id: order_id.get(), user_id: user_id.get(), amount }
    }
}
