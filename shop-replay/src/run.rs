//! Sends what was planned, as the channels would: the notifications of one payment one after the other, those of
//! different payments at once, and what was not accepted again after the channel's next gap.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, future::join_all, stream};
use shop_common::time::Clock;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    compose::Message,
    judge::{Answer, Verdict},
    notification::{Copies, Expect, Manner, Notification},
    plan::{Attempt, Course},
    signer::{Signer, Signers},
    target::{BadTarget, Target},
};

/// How often what is no notification of the channel is tried where the shop does not answer.
const TRIES: u32 = 6;
/// First pause between two of those; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(20);

/// How to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Messages under way at once.
    pub clients: usize,
    /// How many times faster than the channel's clock.
    pub time_scale: u32,
}

/// One attempt and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempted {
    /// Which notification, and which step of its course.
    pub step: (usize, usize),
    /// The step.
    pub attempt: Attempt,
    /// What must become of it; none where it was lost on the way.
    pub expected: Option<Expect>,
    /// What became of it.
    pub verdict: Option<Verdict>,
    /// How many messages that took.
    pub sent: usize,
    /// How many of these paid the payment.
    pub applied: usize,
}

/// A run.
pub struct Run<'a> {
    /// The notifications.
    pub notifications: &'a [Notification],
    /// What happens to each.
    pub courses: &'a [Course],
    /// The channels.
    pub signers: &'a Signers,
    /// The shop.
    pub target: &'a Target,
    /// How to send.
    pub options: Options,
    /// The time.
    pub clock: Clock,
    /// Told of each attempt, and of the notification as it was sent.
    pub watch: &'a (dyn Fn(&Attempted, Option<&Notification>) + Sync),
}

/// The course of one notification under way.
struct Way<'a> {
    number: usize,
    notification: &'a Notification,
    signer: Option<&'a dyn Signer>,
    /// By the channel's clock.
    at: Duration,
    gaps: std::slice::Iter<'a, Duration>,
    permits: &'a Semaphore,
}

/// What was sent in one attempt.
struct Delivered {
    message: Option<Message>,
    answers: Vec<Answer>,
    sent: usize,
    /// How many of them paid the payment.
    applied: usize,
}

impl Delivered {
    fn of(message: Message, answers: Vec<Answer>) -> Self {
        let applied = answers.iter().filter(|answer| **answer == Answer::Accepted { applied: true }).count();
        Self { message: Some(message), sent: answers.len(), applied, answers }
    }

    /// What could not be sent.
    fn broken(why: &impl ToString) -> Self {
        Self { message: None, answers: vec![Answer::Broken(why.to_string())], sent: 0, applied: 0 }
    }

    /// The same once more: the last answers count, and so does every message and every effect.
    fn then(self, again: Self) -> Self {
        let sent = self.sent.saturating_add(again.sent);
        Self { sent, applied: self.applied.saturating_add(again.applied), ..again }
    }
}

impl Attempted {
    /// Whether that is what must become of it.
    pub fn is_right(&self) -> bool {
        match (&self.expected, &self.verdict) {
            (None, None) => true,
            (Some(expected), Some(verdict)) => verdict.is(expected),
            _ => false,
        }
    }
}

