//! The rules of payments, alone.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{
    refund::{Answer, Cause, NewRefund, Request, Started, State},
    settle::{Notice, Verdict},
    *,
};
use crate::channel::{Genuine, Notification, RefundNotice, Said, TradeStatus};

const NOW: Millis = Millis::new(1_000_000);
const ORDER: OrderId = OrderId::new(1);
const ALL: Owed = Owed::of(127);
/// How long nobody may say anything about a payment.
const QUIET: Duration = Duration::from_secs(300);

fn new(pay_id: i64, channel: &str, fen: i64) -> NewPayment {
    NewPayment {
        pay_id: PayId::new(pay_id),
        order_id: ORDER,
        user_id: UserId::new(9),
        channel: channel.into(),
        amount: Fen::new(fen),
        pay_url: String::new(),
        ask_after: QUIET,
    }
}

fn notice(pay_id: i64, notify_id: &str, fen: i64, status: TradeStatus) -> Notice {
    let said = Notification {
        notify_id: notify_id.into(),
        pay_id: PayId::new(pay_id),
        channel_trade_no: "T1".into(),
        amount: Fen::new(fen),
        status,
        paid: None,
    };
    Notice::new("a", said, format!("{pay_id} {notify_id} {fen} {status:?}").into_bytes(), "{}".into())
}

fn success(pay_id: i64, notify_id: &str) -> Notice {
    notice(pay_id, notify_id, 100, TradeStatus::Success)
}

/// One open payment of 100 fen, number 1, at channel `a`.
fn one_open() -> Payments {
    let mut view = Payments::default();
    view.create(&new(1, "a", 100), NOW).unwrap();
    view
}

fn code<T: std::fmt::Debug>(result: Result<T, ShopError>) -> ShopCode {
    result.unwrap_err().code
}

fn verdict(settled: settle::Settled) -> Verdict {
    settled.unwrap().0
}

#[test]
fn the_same_open_order_and_channel_is_the_same_payment() {
    let mut view = one_open();
    assert_eq!(view.create(&new(2, "a", 100), NOW).unwrap().pay_id, PayId::new(1));
    assert_eq!(code(view.create(&new(3, "a", 101), NOW)), ShopCode::AmountMismatch);
    assert_eq!(
        view.create(&new(4, "b", 100), NOW).unwrap().pay_id,
        PayId::new(4),
        "another channel is another payment"
    );
    assert_eq!(view.changed.created, [PayId::new(1), PayId::new(4)]);
}

#[test]
fn nobody_is_sent_to_pay_what_is_closed_or_paid() {
    let pay_id = PayId::new(1);
    let mut view = one_open();
    assert_eq!(view.keep_pay_url(pay_id, "https://a/1").unwrap().pay_url, "https://a/1");
    assert_eq!(view.keep_pay_url(pay_id, "https://a/2").unwrap().pay_url, "https://a/2", "the last word counts");
    assert_eq!(view.keep_pay_url(PayId::new(2), "https://a/1"), None);
    view.close(ORDER, NOW);
    assert_eq!(view.keep_pay_url(pay_id, "https://a/3"), None);
    let mut view = one_open();
    view.settle(&success(1, "n"), NOW).unwrap();
    assert_eq!(view.keep_pay_url(pay_id, "https://a/3"), None);
    assert!(view.changed.pay_urls.is_empty());
}

#[test]
fn a_closed_order_takes_no_payment_whichever_comes_first() {
    let mut view = Payments::default();
    assert_eq!(view.close(ORDER, NOW), Done::Done);
    assert_eq!(view.close(ORDER, NOW), Done::Already);
    assert_eq!(code(view.create(&new(1, "a", 100), NOW)), ShopCode::OrderNotPayable);

    let mut view = one_open();
    assert_eq!(view.close(ORDER, NOW), Done::Done);
    let payment = &view.rows[&PayId::new(1)];
    assert_eq!((payment.status, payment.closed, payment.owed), (Status::Unpaid, Some(NOW), Owed::CLOSE));
    assert_eq!(code(view.create(&new(2, "a", 100), NOW)), ShopCode::OrderNotPayable);
}

#[test]
fn a_paid_order_takes_no_second_payment_until_the_first_goes_back() {
    let mut view = one_open();
    view.settle(&success(1, "n"), NOW).unwrap();
    assert_eq!(code(view.create(&new(2, "b", 100), NOW)), ShopCode::OrderIsPaid);
    view.start_refund(RefundId::new(5), PayId::new(1), Cause::WrongAmount, NOW);
    assert_eq!(view.create(&new(3, "b", 120), NOW).unwrap().pay_id, PayId::new(3));
}

