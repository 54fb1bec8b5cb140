//! What a run has shown: as a table for people, as JSON for programs, as `JUnit` for build servers.

mod junit;
mod table;

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    effects::Effects,
    judge::{Verdict, told},
    notification::Notification,
    plan::Attempt,
    run::Attempted,
};

/// Most failures that are listed one by one.
const LISTED: usize = 1000;

/// What a run has shown.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where the notifications were sent.
    pub target: String,
    /// What the plan was drawn with.
    pub seed: u64,
    /// How many notifications there were.
    pub notifications: usize,
    /// How many messages were sent.
    pub sent: usize,
    /// By what was wrong with them, or how they came; one attempt may be several of these.
    pub kinds: BTreeMap<String, Row>,
    /// Over all attempts, each once.
    pub total: Row,
    /// Attempts that became what they must not, up to a thousand of them.
    pub failures: Vec<Failure>,
    /// What the shop has made of it.
    pub effects: Effects,
    /// SHA-256 over all verdicts in order: the same for the same run.
    pub verdicts: String,
    /// How long sending took, in milliseconds.
    pub millis: u64,
    /// Whether the invariants of the shop hold; absent where nobody looked.
    pub audit: Option<Audit>,
}

/// Counts of attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// How many.
    pub attempts: usize,
    /// How many messages these took.
    pub sent: usize,
    /// How many were accepted.
    pub accepted: usize,
    /// How many were refused.
    pub refused: usize,
    /// How many got no clear answer.
    pub unclear: usize,
    /// How many became what they must not.
    pub wrong: usize,
}

/// An attempt that became what it must not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Which notification, counted from 0.
    pub notification: usize,
    /// The payment it is about, where that is known.
    pub pay_id: Option<String>,
    /// What was wrong with it, or how it came.
    pub kind: String,
    /// What must become of it.
    pub expected: String,
    /// What became of it.
    pub verdict: String,
}

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Whether every invariant holds.
    pub clean: bool,
    /// What does not, in words.
    pub violations: Vec<String>,
}

impl Report {
    /// Of `attempted`, which took `took`.
    pub fn new(
        (target, seed): (&str, u64),
        notifications: &[Notification],
        attempted: &[Attempted],
        effects: Effects,
        took: Duration,
    ) -> Self {
        let (mut kinds, mut total, mut failures, mut digest) =
            (BTreeMap::<String, Row>::new(), Row::default(), Vec::new(), Sha256::new());
        for one in attempted {
            total.count(one);
            for kind in kinds_of(one) {
                kinds.entry(kind.to_owned()).or_default().count(one);
            }
            let verdict = one.verdict.as_ref().map_or_else(|| "lost".to_owned(), Verdict::to_string);
            digest.update(format!("{} {} {verdict}\n", one.step.0, one.step.1));
            if !one.is_right() && failures.len() < LISTED {
                failures.push(Failure::of(one, verdict, notifications.get(one.step.0)));
            }
        }
        Self {
            target: target.to_owned(),
            seed,
            notifications: notifications.len(),
            sent: total.sent,
            kinds,
            total,
            failures,
            effects,
            verdicts: hex::encode(digest.finalize()),
            millis: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            audit: None,
        }
    }

    /// Whether every expectation held.
    pub fn is_right(&self) -> bool {
        self.total.wrong == 0 && self.effects.are_right() && self.audit.as_ref().is_none_or(|audit| audit.clean)
    }

    /// Messages per second.
    pub fn rate(&self) -> u64 {
        u64::try_from(self.sent).unwrap_or(u64::MAX).saturating_mul(1000) / self.millis.max(1)
    }
}

impl Row {
    fn count(&mut self, one: &Attempted) {
        self.attempts = self.attempts.saturating_add(1);
        self.sent = self.sent.saturating_add(one.sent);
        let of_verdict = match &one.verdict {
            Some(Verdict::Accepted) => Some(&mut self.accepted),
            Some(Verdict::Refused(_)) => Some(&mut self.refused),
            Some(Verdict::Unclear(_) | Verdict::Broken(_)) => Some(&mut self.unclear),
            None => None,
        };
        if let Some(counted) = of_verdict {
            *counted = counted.saturating_add(1);
        }
        if !one.is_right() {
            self.wrong = self.wrong.saturating_add(1);
        }
    }
}

impl Failure {
    fn of(one: &Attempted, verdict: String, notification: Option<&Notification>) -> Self {
        Self {
            notification: one.step.0,
            pay_id: notification.and_then(|of| of.payment).map(|payment| payment.pay_id.to_string()),
            kind: kinds_of(one).join(" + "),
            expected: one.expected.as_ref().map_or_else(|| "lost".to_owned(), told),
            verdict,
        }
    }
}

/// What was wrong with it, or how it came.
pub fn kinds_of(one: &Attempted) -> Vec<&'static str> {
    let (first, copies, manner) = match one.attempt {
        Attempt::Genuine(copies, manner) => ("genuine", copies, manner),
        Attempt::Recorded(copies, manner) => ("as recorded", copies, manner),
        Attempt::Early => return vec!["early"],
        Attempt::Lost => return vec!["lost"],
        Attempt::Forged(forgery) => return vec![forgery.name()],
    };
    let all = [
        (first, true),
        ("early", manner.early),
        ("late", manner.late),
        ("read slowly", manner.slow),
        ("duplicate, at once", copies.count > 1 && copies.at_once),
        ("duplicate, in a row", copies.count > 1 && !copies.at_once),
    ];
    all.into_iter().filter(|(_, is)| *is).map(|(kind, _)| kind).collect()
}

#[cfg(test)]
mod tests;