impl Run<'_> {
    /// Whether the target can do what was planned.
    ///
    /// # Errors
    /// What it cannot.
    pub fn check(&self) -> Result<(), BadTarget> {
        for attempt in self.courses.iter().flat_map(|course| &course.attempts) {
            let (is_slow, is_early) = match attempt {
                Attempt::Recorded(_, manner) | Attempt::Genuine(_, manner) => (manner.slow, manner.early),
                Attempt::Early => (false, true),
                Attempt::Lost | Attempt::Forged(_) => (false, false),
            };
            if is_slow && !self.target.can_be_read_slowly() {
                return Err(BadTarget::NoRest);
            }
            if is_early && !self.target.can_hide() {
                return Err(BadTarget::NoDatabase("an early notification"));
            }
        }
        Ok(())
    }

    /// Sends everything; in the order of notifications and steps.
    pub async fn send(&self) -> Vec<Attempted> {
        let permits = Semaphore::new(self.options.clients.max(1));
        let started = Instant::now();
        let mut chains: Vec<Vec<(usize, &Course)>> = self.chains().into_values().collect();
        chains.sort_by_key(|chain| chain.first().map(|(number, course)| (course.at, *number)));
        let sending = chains.into_iter().map(|chain| self.send_chain(chain, &permits, started));
        let mut attempted: Vec<Attempted> =
            stream::iter(sending).buffer_unordered(usize::MAX).flat_map(stream::iter).collect().await;
        attempted.sort_by_key(|attempted| attempted.step);
        attempted
    }

    /// By payment; what is about none is a chain of its own.
    fn chains(&self) -> BTreeMap<(i64, usize), Vec<(usize, &Course)>> {
        let mut chains: BTreeMap<_, Vec<(usize, &Course)>> = BTreeMap::new();
        for (number, (notification, course)) in self.notifications.iter().zip(self.courses).enumerate() {
            let said = || Some(self.signers.get(&notification.channel)?.read(&notification.body)?.pay_id);
            let key = notification.payment.map(|payment| payment.pay_id).or_else(said);
            chains.entry(key.map_or((0, number), |pay_id| (pay_id, 0))).or_default().push((number, course));
        }
        for chain in chains.values_mut() {
            chain.sort_by_key(|(number, course)| (course.at, *number));
        }
        chains
    }

    async fn send_chain(&self, chain: Vec<(usize, &Course)>, permits: &Semaphore, started: Instant) -> Vec<Attempted> {
        let mut attempted = Vec::new();
        for (number, course) in chain {
            let Some(notification) = self.notifications.get(number) else { continue };
            sleep_until(started + self.scaled(course.at)).await;
            let signer = self.signers.get(&notification.channel);
            let gaps = signer.map_or(&[][..], |signer| signer.gaps()).iter();
            let mut way = Way { number, notification, signer, at: course.at, gaps, permits };
            for (step, attempt) in course.attempts.iter().enumerate() {
                attempted.push(self.attempt(&mut way, step, *attempt).await);
            }
        }
        attempted
    }

    async fn attempt(&self, way: &mut Way<'_>, step: usize, attempt: Attempt) -> Attempted {
        let at = way.at;
        let delivered = match attempt {
            Attempt::Lost => None,
            Attempt::Early => Some(self.send_early(way, attempt, Copies::ONE, false).await),
            Attempt::Recorded(copies, Manner { early: true, slow, .. }) => {
                Some(self.send_early(way, attempt, copies, slow).await)
            }
            Attempt::Forged(_) => Some(self.send_until_answered(way, attempt, Copies::ONE, false).await),
            Attempt::Genuine(copies, manner) | Attempt::Recorded(copies, manner) => {
                Some(self.send_genuine(way, attempt, copies, manner).await)
            }
        };
        if matches!(attempt, Attempt::Lost | Attempt::Early) {
            self.wait_for_the_next(way).await;
        }
        let expected = attempt.expects(way.notification);
        let attempted = Attempted {
            step: (way.number, step),
            attempt,
            verdict: delivered.as_ref().map(|delivered| Verdict::of(&delivered.answers)),
            sent: delivered.as_ref().map_or(0, |delivered| delivered.sent),
            applied: delivered.as_ref().map_or(0, |delivered| delivered.applied),
            expected,
        };
        let as_sent = delivered.and_then(|delivered| as_sent(way.notification, &attempted, delivered.message?, at));
        (self.watch)(&attempted, as_sent.as_ref());
        attempted
    }

    /// As a channel does: until it reads what it wants to read, or gives up. What must be refused is sent until there is
    /// an answer.
    async fn send_genuine(&self, way: &mut Way<'_>, attempt: Attempt, copies: Copies, manner: Manner) -> Delivered {
        if manner.late
            && let Err(why) = self.cancel(way.notification).await
        {
            return Delivered::broken(&why);
        }
        if attempt.expects(way.notification) != Some(Expect::Accepted) {
            return self.send_until_answered(way, attempt, copies, manner.slow).await;
        }
        let mut delivered = self.send_copies(way, attempt, copies, manner.slow).await;
        while !delivered.answers.iter().all(Answer::is_accepted) && self.wait_for_the_next(way).await {
            let again = self.send_copies(way, attempt, Copies::ONE, manner.slow).await;
            delivered = delivered.then(again);
        }
        delivered
    }

    async fn send_until_answered(&self, way: &Way<'_>, attempt: Attempt, copies: Copies, slow: bool) -> Delivered {
        let mut delivered = self.send_copies(way, attempt, copies, slow).await;
        for tried in 1..TRIES {
            if !delivered.answers.iter().any(|answer| matches!(answer, Answer::Unclear(_))) {
                break;
            }
            sleep(PAUSE.saturating_mul(1 << tried)).await;
            let again = self.send_copies(way, attempt, copies, slow).await;
            delivered = delivered.then(again);
        }
        delivered
    }

    /// While the shop does not see the payment.
    async fn send_early(&self, way: &Way<'_>, attempt: Attempt, copies: Copies, slow: bool) -> Delivered {
        let Some(payment) = way.notification.payment else {
            return self.send_until_answered(way, attempt, copies, slow).await;
        };
        if let Err(error) = self.target.show(payment.pay_id, false).await {
            return Delivered::broken(&error);
        }
        let delivered = self.send_until_answered(way, attempt, copies, slow).await;
        match self.target.show(payment.pay_id, true).await {
            Ok(()) => delivered,
            Err(error) => Delivered::broken(&error),
        }
    }

    async fn send_copies(&self, way: &Way<'_>, attempt: Attempt, copies: Copies, slow: bool) -> Delivered {
        // Signed when its turn has come: a signature that waits grows old. The semaphore is never closed.
        let _permit = way.permits.acquire().await;
        let message = match attempt.compose(way.notification, way.signer, self.clock.now()) {
            Ok(message) => message,
            Err(error) => return Delivered::broken(&error),
        };
        let ack = way.signer.map_or(&b"success"[..], |signer| signer.ack());
        let one = || self.target.deliver(&message, ack, slow);
        let mut answers = Vec::new();
        if copies.at_once {
            answers = join_all((0..copies.count).map(|_| one())).await;
        } else {
            for _ in 0..copies.count {
                answers.push(one().await);
            }
        }
        Delivered::of(message, answers)
    }

    async fn cancel(&self, notification: &Notification) -> Result<(), String> {
        let Some(payment) = notification.payment else { return Ok(()) };
        let mut why = String::new();
        for tried in 0..TRIES {
            match self.target.cancel(&payment).await {
                Ok(()) => return Ok(()),
                Err(error) => why = format!("its order cannot be cancelled: {error}"),
            }
            sleep(PAUSE.saturating_mul(1 << tried)).await;
        }
        Err(why)
    }

    /// Waits for the channel's next try; false once it has given up.
    async fn wait_for_the_next(&self, way: &mut Way<'_>) -> bool {
        let Some(gap) = way.gaps.next() else { return false };
        way.at = way.at.saturating_add(*gap);
        sleep(self.scaled(*gap)).await;
        true
    }

    fn scaled(&self, duration: Duration) -> Duration {
        duration / self.options.time_scale.max(1)
    }
}