#[test]
fn only_an_open_payment_owes_the_question_whether_it_was_paid() {
    let first = PayId::new(1);
    let mut view = one_open();
    assert_eq!((view.rows[&first].owed, view.rows[&first].due), (Owed::ASK, Some(NOW.after(QUIET))));
    let later = NOW.after(QUIET);
    view.create(&new(2, "a", 100), later).unwrap();
    assert_eq!(view.rows[&first].due, Some(later), "asking for it again puts nothing off");
    view.close(ORDER, NOW);
    assert_eq!((view.rows[&first].owed, view.rows[&first].due), (Owed::CLOSE, Some(NOW)));
    let mut paid = one_open();
    paid.settle(&success(1, "n"), NOW).unwrap();
    assert!(!paid.rows[&first].owed.has(Owed::ASK));
}

#[test]
fn closing_skips_what_is_paid() {
    let mut view = one_open();
    view.settle(&success(1, "n"), NOW).unwrap();
    let paid = view.rows[&PayId::new(1)].clone();
    assert_eq!(view.close(ORDER, NOW), Done::Done);
    assert_eq!((&view.rows[&PayId::new(1)], view.changed.closed.len()), (&paid, 0));
}

#[test]
fn a_payment_is_settled_once() {
    let mut view = one_open();
    assert_eq!(verdict(view.settle(&success(1, "n"), NOW)), Verdict::Applied);
    assert_eq!(verdict(view.settle(&success(1, "n"), NOW)), Verdict::AlreadyApplied);
    assert_eq!(verdict(view.settle(&success(1, "m"), NOW)), Verdict::AlreadyApplied);
    let payment = &view.rows[&PayId::new(1)];
    assert_eq!((payment.status, payment.owed), (Status::Paid, Owed::ORDER.with(Owed::POINTS)));
    assert_eq!((payment.paid, payment.due), (Some(NOW), Some(NOW.after(FIRST_LOOK))));
    assert_eq!(view.changed.settled.len(), 1);
    let record = &view.records[&("a".to_owned(), "n".to_owned())];
    assert_eq!((record.times, record.verdict), (2, Verdict::Applied));
}

#[test]
fn money_for_a_closed_payment_is_settled_too() {
    let mut view = one_open();
    view.close(ORDER, NOW);
    assert_eq!(verdict(view.settle(&success(1, "n"), NOW)), Verdict::Applied);
    let payment = &view.rows[&PayId::new(1)];
    assert_eq!(payment.owed, Owed::ORDER.with(Owed::POINTS), "there is nothing to close any more");
    assert_eq!(payment.closed, Some(NOW));
}

#[test]
fn an_acknowledged_id_with_another_body_is_a_replay() {
    let mut view = one_open();
    view.settle(&notice(1, "n", 100, TradeStatus::Wait), NOW).unwrap();
    assert_eq!(code(view.settle(&success(1, "n"), NOW)), ShopCode::NotifyReplay);
    assert_eq!(view.rows[&PayId::new(1)].status, Status::Paying);
    assert_eq!(view.records[&("a".to_owned(), "n".to_owned())].times, 1);
}

#[test]
fn a_wrong_notification_does_not_stand_in_the_way_of_the_right_one() {
    for fen in [99, 101, 10_000, -100, 0] {
        let mut view = one_open();
        let wrong = notice(1, "n", fen, TradeStatus::Success);
        assert_eq!(code(view.settle(&wrong, NOW)), ShopCode::AmountMismatch, "{fen}");
        assert_eq!(view.rows[&PayId::new(1)].status, Status::Paying);
        assert_eq!(verdict(view.settle(&success(1, "n"), NOW)), Verdict::Applied);
        let record = &view.records[&("a".to_owned(), "n".to_owned())];
        assert_eq!((record.verdict, &record.body_hash), (Verdict::Applied, &success(1, "n").body_hash));
    }
}

#[test]
fn a_notification_before_its_payment_is_judged_again() {
    let mut view = Payments::default();
    assert_eq!(code(view.settle(&success(1, "n"), NOW)), ShopCode::NotifyInvalid);
    view.create(&new(1, "a", 100), NOW).unwrap();
    assert_eq!(verdict(view.settle(&success(1, "n"), NOW)), Verdict::Applied);
}

#[test]
fn a_channel_speaks_for_its_own_payments_only() {
    let mut view = Payments::default();
    view.create(&new(1, "b", 100), NOW).unwrap();
    assert_eq!(code(view.settle(&success(1, "n"), NOW)), ShopCode::NotifyInvalid);
    assert_eq!(view.rows[&PayId::new(1)].status, Status::Paying);
}

