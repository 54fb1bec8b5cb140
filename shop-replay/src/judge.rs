//! What the shop answered, and whether it had to.

use std::fmt;

use shop_common::code::{ShopCode, TABLE, Verdict as CodeVerdict};

use crate::notification::Expect;

/// What one message was answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What the channel wants to read, and nothing else.
    Accepted {
        /// Whether it was this very message that paid the payment, where the shop says so.
        applied: bool,
    },
    /// A definite no, by name where the shop says it.
    Refused(Refusal),
    /// Neither: not in time, busy, away. It says nothing about the message.
    Unclear(String),
    /// What no message may be answered with: an internal error, or an acknowledgement that the channel cannot read.
    Broken(String),
}

/// A definite no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// By its code.
    Code(ShopCode),
    /// By the HTTP status alone: over REST the channel reads nothing but `fail`.
    Http(u16),
}

/// What became of an attempt, over all of its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All were accepted.
    Accepted,
    /// All were refused, by the same.
    Refused(Refusal),
    /// There was no answer to at least one of them, however often it was asked.
    Unclear(String),
    /// Something else.
    Broken(String),
}

impl Answer {
    /// How the shop's own code is to be read.
    pub fn of_code(code: ShopCode) -> Self {
        match code.row().verdict {
            CodeVerdict::Refused => Self::Refused(Refusal::Code(code)),
            CodeVerdict::Retry | CodeVerdict::Unknown => Self::Unclear(code.row().name.to_owned()),
            CodeVerdict::Bug => Self::Broken(code.row().name.to_owned()),
        }
    }

    /// How an HTTP status is to be read that is no success.
    pub fn of_http(status: u16) -> Self {
        match status {
            408 | 429 | 502..=504 => Self::Unclear(format!("HTTP {status}")),
            400..=499 => Self::Refused(Refusal::Http(status)),
            _ => Self::Broken(format!("HTTP {status}")),
        }
    }

    /// How the acknowledgement `body` is to be read, by a channel that wants to read `ack`.
    pub fn of_ack(body: &[u8], ack: &[u8], applied: bool) -> Self {
        if body == ack {
            return Self::Accepted { applied };
        }
        Self::Broken(format!("acknowledged by {:?}", String::from_utf8_lossy(body)))
    }

    /// Whether the channel stops sending.
    pub const fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted { .. })
    }
}

impl Verdict {
    /// Over all answers to one attempt; the worst of them where they differ.
    pub fn of(answers: &[Answer]) -> Self {
        let mut verdicts = answers.iter().map(|answer| match answer {
            Answer::Accepted { .. } => Self::Accepted,
            Answer::Refused(refusal) => Self::Refused(*refusal),
            Answer::Unclear(why) => Self::Unclear(why.clone()),
            Answer::Broken(why) => Self::Broken(why.clone()),
        });
        let first = verdicts.next().unwrap_or_else(|| Self::Unclear("nothing was sent".to_owned()));
        verdicts.fold(first, |all, next| match (&all, &next) {
            (Self::Broken(_), _) => all,
            (_, Self::Broken(_)) => next,
            (Self::Unclear(_), _) => all,
            (_, Self::Unclear(_)) => next,
            _ if all == next => all,
            _ => Self::Broken(format!("{all} and {next}")),
        })
    }

    /// Whether that is what must become of it.
    pub fn is(&self, expected: &Expect) -> bool {
        match (self, expected) {
            (Self::Accepted, Expect::Accepted) => true,
            (Self::Refused(_), Expect::Refused(codes)) if codes.is_empty() => true,
            (Self::Refused(Refusal::Code(code)), Expect::Refused(codes)) => codes.contains(code),
            (Self::Refused(Refusal::Http(status)), Expect::Refused(codes)) => {
                codes.iter().any(|code| code.row().http == *status)
            }
            _ => false,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => f.write_str(code.row().name),
            Self::Http(status) => write!(f, "HTTP {status}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
            Self::Unclear(why) => write!(f, "no answer: {why}"),
            Self::Broken(why) => write!(f, "broken: {why}"),
        }
    }
}

/// How an expectation is told.
pub fn told(expected: &Expect) -> String {
    match expected {
        Expect::Accepted => "accepted".to_owned(),
        Expect::Refused(codes) if codes.is_empty() => "refused".to_owned(),
        Expect::Refused(codes) => {
            let names: Vec<&str> = TABLE.iter().filter(|row| codes.contains(&row.code)).map(|row| row.name).collect();
            format!("refused: {}", names.join(" or "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPTED: Answer = Answer::Accepted { applied: true };

    fn refused(code: ShopCode) -> Answer {
        Answer::of_code(code)
    }

    #[test]
    fn only_what_must_become_of_it_is_right() {
        let by = |codes: &[ShopCode]| Expect::Refused(codes.to_vec());
        let (invalid, replay) = (ShopCode::SignatureInvalid, ShopCode::NotifyReplay);
        for (answer, expected, is_right) in [
            (ACCEPTED, Expect::Accepted, true),
            (ACCEPTED, by(&[]), false),
            (ACCEPTED, by(&[invalid]), false),
            (refused(invalid), Expect::Accepted, false),
            (refused(invalid), by(&[]), true),
            (refused(invalid), by(&[replay, invalid]), true),
            (refused(replay), by(&[invalid]), false),
            (Answer::of_http(401), by(&[invalid]), true),
            (Answer::of_http(409), by(&[invalid]), false),
            (refused(ShopCode::Busy), Expect::Accepted, false),
            (refused(ShopCode::Busy), by(&[]), false),
            (refused(ShopCode::Internal), by(&[]), false),
            (Answer::of_http(500), by(&[]), false),
            (Answer::of_http(503), by(&[]), false),
            (Answer::of_http(301), by(&[]), false),
        ] {
            assert_eq!(Verdict::of(std::slice::from_ref(&answer)).is(&expected), is_right, "{answer:?} {expected:?}");
        }
    }

    #[test]
    fn an_acknowledgement_is_what_the_channel_wants_to_read() {
        assert_eq!(Answer::of_ack(b"success", b"success", true), ACCEPTED);
        for body in [&b"SUCCESS"[..], b"success ", b"fail", b""] {
            assert!(matches!(Answer::of_ack(body, b"success", true), Answer::Broken(_)), "{body:?}");
        }
    }

    #[test]
    fn copies_have_one_verdict_or_none() {
        let repeat = Answer::Accepted { applied: false };
        assert_eq!(Verdict::of(&[ACCEPTED, repeat.clone(), repeat]), Verdict::Accepted);
        assert!(matches!(Verdict::of(&[ACCEPTED, refused(ShopCode::NotifyReplay)]), Verdict::Broken(_)));
        assert!(matches!(Verdict::of(&[ACCEPTED, refused(ShopCode::Busy)]), Verdict::Unclear(_)));
        assert!(matches!(Verdict::of(&[refused(ShopCode::Busy), refused(ShopCode::Internal)]), Verdict::Broken(_)));
        assert!(matches!(Verdict::of(&[]), Verdict::Unclear(_)));
    }
}
