//! What the shop has made of a run: every payment that was notified is paid, and was paid once.

use std::{collections::BTreeMap, fmt};

use futures::{StreamExt, stream};
use serde::Serialize;

use crate::{
    judge::Verdict,
    notification::Notification,
    plan::Attempt,
    run::Attempted,
    signer::Signers,
    store,
    target::{BadTarget, Target},
};

/// Payments that are asked for at once.
const AT_ONCE: usize = 32;
/// Asked again where there is no answer.
const TRIES: usize = 5;

/// What the shop has made of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Effects {
    /// Payments that the notifications were about and that could be asked for.
    pub payments: usize,
    /// How many of them are paid.
    pub paid: usize,
    /// Effects that the shop has written down; absent where its database is not at hand.
    pub written: Option<i64>,
    /// Paid by more than one notification.
    pub paid_twice: Vec<String>,
    /// Not paid, although a notification that says so was accepted.
    pub not_paid: Vec<String>,
    /// Paid, although no notification that says so was accepted; only known of a fresh shop.
    pub paid_for_nothing: Vec<String>,
    /// Could not be asked for.
    pub not_known: Vec<String>,
}

/// What the answers say about one payment.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    is_paid: bool,
    applied: usize,
}

impl Effects {
    /// Asks the shop; its own database too where that is at hand, and then nothing else was paid there before.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn count(
        target: &Target,
        signers: &Signers,
        notifications: &[Notification],
        attempted: &[Attempted],
    ) -> Result<Self, BadTarget> {
        let told = told(signers, notifications, attempted);
        let payments: BTreeMap<i64, _> =
            notifications.iter().filter_map(|of| of.payment).map(|payment| (payment.pay_id, payment)).collect();
        let asking = payments.values().map(|payment| async move {
            for _ in 1..TRIES {
                if let Ok(is_paid) = target.is_paid(payment).await {
                    return (payment.pay_id, Some(is_paid));
                }
            }
            (payment.pay_id, target.is_paid(payment).await.ok())
        });
        let mut effects = Self { payments: payments.len(), ..Self::default() };
        for (pay_id, is_paid) in stream::iter(asking).buffered(AT_ONCE).collect::<Vec<_>>().await {
            let Told { is_paid: must_be, applied } = told.get(&pay_id).copied().unwrap_or_default();
            let name = pay_id.to_string();
            effects.paid = effects.paid.saturating_add(usize::from(is_paid == Some(true)));
            match is_paid {
                None => effects.not_known.push(name.clone()),
                Some(false) if must_be => effects.not_paid.push(name.clone()),
                Some(true) if !must_be && target.pay().is_some() => effects.paid_for_nothing.push(name.clone()),
                Some(_) => {}
            }
            if applied > 1 {
                effects.paid_twice.push(name);
            }
        }
        if let Some(pay) = target.pay() {
            effects.written = Some(store::effects(pay).await?);
        }
        Ok(effects)
    }

    /// Whether every payment has the effect it must have, once.
    pub fn are_right(&self) -> bool {
        let Self { written, paid_twice, not_paid, paid_for_nothing, not_known, .. } = self;
        let lists = [paid_twice, not_paid, paid_for_nothing, not_known];
        let is_written_once = written.is_none_or(|written| usize::try_from(written) == Ok(self.paid));
        is_written_once && lists.iter().all(|list| list.is_empty())
    }
}

fn told(signers: &Signers, notifications: &[Notification], attempted: &[Attempted]) -> BTreeMap<i64, Told> {
    let mut told: BTreeMap<i64, Told> = BTreeMap::new();
    for one in attempted {
        let Some(notification) = notifications.get(one.step.0) else { continue };
        let Some(payment) = notification.payment else { continue };
        let of_payment = told.entry(payment.pay_id).or_default();
        of_payment.applied = of_payment.applied.saturating_add(one.applied);
        let said = signers.get(&notification.channel).and_then(|signer| signer.read(&notification.body));
        let is_as_it_is = matches!(one.attempt, Attempt::Genuine(..) | Attempt::Recorded(..));
        let says_paid = is_as_it_is && said.is_some_and(|said| said.is_paid && said.pay_id == payment.pay_id);
        of_payment.is_paid |= says_paid && one.verdict == Some(Verdict::Accepted);
    }
    told
}

impl fmt::Display for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "effects: {} payments, {} paid", self.payments, self.paid)?;
        if let Some(written) = self.written {
            write!(f, ", {written} written down")?;
        }
        for (what, list) in [
            ("PAID TWICE", &self.paid_twice),
            ("NOT PAID", &self.not_paid),
            ("PAID FOR NOTHING", &self.paid_for_nothing),
            ("NOT KNOWN", &self.not_known),
        ] {
            if !list.is_empty() {
                write!(f, "; {what}: {}", list.join(" "))?;
            }
        }
        Ok(())
    }
}