#[test]
fn a_genuine_notification_for_somebody_else_is_recorded_and_does_nothing() {
    for (code_of_it, field, verdict_of_it) in [
        (ShopCode::NotifyInvalid, "merchant_id", Verdict::NotOurs),
        (ShopCode::AmountMismatch, "currency", Verdict::AmountMismatch),
    ] {
        let mut view = one_open();
        let before = view.rows.clone();
        let refusal = ShopError::at(code_of_it, field);
        let foreign = Notice { refused: Some(refusal.clone()), ..success(1, "n") };
        for times in 1..3 {
            assert_eq!(view.settle(&foreign, NOW), Err(refusal.clone()));
            let record = &view.records[&("a".to_owned(), "n".to_owned())];
            assert_eq!((record.times, record.verdict), (times, verdict_of_it));
        }
        assert_eq!((&view.rows, view.changed.settled.len()), (&before, 0));
        assert_eq!(verdict(view.settle(&success(1, "n"), NOW)), Verdict::Applied, "it is in nobody's way");
    }
}

/// What channel `a` says about refund 5, which is of payment 1.
fn refund_notice(notify_id: &str, fen: i64, answer: Option<Answer>) -> RefundNotice {
    let (refund_id, pay_id) = (RefundId::new(5), PayId::new(1));
    RefundNotice { notify_id: notify_id.into(), refund_id, pay_id, amount: Fen::new(fen), answer }
}

fn told(view: &mut Payments, channel: &str, said: RefundNotice) -> settle::Settled {
    let body = format!("{said:?}").into_bytes();
    view.settle(&Notice::new(channel, said, body, "{}".into()), NOW)
}

/// Payment 1 with its refund 5 of 100 fen under way.
fn one_refunded() -> Payments {
    let mut view = one_open();
    view.settle(&success(1, "n"), NOW).unwrap();
    view.start_refund(RefundId::new(5), PayId::new(1), Cause::PaidByOther, NOW);
    view
}

#[test]
fn a_notification_of_a_refund_answers_it_once_and_the_first_answer_stays() {
    let mut view = one_refunded();
    assert_eq!(verdict(told(&mut view, "a", refund_notice("working", 100, None))), Verdict::Ignored);
    assert_eq!(view.refunds[&RefundId::new(5)].state, State::Open);
    let done = || refund_notice("done", 100, Some(Answer::Done));
    assert_eq!(verdict(told(&mut view, "a", done())), Verdict::RefundAnswered);
    assert_eq!(verdict(told(&mut view, "a", done())), Verdict::AlreadyApplied);
    let late = refund_notice("late", 100, Some(Answer::Refused("late".into())));
    assert_eq!(verdict(told(&mut view, "a", late)), Verdict::AlreadyApplied);
    assert_eq!(verdict(told(&mut view, "a", refund_notice("later", 100, None))), Verdict::Ignored);
    let refund = &view.refunds[&RefundId::new(5)];
    assert_eq!((refund.state, &refund.remark), (State::Done, &None));
    assert_eq!(view.changed.refunds_answered, [RefundId::new(5)]);
    assert_eq!(view.rows[&PayId::new(1)].owed, Owed::REVERSE_POINTS);
    assert_eq!(view.records[&("a".to_owned(), "done".to_owned())].times, 2);
}

/// The same notification comes again after an operator has asked for the refund once more: its answer was the first one's.
#[test]
fn an_answer_of_a_refund_is_not_taken_for_the_answer_of_its_retry() {
    let mut view = one_refunded();
    let refused = || refund_notice("closed", 100, Some(Answer::Refused("the account is gone".into())));
    assert_eq!(verdict(told(&mut view, "a", refused())), Verdict::RefundAnswered);
    view.retry_refund(RefundId::new(5), NOW).unwrap();
    assert_eq!(verdict(told(&mut view, "a", refused())), Verdict::AlreadyApplied);
    assert_eq!(view.refunds[&RefundId::new(5)].state, State::Open);
    assert!(view.rows[&PayId::new(1)].owed.has(Owed::REFUND), "its channel is still to be asked");
    let done = refund_notice("done", 100, Some(Answer::Done));
    assert_eq!(verdict(told(&mut view, "a", done)), Verdict::RefundAnswered);
    assert_eq!(view.refunds[&RefundId::new(5)].state, State::Done);
}

