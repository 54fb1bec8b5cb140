//! What happens to each notification: a pure function of the seed, the notifications and the faults.
//!
//! Every fault has a stream of random numbers of its own, so that turning one on leaves the others where they were. A
//! share is met exactly: the drawn ones are counted, not tossed for. Nothing depends on ids, times of day or answers.

use std::{collections::BTreeSet, time::Duration};

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};

use crate::{
    fault::{Faults, Forgery},
    notification::{Copies, Manner, Notification},
    rate::Rate,
    signer::Signers,
};

/// No payment has a number that small: the shop's ids begin far above.
const NO_PAYMENT: i64 = 1_000_000;
/// A signature is too old, in seconds, from here on, at a channel whose window is five minutes.
const OLD_S: std::ops::Range<i64> = 330..86_400;
/// And as far in the future.
const FUTURE_S: std::ops::Range<i64> = 330..900;

/// What the plan has to know of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// When it is sent.
    pub at: Duration,
    /// Whether it is genuine and of a channel we can sign for; what is not is sent as it stands.
    pub is_genuine: bool,
    /// Whether it is known whose order it pays.
    pub has_order: bool,
    /// How often it is sent.
    pub copies: Copies,
    /// How it is sent.
    pub manner: Manner,
    /// Whether it may be sent at the time of another one; not where an early one of its payment must stay the first.
    pub can_move: bool,
}

/// What happens to one notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// When it begins, by the channel's clock.
    pub at: Duration,
    /// One after the other.
    pub attempts: Vec<Attempt>,
}

/// One step of a course.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Sent as it stands in the recording.
    Recorded(Copies, Manner),
    /// The channel sends it; until it is accepted, again and again.
    Genuine(Copies, Manner),
    /// The channel sends it before the shop can see its payment.
    Early,
    /// The channel sends it, and it never arrives.
    Lost,
    /// Somebody sends one that is not genuine.
    Forged(Forgery),
}

/// The faults by the numbers of their streams.
#[derive(Clone, Copy)]
enum Stream {
    Duplicate,
    Reorder,
    Drop,
    Late,
    Tamper,
    WrongKey,
    Stale,
    Slow,
    Early,
    Foreign,
    Order,
}

impl Subject {
    /// What the plan has to know of each.
    pub fn all(notifications: &[Notification], signers: &Signers) -> Vec<Self> {
        let payment = |one: &Notification| one.payment.map(|payment| payment.pay_id);
        let early: BTreeSet<i64> = notifications.iter().filter(|one| one.manner.early).filter_map(payment).collect();
        let can_move = |one: &Notification| payment(one).is_none_or(|pay_id| !early.contains(&pay_id));
        notifications.iter().map(|one| Self { can_move: can_move(one), ..Self::of(one, signers) }).collect()
    }

    fn of(notification: &Notification, signers: &Signers) -> Self {
        let signer = signers.get(&notification.channel);
        let is_read = || signer.is_some_and(|signer| signer.read(&notification.body).is_some());
        Self {
            at: notification.at,
            is_genuine: notification.expect == crate::Expect::Accepted && is_read(),
            has_order: notification.payment.is_some(),
            copies: notification.copies,
            manner: notification.manner,
            can_move: true,
        }
    }
}

/// The course of every notification, in the order of `subjects`.
pub fn plan(seed: u64, subjects: &[Subject], faults: &Faults) -> Vec<Course> {
    let mut courses: Vec<Course> = subjects.iter().map(Course::undisturbed).collect();
    let draw = |stream, rate, among: fn(&Subject) -> bool| draw(seed, stream, rate, subjects, among);
    reorder(&mut courses, draw(Stream::Reorder, faults.reorder, |subject| subject.can_move));
    let mut of_genuine = |stream, rate, fault: &mut dyn FnMut(&mut Course, &mut ChaCha8Rng)| {
        disturb(&mut courses, draw(stream, rate, |subject| subject.is_genuine), fault);
    };
    of_genuine(Stream::Duplicate, faults.duplicate, &mut |course, rng| {
        course.genuine(|copies, _| *copies = Copies { count: faults.copies.max(2), at_once: rng.random() });
    });
    of_genuine(Stream::Slow, faults.slow, &mut |course, _| course.genuine(|_, manner| manner.slow = true));
    of_genuine(Stream::Drop, faults.drop, &mut |course, rng| {
        for _ in 0..rng.random_range(1..=2) {
            course.before(Attempt::Lost);
        }
    });
    of_genuine(Stream::Early, faults.early, &mut |course, _| course.before(Attempt::Early));
    of_genuine(Stream::Tamper, faults.tamper, &mut |course, rng| course.beside(tampered(rng), rng));
    of_genuine(Stream::WrongKey, faults.wrong_key, &mut |course, rng| {
        let forgery = if rng.random() { Forgery::WrongKey } else { Forgery::RevokedKey };
        course.beside(forgery, rng);
    });
    of_genuine(Stream::Stale, faults.stale, &mut |course, rng| {
        let age = if rng.random() { rng.random_range(OLD_S) } else { -rng.random_range(FUTURE_S) };
        course.beside(Forgery::Stale(age), rng);
    });
    of_genuine(Stream::Foreign, faults.foreign, &mut |course, rng| {
        let forgery = if rng.random() { Forgery::ForeignBody } else { Forgery::ForeignChannel };
        course.beside(forgery, rng);
    });
    let late = draw(Stream::Late, faults.late, |subject| subject.is_genuine && subject.has_order);
    disturb(&mut courses, late, &mut |course, _| course.genuine(|_, manner| manner.late = true));
    let all = draw(Stream::Order, Rate::ALL, |_| true);
    disturb(&mut courses, all, &mut |course, rng| course.shuffle_what_comes_before(rng));
    courses
}