/// The notification that `message` was, so that a recording of it can be sent again.
fn as_sent(of: &Notification, attempted: &Attempted, message: Message, at: Duration) -> Option<Notification> {
    let (copies, manner) = match attempted.attempt {
        Attempt::Recorded(copies, manner) | Attempt::Genuine(copies, manner) => (copies, manner),
        Attempt::Early => (Copies::ONE, Manner { early: true, ..Manner::default() }),
        Attempt::Lost | Attempt::Forged(_) => (Copies::ONE, Manner::default()),
    };
    let headers = if message.sign.is_some() { of.headers.clone() } else { message.headers };
    let expect = attempted.expected.clone()?;
    let (channel, body, sign, payment) = (message.channel, message.body, message.sign, of.payment);
    Some(Notification { channel, headers, body, at, sign, expect, payment, copies, manner })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notification::Headers;

    #[test]
    fn what_was_paid_before_the_last_answer_was_paid() {
        let message = || Message { channel: "a".into(), headers: Headers::new(), body: Vec::new(), sign: None };
        let paid = Answer::Accepted { applied: true };
        let first = Delivered::of(message(), vec![paid.clone(), Answer::Unclear("busy".into())]);
        let both = first.then(Delivered::of(message(), vec![paid.clone()]));
        assert_eq!((both.sent, both.applied, both.answers), (3, 2, vec![paid]));
    }
}