#[test]
fn a_notification_of_another_refund_amount_or_merchant_answers_nothing() {
    let done = Some(Answer::Done);
    let good = refund_notice("r", 100, done.clone());
    let other_refund = RefundNotice { refund_id: RefundId::new(6), ..good.clone() };
    let other_payment = RefundNotice { pay_id: PayId::new(2), ..good.clone() };
    for (channel, said, refusal, verdict_of_it) in [
        ("a", other_refund, ShopCode::NotifyInvalid, Verdict::UnknownRefund),
        ("a", other_payment, ShopCode::NotifyInvalid, Verdict::UnknownRefund),
        ("b", good.clone(), ShopCode::NotifyInvalid, Verdict::UnknownRefund),
        ("a", refund_notice("r", 99, done.clone()), ShopCode::AmountMismatch, Verdict::AmountMismatch),
        ("a", refund_notice("r", 200, done), ShopCode::AmountMismatch, Verdict::AmountMismatch),
    ] {
        let mut view = one_refunded();
        view.create(&NewPayment { order_id: OrderId::new(2), ..new(2, "a", 100) }, NOW).unwrap();
        assert_eq!(code(told(&mut view, channel, said.clone())), refusal, "{channel} {said:?}");
        assert_eq!(view.records[&(channel.to_owned(), "r".to_owned())].verdict, verdict_of_it);
        assert!(view.changed.refunds_answered.is_empty(), "{channel} {said:?}");
        assert_eq!(verdict(told(&mut view, "a", good.clone())), Verdict::RefundAnswered, "it is in nobody's way");
    }
    let mut view = one_refunded();
    let refused = Some(ShopError::at(ShopCode::NotifyInvalid, "merchant_id"));
    let foreign = Notice::new("a", Genuine { refused, ..good.into() }, Vec::new(), "{}".into());
    assert_eq!(code(view.settle(&foreign, NOW)), ShopCode::NotifyInvalid);
    assert!(view.changed.refunds_answered.is_empty());
}

#[test]
fn state_never_goes_back() {
    let mut view = one_open();
    view.settle(&success(1, "n"), NOW).unwrap();
    let paid = view.rows[&PayId::new(1)].clone();
    for status in [TradeStatus::Closed, TradeStatus::Wait] {
        assert_eq!(verdict(view.settle(&notice(1, &format!("{status:?}"), 100, status), NOW)), Verdict::Ignored);
    }
    assert_eq!(view.rows[&PayId::new(1)], paid);
}

#[test]
fn the_channel_s_time_is_kept_between_creation_and_now() {
    for (said, kept) in [(NOW.get() + 5, NOW.get() + 5), (0, NOW.get()), (i64::MAX, NOW.get() + 10)] {
        let mut view = one_open();
        let Said::Payment(success) = success(1, "n").said else { panic!("a payment") };
        let notice =
            Notice::new("a", Notification { paid: Some(Millis::new(said)), ..success }, Vec::new(), "{}".into());
        let (_, payment) = view.settle(&notice, Millis::new(NOW.get() + 10)).unwrap();
        assert_eq!(payment.paid, Some(Millis::new(kept)));
    }
}

#[test]
fn a_refund_starts_once_and_only_while_the_order_s_judgement_is_owed() {
    let start =
        |view: &mut Payments, id| view.start_refund(RefundId::new(id), PayId::new(1), Cause::OrderCancelled, NOW);
    let mut view = one_open();
    assert_eq!(start(&mut view, 5), Started::Already, "not paid");
    view.settle(&success(1, "n"), NOW).unwrap();
    assert_eq!(start(&mut view, 6), Started::Done);
    assert_eq!(start(&mut view, 7), Started::Already);
    let payment = &view.rows[&PayId::new(1)];
    assert_eq!((payment.refunded, payment.owed), (Fen::new(100), Owed::REFUND.with(Owed::REVERSE_POINTS)));
    assert_eq!(view.refunds.len(), 1);
    assert_eq!(verdict(view.settle(&success(1, "m"), NOW)), Verdict::RefundStarted);

    let mut bound = one_open();
    bound.settle(&success(1, "n"), NOW).unwrap();
    bound.clear(PayId::new(1), Owed::ORDER);
    assert_eq!(start(&mut bound, 5), Started::Already, "bound");
}

#[test]
fn what_was_never_paid_never_goes_back() {
    let mut view = one_open();
    // No path leads here; should one ever, no money moves.
    view.rows.get_mut(&PayId::new(1)).unwrap().owed = Owed::ORDER;
    let started = view.start_refund(RefundId::new(7), PayId::new(1), Cause::OrderCancelled, NOW);
    assert_eq!(started, Started::Already);
    assert_eq!((view.rows[&PayId::new(1)].refunded, view.refunds.len()), (Fen::ZERO, 0));
    assert_eq!(view.rows[&PayId::new(1)].owed, Owed::ORDER, "and it is still to be judged");
}

