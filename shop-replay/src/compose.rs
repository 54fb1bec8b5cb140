//! What goes over the wire in one attempt, and what the shop must answer. No network and no clock.

use std::time::Duration;

use shop_common::{code::ShopCode, money::Fen, time::Millis};

use crate::{
    fault::Forgery,
    notification::{Expect, Headers, Key, Notification, Sign},
    plan::Attempt,
    signer::{Change, Signed, Signer, Unsignable},
};

/// A notification as the shop gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Under which channel's name.
    pub channel: String,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
    /// How it was signed, where that can be done again; none = the headers are what they are.
    pub sign: Option<Sign>,
}

/// The window that a plan has in mind.
const WINDOW: Duration = Duration::from_mins(5);
/// What Alipay would send.
const FORM: &[u8] = b"out_trade_no=1&total_amount=0.01&trade_status=TRADE_SUCCESS&sign_type=RSA2&sign=AAAA";
/// What WeChat Pay would send.
const JSON: &[u8] = br#"{"id":"1","event_type":"TRANSACTION.SUCCESS","resource_type":"encrypt-resource"}"#;

impl Attempt {
    /// What must become of it; none where it never arrives.
    pub fn expects(&self, notification: &Notification) -> Option<Expect> {
        use ShopCode::{AmountMismatch, ChannelUnknown, NotifyInvalid, NotifyReplay, SignatureInvalid};
        let refused = |codes: &[ShopCode]| Some(Expect::Refused(codes.to_vec()));
        match self {
            Self::Recorded(..) => Some(notification.expect.clone()),
            Self::Genuine(..) => Some(Expect::Accepted),
            Self::Lost => None,
            Self::Early => refused(&[NotifyInvalid]),
            // What comes after the genuine one is its number with another body.
            Self::Forged(Forgery::Amount { signed: true, .. }) => refused(&[AmountMismatch, NotifyReplay]),
            Self::Forged(Forgery::PayId { signed: true, .. }) => refused(&[NotifyInvalid, NotifyReplay]),
            Self::Forged(Forgery::Stale(_)) => refused(&[NotifyReplay]),
            Self::Forged(Forgery::ForeignBody) => refused(&[NotifyInvalid, SignatureInvalid]),
            Self::Forged(Forgery::ForeignChannel) => refused(&[ChannelUnknown, SignatureInvalid, NotifyInvalid]),
            Self::Forged(_) => refused(&[SignatureInvalid]),
        }
    }

    /// The message, signed as of `now`.
    ///
    /// # Errors
    /// [`Unsignable`]: there is no signer for the channel, or the body is none of its own.
    pub fn compose(
        &self,
        notification: &Notification,
        signer: Option<&dyn Signer>,
        now: Millis,
    ) -> Result<Message, Unsignable> {
        let Self::Forged(forgery) = self else {
            return signed(notification, signer, &notification.body, notification.sign, now);
        };
        let signer = signer.ok_or(Unsignable)?;
        let body = &notification.body;
        let genuine = || signed(notification, Some(signer), body, notification.sign, now);
        let by = |body: &[u8], sign| signed(notification, Some(signer), body, Some(sign), now);
        let said = || signer.read(body).ok_or(Unsignable);
        let altered = |body: &[u8], change| signer.alter(body, change).ok_or(Unsignable);
        match *forgery {
            Forgery::Amount { more, signed } => {
                let wrong = Change::Amount(Fen::new(said()?.amount.get().saturating_add(more)));
                if signed {
                    by(&altered(body, wrong)?, Sign::OURS)
                } else {
                    genuine()?.altered(|body| altered(body, wrong))
                }
            }
            Forgery::PayId { pay_id, signed } => {
                let wrong = Change::PayId(pay_id);
                if signed {
                    by(&altered(body, wrong)?, Sign::OURS)
                } else {
                    genuine()?.altered(|body| altered(body, wrong))
                }
            }
            Forgery::Body(bit) => genuine()?.altered(|body| flipped(signer, body, bit).ok_or(Unsignable)),
            Forgery::Signature(character) => genuine()?.with_another_signature(signer, character),
            Forgery::WrongKey => by(body, Sign { key: Key::Wrong, age_s: 0 }),
            Forgery::RevokedKey => by(body, Sign { key: Key::Revoked, age_s: 0 }),
            Forgery::Stale(age_s) => by(body, Sign { key: Key::Ours, age_s: stale_s(signer, age_s) }),
            Forgery::ForeignBody => by(if body.starts_with(b"{") { FORM } else { JSON }, Sign::OURS),
            // Nobody here can sign for that channel, so the signature stays what it is.
            Forgery::ForeignChannel => {
                Ok(Message { channel: foreign(&notification.channel), sign: None, ..genuine()? })
            }
        }
    }
}

