use proptest::prelude::*;
use shop_common::money::Fen;

use super::*;
use crate::notification::PaymentRef;

fn subject(number: usize, is_genuine: bool, has_order: bool) -> Subject {
    let at = Duration::from_millis(u64::try_from(number).unwrap());
    Subject { at, is_genuine, has_order, copies: Copies::ONE, manner: Manner::default(), can_move: true }
}

fn subjects(genuine: usize) -> Vec<Subject> {
    (0..genuine).map(|number| subject(number, true, true)).collect()
}

fn rates() -> impl Strategy<Value = [u32; 10]> {
    prop::array::uniform10(0_u32..=1_000_000)
}

fn faults(rates: &[u32; 10]) -> Faults {
    let [duplicate, reorder, drop, late, tamper, wrong_key, stale, slow, early, foreign] =
        rates.map(|millionths| format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000).parse().unwrap());
    Faults { duplicate, copies: 4, reorder, drop, late, tamper, wrong_key, stale, slow, early, foreign }
}

/// How many courses have such an attempt.
fn count(courses: &[Course], is: impl Fn(&Attempt) -> bool) -> usize {
    courses.iter().filter(|course| course.attempts.iter().any(&is)).count()
}

fn forged(is: impl Fn(Forgery) -> bool) -> impl Fn(&Attempt) -> bool {
    move |attempt| matches!(attempt, Attempt::Forged(forgery) if is(*forgery))
}

fn genuine(is: impl Fn(Copies, Manner) -> bool) -> impl Fn(&Attempt) -> bool {
    move |attempt| matches!(attempt, Attempt::Genuine(copies, manner) if is(*copies, *manner))
}

proptest! {
    #[test]
    fn the_same_seed_gives_the_same_plan(seed: u64, number in 0_usize..60, rates in rates()) {
        let (subjects, faults) = (subjects(number), faults(&rates));
        prop_assert_eq!(plan(seed, &subjects, &faults), plan(seed, &subjects, &faults));
    }

    #[test]
    fn every_rate_is_met_exactly(seed: u64, number in 0_usize..200, rates in rates()) {
        let faults = faults(&rates);
        let courses = plan(seed, &subjects(number), &faults);
        let stale = |forgery| matches!(forgery, Forgery::Stale(_));
        let by_key = |forgery| matches!(forgery, Forgery::WrongKey | Forgery::RevokedKey);
        let foreign = |forgery| matches!(forgery, Forgery::ForeignBody | Forgery::ForeignChannel);
        for (rate, counted) in [
            (faults.duplicate, count(&courses, genuine(|copies, _| copies.count == 4))),
            (faults.drop, count(&courses, |attempt| *attempt == Attempt::Lost)),
            (faults.late, count(&courses, genuine(|_, manner| manner.late))),
            (faults.slow, count(&courses, genuine(|_, manner| manner.slow))),
            (faults.early, count(&courses, |attempt| *attempt == Attempt::Early)),
            (faults.stale, count(&courses, forged(stale))),
            (faults.wrong_key, count(&courses, forged(by_key))),
            (faults.foreign, count(&courses, forged(foreign))),
            (faults.tamper, count(&courses, forged(|forgery| !stale(forgery) && !by_key(forgery) && !foreign(forgery)))),
        ] {
            prop_assert_eq!(counted, rate.of(number));
        }
        let moved = courses.iter().zip(subjects(number)).filter(|(course, subject)| course.at != subject.at).count();
        prop_assert!(moved <= faults.reorder.of(number));
    }

    #[test]
    fn nothing_is_lost_for_good_and_nothing_else_is_genuine(seed: u64, number in 0_usize..60, rates in rates()) {
        let mut times = Vec::new();
        for course in plan(seed, &subjects(number), &faults(&rates)) {
            prop_assert_eq!(course.attempts.iter().filter(|attempt| genuine(|_, _| true)(attempt)).count(), 1);
            let by_channel = |attempt: &&Attempt| matches!(attempt, Attempt::Lost | Attempt::Early);
            prop_assert!(course.attempts.iter().filter(by_channel).count() <= 3, "the channel has seven gaps");
            let last = course.attempts.iter().rposition(|attempt| matches!(attempt, Attempt::Lost | Attempt::Early));
            let position = course.attempts.iter().position(genuine(|_, _| true)).unwrap();
            prop_assert!(last.is_none_or(|last| last < position), "the channel stops at success");
            times.push(course.at);
        }
        times.sort();
        let planned: Vec<Duration> = subjects(number).iter().map(|subject| subject.at).collect();
        prop_assert_eq!(times, planned, "reordering changes times among themselves");
    }

    #[test]
    fn what_is_not_genuine_is_sent_as_it_stands(seed: u64, rates in rates(), kinds: Vec<(bool, bool)>) {
        let subjects: Vec<Subject> =
            kinds.iter().enumerate().map(|(number, (is_genuine, has_order))| subject(number, *is_genuine, *has_order)).collect();
        for (course, subject) in plan(seed, &subjects, &faults(&rates)).iter().zip(&subjects) {
            if !subject.is_genuine {
                prop_assert_eq!(&course.attempts, &[Attempt::Recorded(Copies::ONE, Manner::default())]);
            }
            let is_late = course.attempts.iter().any(genuine(|_, manner| manner.late));
            prop_assert!(!is_late || subject.has_order, "an order nobody knows cannot be cancelled");
        }
    }

    #[test]
    fn a_fault_leaves_the_others_where_they_were(seed: u64, rates in rates()) {
        let with = faults(&rates);
        let without = Faults { stale: Rate::NONE, drop: Rate::NONE, ..with };
        let subjects = subjects(50);
        let late = |faults| -> Vec<bool> {
            plan(seed, &subjects, faults).iter().map(|course| course.attempts.iter().any(genuine(|_, manner| manner.late))).collect()
        };
        prop_assert_eq!(late(&with), late(&without));
    }
}

#[test]
fn a_seed_is_a_promise() {
    let courses = plan(7, &subjects(6), &Faults::all("0.5".parse().unwrap()));
    let lines = courses.iter().map(|course| format!("{} {:?}\n", course.at.as_millis(), course.attempts));
    let text = lines.collect::<Vec<String>>().concat();
    assert_eq!(text, include_str!("seed_7.txt"), "whoever reports a failure reports a seed:\n{text}");
}

#[test]
fn without_faults_everything_is_sent_once_and_in_time() {
    for (course, subject) in plan(1, &subjects(9), &Faults::NONE).into_iter().zip(subjects(9)) {
        assert_eq!(course.at, subject.at);
        assert_eq!(course.attempts, [Attempt::Genuine(Copies::ONE, Manner::default())]);
    }
}

#[test]
fn one_that_was_too_early_stays_the_first_of_its_payment() {
    let line = |pay_id: i64, at: u64, early: bool| {
        let payment = PaymentRef { pay_id, order_id: pay_id, user_id: 1, amount: Fen::new(1) };
        let at = Duration::from_millis(at);
        let manner = Manner { early, ..Manner::default() };
        Notification { payment: Some(payment), manner, ..Notification::genuine("x", Vec::new(), at) }
    };
    let recorded = [line(1, 0, true), line(1, 1, false), line(2, 2, false), line(3, 3, false)];
    let subjects = Subject::all(&recorded, &Signers::default());
    for seed in 0..20 {
        let times: Vec<_> = plan(seed, &subjects, &Faults { reorder: Rate::ALL, ..Faults::NONE })
            .iter()
            .map(|course| course.at.as_millis())
            .collect();
        assert_eq!(times[..2], [0, 1], "{seed}");
    }
}