#[test]
fn the_bound_payment_of_a_refunded_order_goes_back_once() {
    let refund = |view: &mut Payments, id, order| view.refund_order(RefundId::new(id), order, PayId::new(1), NOW);
    let mut view = one_open();
    assert_eq!(code(refund(&mut view, 5, ORDER)), ShopCode::PaymentNotFound, "not paid");
    view.settle(&success(1, "n"), NOW).unwrap();
    assert_eq!(code(refund(&mut view, 5, OrderId::new(2))), ShopCode::PaymentNotFound, "of another order");
    view.clear(PayId::new(1), Owed::ORDER.with(Owed::POINTS));
    assert_eq!(refund(&mut view, 6, ORDER).unwrap(), Started::Done);
    assert_eq!(refund(&mut view, 7, ORDER).unwrap(), Started::Already);
    let payment = &view.rows[&PayId::new(1)];
    assert_eq!((payment.refunded, payment.owed), (Fen::new(100), Owed::REFUND.with(Owed::REVERSE_POINTS)));
    let refunds: Vec<_> = view.refunds.values().map(|refund| (refund.refund_id, refund.cause)).collect();
    assert_eq!(refunds, [(RefundId::new(6), Cause::OrderRefunded)]);
}

#[test]
fn the_order_s_late_judgement_and_its_refund_are_one_refund() {
    let mut view = one_open();
    view.settle(&success(1, "n"), NOW).unwrap();
    view.start_refund(RefundId::new(5), PayId::new(1), Cause::OrderCancelled, NOW);
    assert_eq!(view.refund_order(RefundId::new(6), ORDER, PayId::new(1), NOW).unwrap(), Started::Already);
    let mut view = one_open();
    view.settle(&success(1, "n"), NOW).unwrap();
    assert_eq!(view.refund_order(RefundId::new(6), ORDER, PayId::new(1), NOW).unwrap(), Started::Done);
    assert_eq!(view.start_refund(RefundId::new(5), PayId::new(1), Cause::OrderCancelled, NOW), Started::Already);
    assert_eq!(view.refunds.len(), 1);
}

fn asked(refund_id: i64, pay_id: i64, fen: Option<i64>) -> NewRefund {
    NewRefund {
        refund_id: RefundId::new(refund_id),
        pay_id: PayId::new(pay_id),
        amount: fen.map(Fen::new),
        request: Request { request_id: refund_id.to_string(), reason: "why".into(), operator: String::new() },
    }
}

#[test]
fn parts_add_up_and_the_last_fen_tells_the_order() {
    let mut view = one_open();
    assert_eq!(code(view.refund_payment(&asked(4, 1, None), NOW)), ShopCode::PaymentNotPaid);
    view.settle(&success(1, "n"), NOW).unwrap();
    view.clear(PayId::new(1), Owed::ORDER.with(Owed::POINTS));
    let amount = |view: &mut Payments, asked: &NewRefund| view.refund_payment(asked, NOW).map(|it| it.amount.get());
    assert_eq!(amount(&mut view, &asked(5, 1, Some(60))), Ok(60));
    assert_eq!(view.rows[&PayId::new(1)].owed, Owed::REFUND, "points and order stay");
    assert_eq!(code(amount(&mut view, &asked(6, 1, Some(41)))), ShopCode::RefundTooMuch);
    assert_eq!(amount(&mut view, &asked(5, 1, Some(60))), Ok(60), "the same key");
    assert_eq!(amount(&mut view, &asked(7, 1, Some(40))), Ok(40));
    let payment = &view.rows[&PayId::new(1)];
    let back = Owed::REFUND.with(Owed::REVERSE_POINTS).with(Owed::TELL_ORDER);
    assert_eq!((payment.refunded, payment.owed, view.refunds.len()), (Fen::new(100), back, 2));
    assert_eq!(view.changed.promised[&PayId::new(1)].more, Fen::new(100), "one row, one change");
    assert_eq!(code(amount(&mut view, &asked(8, 1, None))), ShopCode::RefundTooMuch);
}

#[test]
fn a_partly_refunded_payment_still_pays_its_order() {
    let mut view = one_open();
    view.settle(&success(1, "n"), NOW).unwrap();
    view.refund_payment(&asked(5, 1, Some(99)), NOW).unwrap();
    assert_eq!(code(view.create(&new(2, "b", 100), NOW)), ShopCode::OrderIsPaid);
    view.refund_payment(&asked(6, 1, None), NOW).unwrap();
    assert!(view.create(&new(3, "b", 100), NOW).is_ok());
}