fn signed(
    notification: &Notification,
    signer: Option<&dyn Signer>,
    body: &[u8],
    sign: Option<Sign>,
    now: Millis,
) -> Result<Message, Unsignable> {
    let channel = notification.channel.clone();
    let Some(Sign { key, age_s }) = sign else {
        return Ok(Message { channel, headers: notification.headers.clone(), body: body.to_vec(), sign });
    };
    let at = Millis::new(now.get().saturating_sub(age_s.saturating_mul(1000)));
    let Signed { headers: made, body } = signer.ok_or(Unsignable)?.sign(body, key, at)?;
    let mut headers = notification.headers.clone();
    headers.extend(made);
    Ok(Message { channel, headers, body, sign })
}

/// A name of a channel that is not `channel`.
fn foreign(channel: &str) -> String {
    if channel == "alipay" { "wechat" } else { "alipay" }.to_owned()
}

/// The age that is as far out of the channel's window as `age_s` is out of one of five minutes. Ahead of the shop's
/// clock every channel has five minutes.
fn stale_s(signer: &dyn Signer, age_s: i64) -> i64 {
    let wider = signer.oldest().saturating_sub(WINDOW).as_secs();
    if age_s > 0 { age_s.saturating_add(i64::try_from(wider).unwrap_or(i64::MAX)) } else { age_s }
}

/// With this bit flipped, or the next one that makes it another body; none where no bit does.
fn flipped(signer: &dyn Signer, body: &[u8], bit: u64) -> Option<Vec<u8>> {
    let bits = u64::try_from(body.len()).unwrap_or(u64::MAX).saturating_mul(8);
    let mut bodies = (0..bits).map(|further| with_a_bit_flipped(body, (bit % bits.max(1)).saturating_add(further)));
    bodies.find(|flipped| !signer.is_same(flipped, body))
}

fn with_a_bit_flipped(body: &[u8], bit: u64) -> Vec<u8> {
    let mut body = body.to_vec();
    let bits = u64::try_from(body.len()).unwrap_or(u64::MAX).saturating_mul(8).max(1);
    let bit = bit % bits;
    if let Some(byte) = usize::try_from(bit / 8).ok().and_then(|position| body.get_mut(position)) {
        *byte ^= 1 << (bit % 8);
    }
    body
}

impl Message {
    /// With another body under the same signature, which nobody can make again.
    fn altered(self, alter: impl FnOnce(&[u8]) -> Result<Vec<u8>, Unsignable>) -> Result<Self, Unsignable> {
        let body = alter(&self.body)?;
        Ok(Self { body, sign: None, ..self })
    }

    fn with_another_signature(self, signer: &dyn Signer, character: u64) -> Result<Self, Unsignable> {
        let signed = Signed { headers: self.headers, body: self.body };
        let another = signer.with_signature(signed, &|signature| with_another_character(signature, character));
        let Signed { headers, body } = another.ok_or(Unsignable)?;
        Ok(Self { headers, body, sign: None, ..self })
    }
}

fn with_another_character(text: &str, character: u64) -> String {
    let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX).max(1);
    let position = usize::try_from(character % length).unwrap_or_default();
    let another = |(number, old)| if number == position { if old == '0' { '1' } else { '0' } } else { old };
    text.chars().enumerate().map(another).collect()
}

#[cfg(test)]
mod tests {
    use shop_common::config::Secret;

    use super::*;
    use crate::{
        notification::{Copies, Manner},
        signer::{SandboxSigner, Trade},
    };

    const NOW: Millis = Millis::new(1_700_000_000_000);
    const HEADER: &str = "x-shop-signature";

    fn signer() -> SandboxSigner {
        SandboxSigner::new("m", "k1", Secret::new("0123456789abcdef0123456789abcdef"))
    }

    fn notification() -> Notification {
        let body = signer().notification(&Trade { pay_id: 7, amount: Fen::new(100), paid: NOW }).unwrap();
        Notification::genuine("sandbox", body, Duration::ZERO)
    }

    fn compose(attempt: Attempt) -> Message {
        attempt.compose(&notification(), Some(&signer()), NOW).unwrap()
    }

    /// Whether the signature is the right key's for the body, `age` seconds ago.
    fn is_signed(message: &Message, age: i64) -> bool {
        let at = Millis::new(NOW.get() - age * 1000);
        message.headers == signer().sign(&message.body, Key::Ours, at).unwrap().headers
    }

