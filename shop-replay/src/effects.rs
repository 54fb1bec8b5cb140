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
        let is_fresh = target.pay().is_some();
        for (pay_id, is_paid) in stream::iter(asking).buffered(AT_ONCE).collect::<Vec<_>>().await {
            effects.take(pay_id, is_paid, told.get(&pay_id).copied().unwrap_or_default(), is_fresh);
        }
        if let Some(pay) = target.pay() {
            effects.written = Some(store::effects(pay).await?);
        }
        Ok(effects)
    }

    /// One payment: what the shop says of it, none where it does not say, against what its notifications were told.
    fn take(&mut self, pay_id: i64, is_paid: Option<bool>, told: Told, is_fresh: bool) {
        self.paid = self.paid.saturating_add(usize::from(is_paid == Some(true)));
        let wrong = match is_paid {
            None => Some(&mut self.not_known),
            Some(false) if told.is_paid => Some(&mut self.not_paid),
            Some(true) if !told.is_paid && is_fresh => Some(&mut self.paid_for_nothing),
            Some(_) => None,
        };
        let twice = (told.applied > 1).then_some(&mut self.paid_twice);
        for list in [wrong, twice].into_iter().flatten() {
            list.push(pay_id.to_string());
        }
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

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use shop_common::{code::ShopCode, config::Secret, money::Fen, time::Millis};

    use super::*;
    use crate::{
        fault::Forgery,
        judge::Refusal,
        notification::{Copies, Manner, PaymentRef},
        signer::{SandboxSigner, Signer, Trade},
    };

    const PAY: i64 = 7;
    const GENUINE: Attempt = Attempt::Genuine(Copies::ONE, Manner { early: false, late: false, slow: false });

    fn signers() -> (SandboxSigner, Signers) {
        let signer = SandboxSigner::new("m", "k1", Secret::new("0123456789abcdef0123456789abcdef"));
        let shared: Arc<dyn Signer> = Arc::new(signer.clone());
        (signer, Signers::new([shared]))
    }

    /// Of payment 7; its body is about `said`.
    fn notification(said: i64) -> Notification {
        let trade = Trade { pay_id: said, amount: Fen::new(100), paid: Millis::new(1) };
        let body = signers().0.notification(&trade).unwrap();
        let payment = PaymentRef { pay_id: PAY, order_id: 1, user_id: 1, amount: Fen::new(100) };
        Notification { payment: Some(payment), ..Notification::genuine("sandbox", body, Duration::ZERO) }
    }

    fn attempted(attempt: Attempt, verdict: Verdict, applied: usize) -> Attempted {
        Attempted { step: (0, 0), attempt, expected: None, verdict: Some(verdict), sent: 1, applied }
    }

    fn told_of(said: i64, all: &[Attempted]) -> (bool, usize) {
        let told = told(&signers().1, &[notification(said)], all)[&PAY];
        (told.is_paid, told.applied)
    }

    #[test]
    fn only_an_accepted_word_of_the_channel_about_this_payment_pays_it() {
        let no = Verdict::Refused(Refusal::Code(ShopCode::SignatureInvalid));
        let recorded = Attempt::Recorded(Copies::ONE, Manner::default());
        for (said, attempt, verdict, is_paid) in [
            (PAY, GENUINE, Verdict::Accepted, true),
            (PAY, recorded, Verdict::Accepted, true),
            (PAY, GENUINE, no, false),
            (PAY, GENUINE, Verdict::Unclear("x".into()), false),
            (PAY, Attempt::Forged(Forgery::WrongKey), Verdict::Accepted, false),
            (PAY, Attempt::Early, Verdict::Accepted, false),
            (8, GENUINE, Verdict::Accepted, false),
        ] {
            let all = [attempted(attempt, verdict.clone(), 0)];
            assert_eq!(told_of(said, &all), (is_paid, 0), "{said} {attempt:?} {verdict}");
        }
    }

    #[test]
    fn every_message_that_paid_counts() {
        let once = attempted(GENUINE, Verdict::Accepted, 1);
        let forged = attempted(Attempt::Forged(Forgery::Stale(400)), Verdict::Accepted, 1);
        assert_eq!(told_of(PAY, &[once, forged]), (true, 2));
    }

    #[test]
    fn what_the_shop_says_is_held_against_what_it_was_told() {
        let wrong = |is_paid, told, is_fresh| {
            let mut effects = Effects::default();
            effects.take(PAY, is_paid, told, is_fresh);
            assert_eq!(effects.paid, usize::from(is_paid == Some(true)));
            let text = effects.to_string();
            assert_eq!(effects.are_right(), !text.contains(';'), "{text}");
            text.split_once("; ").map(|(_, wrong)| wrong.to_owned()).unwrap_or_default()
        };
        let told = |is_paid, applied| Told { is_paid, applied };
        assert_eq!(wrong(Some(true), told(true, 1), true), "");
        assert_eq!(wrong(Some(false), told(false, 0), true), "");
        assert_eq!(wrong(Some(false), told(true, 1), false), "NOT PAID: 7");
        assert_eq!(wrong(Some(true), told(false, 0), true), "PAID FOR NOTHING: 7");
        assert_eq!(wrong(Some(true), told(false, 0), false), "", "somebody else may have paid it");
        assert_eq!(wrong(Some(true), told(true, 2), false), "PAID TWICE: 7");
        assert_eq!(wrong(None, told(true, 1), false), "NOT KNOWN: 7");
    }
}