#[test]
fn the_order_gives_back_only_what_is_left() {
    let mut view = one_open();
    view.settle(&success(1, "n"), NOW).unwrap();
    view.refund_payment(&asked(5, 1, Some(30)), NOW).unwrap();
    let started = view.start_refund(RefundId::new(6), PayId::new(1), Cause::OrderCancelled, NOW);
    assert_eq!((started, view.refunds[&RefundId::new(6)].amount), (Started::Done, Fen::new(70)));

    let mut whole = one_open();
    whole.settle(&success(1, "n"), NOW).unwrap();
    whole.refund_payment(&asked(5, 1, None), NOW).unwrap();
    assert!(whole.rows[&PayId::new(1)].owed.has(Owed::ORDER.with(Owed::TELL_ORDER)));
    let started = whole.start_refund(RefundId::new(6), PayId::new(1), Cause::OrderCancelled, NOW);
    assert_eq!((started, whole.refunds.len()), (Started::Already, 1));
    assert_eq!(whole.rows[&PayId::new(1)].owed, Owed::REFUND.with(Owed::REVERSE_POINTS), "nothing to judge or to tell");
}

#[test]
fn only_a_refused_refund_is_asked_for_anew() {
    let mut view = one_open();
    view.settle(&success(1, "n"), NOW).unwrap();
    view.refund_payment(&asked(5, 1, Some(30)), NOW).unwrap();
    let state = |view: &mut Payments| view.retry_refund(RefundId::new(5), NOW).unwrap().state;
    assert_eq!((state(&mut view), view.changed.refunds_retried.len()), (State::Open, 0));
    view.answer_refund(RefundId::new(5), &Answer::Refused("gone".into()), NOW);
    assert!(!view.rows[&PayId::new(1)].owed.has(Owed::REFUND));
    assert_eq!(state(&mut view), State::Open);
    assert!(view.rows[&PayId::new(1)].owed.has(Owed::REFUND));
    assert_eq!((view.refunds[&RefundId::new(5)].remark.as_ref(), view.rows[&PayId::new(1)].refunded.get()), (None, 30));
    view.answer_refund(RefundId::new(5), &Answer::Done, NOW);
    assert_eq!((state(&mut view), view.refunds[&RefundId::new(5)].done), (State::Done, Some(NOW)));
    assert_eq!(view.retry_refund(RefundId::new(6), NOW), None);
}

#[test]
fn the_first_answer_of_a_refund_stays() {
    let mut view = one_open();
    view.settle(&success(1, "n"), NOW).unwrap();
    view.start_refund(RefundId::new(5), PayId::new(1), Cause::PaidByOther, NOW);
    view.answer_refund(RefundId::new(5), &Answer::Done, NOW);
    view.answer_refund(RefundId::new(5), &Answer::Refused("late".into()), NOW);
    let refund = &view.refunds[&RefundId::new(5)];
    assert_eq!((refund.state, &refund.remark), (State::Done, &None));
    assert_eq!(view.changed.refunds_answered, [RefundId::new(5)]);
    assert_eq!(view.rows[&PayId::new(1)].owed, Owed::REVERSE_POINTS);
}

#[test]
fn the_refund_stays_owed_until_every_one_is_answered() {
    let mut view = one_open();
    view.settle(&success(1, "n"), NOW).unwrap();
    view.start_refund(RefundId::new(5), PayId::new(1), Cause::PaidByOther, NOW);
    let other = Refund { refund_id: RefundId::new(6), ..view.refunds[&RefundId::new(5)].clone() };
    view.refunds.insert(other.refund_id, other);
    view.answer_refund(RefundId::new(6), &Answer::Done, NOW);
    assert!(view.rows[&PayId::new(1)].owed.has(Owed::REFUND));
    view.answer_refund(RefundId::new(5), &Answer::Refused("gone".into()), NOW);
    assert!(!view.rows[&PayId::new(1)].owed.has(Owed::REFUND));
}

#[test]
fn a_slow_answer_clears_nothing_but_what_it_answers() {
    let mut view = one_open();
    view.settle(&success(1, "n"), NOW).unwrap();
    view.start_refund(RefundId::new(5), PayId::new(1), Cause::OrderCancelled, NOW);
    view.clear(PayId::new(1), Owed::ORDER.with(Owed::POINTS));
    assert_eq!(view.rows[&PayId::new(1)].owed, Owed::REFUND.with(Owed::REVERSE_POINTS));
    assert!(view.changed.cleared.is_empty());
    view.clear(PayId::new(1), ALL);
    assert_eq!((view.rows[&PayId::new(1)].owed, view.rows[&PayId::new(1)].due), (Owed::default(), None));
}

#[test]
fn the_channel_is_looked_at_anew_only_where_no_refund_was_asked_for() {
    let looks = |owed: Owed| {
        let mut view = one_open();
        view.settle(&success(1, "n"), NOW).unwrap();
        let payment = view.rows.get_mut(&PayId::new(1)).unwrap();
        (payment.owed, payment.looks) = (payment.owed.with(owed), 4);
        view.refund_payment(&asked(5, 1, Some(30)), NOW).unwrap();
        view.rows[&PayId::new(1)].looks
    };
    assert_eq!((looks(Owed::default()), looks(Owed::REFUND)), (0, 4));
}