    #[test]
    fn a_genuine_one_is_signed_over_its_own_body() {
        let genuine = compose(Attempt::Genuine(Copies::ONE, Manner::default()));
        assert_eq!((genuine.body.as_slice(), genuine.sign), (notification().body.as_slice(), Some(Sign::OURS)));
        assert!(is_signed(&genuine, 0));
        assert_eq!(compose(Attempt::Early), genuine, "only its time is wrong");
    }

    #[test]
    fn every_forgery_is_wrong_in_one_way() {
        let genuine = compose(Attempt::Early);
        for (forgery, same_body, is_right_key) in [
            (Forgery::Amount { more: 1, signed: false }, false, false),
            (Forgery::Amount { more: 1, signed: true }, false, true),
            (Forgery::PayId { pay_id: 8, signed: false }, false, false),
            (Forgery::PayId { pay_id: 8, signed: true }, false, true),
            (Forgery::Body(u64::MAX), false, false),
            (Forgery::Signature(u64::MAX), true, false),
            (Forgery::WrongKey, true, false),
            (Forgery::RevokedKey, true, false),
            (Forgery::ForeignBody, false, true),
            (Forgery::ForeignChannel, true, true),
        ] {
            let forged = compose(Attempt::Forged(forgery));
            assert_ne!(
                (&forged.channel, &forged.headers, &forged.body),
                (&genuine.channel, &genuine.headers, &genuine.body)
            );
            assert_eq!(forged.body == genuine.body, same_body, "{forgery:?}");
            assert_eq!(is_signed(&forged, 0), is_right_key, "{forgery:?}");
            assert_eq!(forged.channel == genuine.channel, forgery != Forgery::ForeignChannel);
        }
        assert!(is_signed(&compose(Attempt::Forged(Forgery::Stale(400))), 400));
        assert!(is_signed(&compose(Attempt::Forged(Forgery::Stale(-400))), -400));
    }

    #[test]
    fn what_is_forged_is_refused_for_its_own_fault() {
        use ShopCode::{AmountMismatch, NotifyInvalid, NotifyReplay, SignatureInvalid};
        let codes = |forgery| match Attempt::Forged(forgery).expects(&notification()) {
            Some(Expect::Refused(codes)) => codes,
            other => panic!("{other:?}"),
        };
        for forgery in [
            Forgery::Amount { more: 1, signed: false },
            Forgery::PayId { pay_id: 8, signed: false },
            Forgery::Body(1),
            Forgery::Signature(1),
            Forgery::WrongKey,
            Forgery::RevokedKey,
        ] {
            assert_eq!(codes(forgery), [SignatureInvalid], "{forgery:?}");
        }
        assert_eq!(codes(Forgery::Stale(400)), [NotifyReplay]);
        assert_eq!(codes(Forgery::Amount { more: 1, signed: true }), [AmountMismatch, NotifyReplay]);
        assert_eq!(codes(Forgery::PayId { pay_id: 8, signed: true }), [NotifyInvalid, NotifyReplay]);
        for forgery in [Forgery::ForeignBody, Forgery::ForeignChannel] {
            assert!(!codes(forgery).is_empty(), "by any code is by none in particular");
        }
    }

    #[test]
    fn every_bit_and_every_character_can_be_hit() {
        let genuine = compose(Attempt::Early);
        for bit in 0..u64::try_from(genuine.body.len() * 8).unwrap() {
            let flipped = compose(Attempt::Forged(Forgery::Body(bit))).body;
            let differ: u32 = flipped.iter().zip(&genuine.body).map(|(a, b)| (a ^ b).count_ones()).sum();
            assert_eq!(differ, 1, "{bit}");
        }
        for character in 0..u64::try_from(genuine.headers[HEADER].len()).unwrap() {
            let forged = compose(Attempt::Forged(Forgery::Signature(character)));
            let differ = forged.headers[HEADER].chars().zip(genuine.headers[HEADER].chars()).filter(|(a, b)| a != b);
            assert_eq!(differ.count(), 1, "{character}");
        }
    }

    #[test]
    fn what_is_recorded_without_a_signature_to_make_goes_out_as_it_came() {
        let recorded = Notification {
            channel: "elsewhere".into(),
            headers: [("signature".to_owned(), "s".to_owned())].into(),
            sign: None,
            ..notification()
        };
        let attempt = Attempt::Recorded(Copies::ONE, Manner::default());
        let message = attempt.compose(&recorded, None, NOW).unwrap();
        assert_eq!(
            (&message.channel, &message.headers, &message.body),
            (&recorded.channel, &recorded.headers, &recorded.body)
        );
        assert_eq!(attempt.compose(&Notification { sign: Some(Sign::OURS), ..recorded }, None, NOW), Err(Unsignable));
    }
}