/// The drawn subjects, and the stream they were drawn from.
fn draw(
    seed: u64,
    stream: Stream,
    rate: Rate,
    subjects: &[Subject],
    among: fn(&Subject) -> bool,
) -> (BTreeSet<usize>, ChaCha8Rng) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream.number());
    let mut numbers: Vec<usize> =
        subjects.iter().enumerate().filter(|(_, subject)| among(subject)).map(|(number, _)| number).collect();
    let drawn = rate.of(numbers.len());
    numbers.shuffle(&mut rng);
    (numbers.into_iter().take(drawn).collect(), rng)
}

fn disturb(
    courses: &mut [Course],
    (drawn, mut rng): (BTreeSet<usize>, ChaCha8Rng),
    fault: &mut dyn FnMut(&mut Course, &mut ChaCha8Rng),
) {
    for number in drawn {
        if let Some(course) = courses.get_mut(number) {
            fault(course, &mut rng);
        }
    }
}

/// The drawn ones change their times among themselves.
fn reorder(courses: &mut [Course], (drawn, mut rng): (BTreeSet<usize>, ChaCha8Rng)) {
    let mut times: Vec<Duration> =
        drawn.iter().filter_map(|number| courses.get(*number)).map(|course| course.at).collect();
    times.shuffle(&mut rng);
    for (number, at) in drawn.into_iter().zip(times) {
        if let Some(course) = courses.get_mut(number) {
            course.at = at;
        }
    }
}

fn tampered(rng: &mut ChaCha8Rng) -> Forgery {
    let signed = rng.random();
    match rng.random_range(0..4) {
        0 => Forgery::Amount { more: rng.random_range(1..=1000), signed },
        1 => Forgery::PayId { pay_id: rng.random_range(1..NO_PAYMENT), signed },
        2 => Forgery::Body(rng.random()),
        _ => Forgery::Signature(rng.random()),
    }
}

impl Course {
    fn undisturbed(subject: &Subject) -> Self {
        let Subject { copies, manner, .. } = *subject;
        let attempt =
            if subject.is_genuine { Attempt::Genuine(copies, manner) } else { Attempt::Recorded(copies, manner) };
        Self { at: subject.at, attempts: vec![attempt] }
    }

    fn genuine(&mut self, change: impl FnOnce(&mut Copies, &mut Manner)) {
        let genuine = self.attempts.iter_mut().find_map(|attempt| match attempt {
            Attempt::Genuine(copies, manner) => Some((copies, manner)),
            _ => None,
        });
        if let Some((copies, manner)) = genuine {
            change(copies, manner);
        }
    }

    fn before(&mut self, attempt: Attempt) {
        self.attempts.insert(0, attempt);
    }

    /// Before or after the genuine one.
    fn beside(&mut self, forgery: Forgery, rng: &mut ChaCha8Rng) {
        if rng.random() {
            self.before(Attempt::Forged(forgery));
        } else {
            self.attempts.push(Attempt::Forged(forgery));
        }
    }

    fn shuffle_what_comes_before(&mut self, rng: &mut ChaCha8Rng) {
        let genuine = self.attempts.iter().position(|attempt| matches!(attempt, Attempt::Genuine(..))).unwrap_or(0);
        if let Some(before) = self.attempts.get_mut(..genuine) {
            before.shuffle(rng);
        }
    }
}

impl Stream {
    const fn number(self) -> u64 {
        match self {
            Self::Duplicate => 1,
            Self::Reorder => 2,
            Self::Drop => 3,
            Self::Late => 4,
            Self::Tamper => 5,
            Self::WrongKey => 6,
            Self::Stale => 7,
            Self::Slow => 8,
            Self::Early => 9,
            Self::Foreign => 10,
            Self::Order => 11,
        }
    }
}

#[cfg(test)]
mod tests;