#[test]
fn the_same_key_asks_for_the_same_refund() {
    let mut view = one_open();
    view.settle(&success(1, "n"), NOW).unwrap();
    view.refund_payment(&asked(5, 1, Some(30)), NOW).unwrap();
    let request = |reason: &str, operator: &str| Request {
        request_id: "5".into(),
        reason: reason.into(),
        operator: operator.into(),
    };
    let again = |fen, request| NewRefund { request, ..asked(6, 1, fen) };
    for same in [again(Some(30), request("why", "somebody else")), again(None, request("why", ""))] {
        assert_eq!(view.refund_payment(&same, NOW).unwrap().refund_id, RefundId::new(5), "{same:?}");
    }
    for other in [again(Some(31), request("why", "")), again(Some(30), request("because", ""))] {
        assert_eq!(code(view.refund_payment(&other, NOW)), ShopCode::IdempotencyConflict, "{other:?}");
    }
    assert_eq!(view.rows[&PayId::new(1)].refunded, Fen::new(30));
}

#[test]
fn a_judgement_holds_while_it_is_owed_and_an_operator_or_a_refunded_order_needs_none() {
    let is_judgement = |refund: &dyn Fn(&mut Payments)| {
        let mut view = one_open();
        view.settle(&success(1, "n"), NOW).unwrap();
        refund(&mut view);
        view.changed.promised[&PayId::new(1)].is_judgement
    };
    let (refund_id, pay_id) = (RefundId::new(5), PayId::new(1));
    let judged = |view: &mut Payments| {
        view.start_refund(refund_id, pay_id, Cause::OrderCancelled, NOW);
    };
    let part = |view: &mut Payments| drop(view.refund_payment(&asked(6, 1, Some(30)), NOW).unwrap());
    let unwanted = |view: &mut Payments| {
        view.refund_order(refund_id, ORDER, pay_id, NOW).unwrap();
    };
    assert!(is_judgement(&judged));
    assert!(!is_judgement(&part));
    assert!(!is_judgement(&unwanted));
    assert!(
        is_judgement(&|view| {
            part(view);
            judged(view);
        }),
        "in one batch with a part"
    );
}

#[test]
fn what_is_owed_is_a_set() {
    let both = Owed::ORDER.with(Owed::POINTS);
    assert_eq!(both.with(Owed::POINTS), both);
    assert_eq!((both.both(Owed::POINTS), both.both(Owed::CLOSE)), (Owed::POINTS, Owed::default()));
    assert_eq!(Owed::of(both.bits()), both);
    assert!(both.has(Owed::ORDER) && !both.has(Owed::ORDER.with(Owed::CLOSE)));
}

#[test]
fn a_repeat_is_held_against_what_lasts_of_its_body() {
    let (told, again) = (success(1, "n"), notice(1, "m", 100, TradeStatus::Success));
    assert_ne!(told.body_hash, again.body_hash);
    assert_eq!(told.clone().held_against(&told.body).body_hash, told.body_hash);
    let lasting = told.clone().held_against(b"lasts").body_hash;
    assert_eq!(again.held_against(b"lasts").body_hash, lasting);
    assert_ne!(lasting, told.body_hash);
}

#[test]
fn a_notification_of_a_refund_says_whose_refunds_it_is_about() {
    assert_eq!(success(1, "n").refunded(), None);
    let of_refund = Notice::new("a", refund_notice("r", 100, None), Vec::new(), "{}".into());
    assert_eq!(of_refund.refunded(), Some(PayId::new(1)));
}

#[test]
fn a_notification_that_is_refused_names_the_field() {
    let mut view = one_refunded();
    let field = |settled: settle::Settled| settled.unwrap_err().field.unwrap();
    assert_eq!(field(view.settle(&success(2, "m"), NOW)), "pay_id");
    assert_eq!(field(view.settle(&notice(1, "o", 99, TradeStatus::Success), NOW)), "amount_fen");
    let other = RefundNotice { refund_id: RefundId::new(6), ..refund_notice("p", 100, None) };
    assert_eq!(field(told(&mut view, "a", other)), "refund_id");
    assert_eq!(field(told(&mut view, "a", refund_notice("q", 99, None))), "amount_fen");
}

