use shop_common::code::ShopCode;

use super::*;
use crate::{
    Expect,
    fault::Forgery,
    judge::Refusal,
    notification::{Copies, Manner},
};

fn genuine(number: usize, verdict: Verdict) -> Attempted {
    let manner = Manner { late: true, ..Manner::default() };
    let attempt = Attempt::Genuine(Copies { count: 2, at_once: true }, manner);
    Attempted {
        step: (number, 0),
        attempt,
        expected: Some(Expect::Accepted),
        verdict: Some(verdict),
        sent: 2,
        applied: 1,
    }
}

fn forged(number: usize, verdict: Verdict) -> Attempted {
    let expected = Some(Expect::Refused(vec![ShopCode::SignatureInvalid]));
    let attempt = Attempt::Forged(Forgery::WrongKey);
    Attempted { step: (number, 1), attempt, expected, verdict: Some(verdict), sent: 1, applied: 0 }
}

fn lost(number: usize) -> Attempted {
    Attempted { step: (number, 2), attempt: Attempt::Lost, expected: None, verdict: None, sent: 0, applied: 0 }
}

fn report(attempted: &[Attempted]) -> Report {
    Report::new(("here", 7), &[], attempted, Effects::default(), Duration::from_millis(500))
}

const NO: Verdict = Verdict::Refused(Refusal::Code(ShopCode::SignatureInvalid));

#[test]
fn a_run_is_right_if_every_expectation_held() {
    let right = report(&[genuine(0, Verdict::Accepted), forged(0, NO), lost(0)]);
    assert!(right.is_right() && right.failures.is_empty());
    assert_eq!((right.sent, right.rate(), right.total.attempts), (3, 6, 3));
    let of: Vec<&str> = right.kinds.keys().map(String::as_str).collect();
    assert_eq!(of, ["duplicate, at once", "genuine", "late", "lost", "wrong key"]);

    for wrong in [
        genuine(0, NO),
        genuine(0, Verdict::Unclear("x".into())),
        forged(0, Verdict::Accepted),
        forged(0, Verdict::Refused(Refusal::Code(ShopCode::NotifyReplay))),
        forged(0, Verdict::Broken("x".into())),
    ] {
        let report = report(std::slice::from_ref(&wrong));
        assert!(!report.is_right(), "{wrong:?}");
        assert_eq!((report.total.wrong, report.failures.len()), (1, 1), "{wrong:?}");
        assert!(report.to_string().contains("WRONG: notification 0"), "{report}");
    }
}

#[test]
fn a_second_effect_or_a_violation_is_wrong_too() {
    let right = report(&[genuine(0, Verdict::Accepted)]);
    let ids = || vec!["7".to_owned()];
    for effects in [
        Effects { paid_twice: ids(), ..Effects::default() },
        Effects { not_paid: ids(), ..Effects::default() },
        Effects { paid_for_nothing: ids(), ..Effects::default() },
        Effects { not_known: ids(), ..Effects::default() },
        Effects { paid: 1, written: Some(2), ..Effects::default() },
    ] {
        assert!(!Report { effects: effects.clone(), ..right.clone() }.is_right(), "{effects}");
    }
    let audit = |clean| Some(Audit { clean, violations: Vec::new() });
    assert!(Report { audit: audit(true), ..right.clone() }.is_right());
    assert!(!Report { audit: audit(false), ..right }.is_right());
}

#[test]
fn the_verdicts_have_one_name() {
    let (one, other) = (genuine(0, Verdict::Accepted), genuine(0, NO));
    assert_eq!(report(std::slice::from_ref(&one)).verdicts, report(std::slice::from_ref(&one)).verdicts);
    assert_ne!(report(std::slice::from_ref(&one)).verdicts, report(&[other]).verdicts);
    assert_ne!(report(std::slice::from_ref(&one)).verdicts, report(&[one, lost(0)]).verdicts);
}

#[test]
fn a_build_server_reads_what_failed() {
    let mut report = report(&[genuine(0, Verdict::Accepted), forged(3, Verdict::Accepted)]);
    report.audit = Some(Audit { clean: false, violations: vec!["I01 <stock>".to_owned()] });
    let xml = report.to_junit().unwrap();
    assert!(xml.contains(r#"tests="6""#) && xml.contains(r#"failures="2""#), "{xml}");
    assert!(xml.contains("notification 3: expected refused: SHOP_SIGN_INVALID, was accepted"), "{xml}");
    assert!(xml.contains("I01 &lt;stock&gt;"), "{xml}");
}