/// Something that may happen to the payments of two orders at two channels.
#[derive(Clone, Debug)]
enum Step {
    Create(i64, bool),
    Close(i64),
    Settle(i64, i64, TradeStatus),
    Refund(i64),
    Ask(i64, i64, Option<i64>),
    Retry(i64),
    Answer(i64, bool),
    Clear(i64, i64),
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![Just(TradeStatus::Success), Just(TradeStatus::Wait), Just(TradeStatus::Closed)];
    prop_oneof![
        (1_i64..3, any::<bool>()).prop_map(|(order, first)| Step::Create(order, first)),
        (1_i64..3).prop_map(Step::Close),
        (0_i64..12, 99_i64..102, status).prop_map(|(pay, fen, status)| Step::Settle(pay, fen, status)),
        (0_i64..12).prop_map(Step::Refund),
        (0_i64..12, 0_i64..20, prop::option::of(1_i64..120)).prop_map(|(pay, key, fen)| Step::Ask(pay, key, fen)),
        (0_i64..40).prop_map(Step::Retry),
        (0_i64..40, any::<bool>()).prop_map(|(refund, done)| Step::Answer(refund, done)),
        (0_i64..12, 0_i64..64).prop_map(|(pay, bits)| Step::Clear(pay, bits)),
    ]
}

fn take(view: &mut Payments, number: i64, step: &Step) {
    match step {
        Step::Create(order, first) => {
            let channel = if *first { "a" } else { "b" };
            let new = NewPayment { order_id: OrderId::new(*order), ..new(number, channel, 100) };
            let closed = view.gates.get(&new.order_id).is_some_and(|gate| gate.state == GateState::Closed);
            let made = view.create(&new, NOW);
            assert!(!closed || made.is_err());
        }
        Step::Close(order) => drop(view.close(OrderId::new(*order), NOW)),
        Step::Settle(pay, fen, status) => {
            drop(view.settle(&notice(*pay, &format!("{pay}{fen}{status:?}"), *fen, *status), NOW));
        }
        Step::Refund(pay) => {
            view.start_refund(RefundId::new(number), PayId::new(*pay), Cause::OrderCancelled, NOW);
        }
        Step::Ask(pay, key, fen) => {
            let request = Request { request_id: key.to_string(), ..asked(number, *pay, *fen).request };
            drop(view.refund_payment(&NewRefund { request, ..asked(number, *pay, *fen) }, NOW));
        }
        Step::Retry(refund) => drop(view.retry_refund(RefundId::new(*refund), NOW)),
        Step::Answer(refund, done) => {
            let answer = if *done { Answer::Done } else { Answer::Refused(String::new()) };
            view.answer_refund(RefundId::new(*refund), &answer, NOW);
        }
        Step::Clear(pay, bits) => view.clear(PayId::new(*pay), Owed::of(*bits)),
    }
}

proptest! {
    /// Whatever happens in whatever order: what the CHECKs of the table say, one open payment each, paid stays paid,
    /// every paid payment has one log row, refunds never above what was paid, one by the order and one for each key.
    #[test]
    fn the_books_stay_legal(steps in prop::collection::vec(step(), 0..40)) {
        let mut view = Payments::default();
        let mut paid: BTreeSet<PayId> = BTreeSet::new();
        for (number, step) in (0_i64..).zip(&steps) {
            take(&mut view, number, step);
            for payment in view.rows.values() {
                prop_assert_eq!(payment.owed.is_nothing(), payment.due.is_none());
                prop_assert_eq!(payment.status == Status::Paid, payment.paid.is_some());
                prop_assert!(payment.refunded >= Fen::ZERO && payment.refunded <= payment.amount);
                let refunds: Vec<_> = view.refunds.values().filter(|r| r.pay_id == payment.pay_id).collect();
                prop_assert!(refunds.iter().filter(|r| r.request.is_none()).count() <= 1);
                let keys: BTreeSet<_> = refunds.iter().filter_map(|r| Some(&r.request.as_ref()?.request_id)).collect();
                prop_assert_eq!(keys.len(), refunds.iter().filter(|r| r.request.is_some()).count());
                prop_assert_eq!(refunds.iter().map(|r| r.amount.get()).sum::<i64>(), payment.refunded.get());
                let same = |other: &&Payment| {
                    other.is_open() && other.order_id == payment.order_id && other.channel == payment.channel
                };
                prop_assert!(!payment.is_open() || view.rows.values().filter(same).count() == 1);
                let closed = view.gates[&payment.order_id].state == GateState::Closed;
                prop_assert!(!(closed && payment.is_open()));
                prop_assert!(payment.status == Status::Paid || !paid.contains(&payment.pay_id));
            }
            paid.extend(view.rows.values().filter(|p| p.status == Status::Paid).map(|p| p.pay_id));
            prop_assert_eq!(view.changed.settled.len(), paid.len());
        }
    }
}
