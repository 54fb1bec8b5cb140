use shop_common::{
    id::{OrderId, UserId},
    time::Millis,
};

use super::*;
use crate::payment::{owed::Owed, refund::Cause};

const DUE: Fen = Fen::new(88_000);

fn day() -> Day {
    "2026-11-24".parse().unwrap()
}

fn noon() -> Millis {
    Millis::new(day().bounds().0.get() + 43_200_000)
}

fn payment(id: i64, status: Status, paid: Option<Millis>) -> Payment {
    Payment {
        pay_id: PayId::new(id),
        order_id: OrderId::new(id),
        user_id: UserId::new(1),
        channel: "sandbox".into(),
        amount: DUE,
        status,
        pay_url: String::new(),
        channel_trade_no: (status == Status::Paid).then(|| format!("SB{id}")),
        created: noon(),
        paid,
        closed: None,
        refunded: Fen::ZERO,
        owed: Owed::default(),
        due: None,
        looks: 0,
    }
}

fn refund(id: i64, state: State) -> Refund {
    Refund {
        refund_id: RefundId::new(id),
        pay_id: PayId::new(11),
        order_id: OrderId::new(11),
        cause: Cause::OrderCancelled,
        request: None,
        amount: DUE,
        state,
        created: noon(),
        done: (state == State::Done).then(noon),
        remark: None,
    }
}

/// Payment 11 is paid, 12 is not; refunds 21 done, 22 open, 23 refused.
fn ours() -> Ours {
    let payments = [payment(11, Status::Paid, Some(noon())), payment(12, Status::Paying, None)];
    let refunds = [refund(21, State::Done), refund(22, State::Open), refund(23, State::Refused)];
    Ours {
        payments: payments.into_iter().map(|payment| (payment.pay_id, payment)).collect(),
        refunds: refunds.into_iter().map(|refund| (refund.refund_id, refund)).collect(),
    }
}

fn paid(id: i64, fen: i64) -> Line {
    let movement = Movement::Payment(PayId::new(id));
    Line { movement, amount: Fen::new(fen), channel_trade_no: format!("SB{id}"), at: noon() }
}

fn back(id: i64, fen: i64) -> Line {
    let movement = Movement::Refund(PayId::new(11), RefundId::new(id));
    Line { movement, amount: Fen::new(fen), channel_trade_no: "SB11".into(), at: noon() }
}

fn found(lines: &[Line]) -> Vec<(Kind, i64, Action)> {
    let gaps = compare(day(), lines, &ours()).gaps;
    let id = |gap: &Gap| gap.refund_id.map_or(gap.pay_id.get(), RefundId::get);
    gaps.iter().map(|gap| (gap.kind, id(gap), gap.action)).collect()
}

#[test]
fn a_statement_that_agrees_has_no_gap() {
    let compared = compare(day(), &[paid(11, 88_000), back(21, 88_000)], &ours());
    assert_eq!((compared.matched, compared.gaps), (2, Vec::new()));
}

#[test]
fn several_refunds_of_one_payment_are_told_apart() {
    let mut ours = ours();
    let part =
        Refund { refund_id: RefundId::new(24), amount: Fen::new(100), ..ours.refunds[&RefundId::new(21)].clone() };
    ours.refunds.insert(part.refund_id, part);
    let all = [paid(11, 88_000), back(21, 88_000), back(24, 100)];
    assert_eq!(compare(day(), &all, &ours).gaps, Vec::new());
    let gaps = compare(day(), &all[..2], &ours).gaps;
    assert_eq!((gaps.len(), gaps[0].kind, gaps[0].refund_id), (1, Kind::OursOnly, Some(RefundId::new(24))));
}

#[test]
fn gaps_of_every_kind_are_found() {
    let agreed = || vec![paid(11, 88_000), back(21, 88_000)];
    let with = |line: Line| found(&agreed().into_iter().chain([line]).collect::<Vec<Line>>());
    assert_eq!(with(paid(99, 88_000)), [(Kind::TheirsOnly, 99, Action::Operator)]);
    assert_eq!(with(paid(12, 88_000)), [(Kind::StateDiffers, 12, Action::AskPayment)]);
    assert_eq!(with(paid(12, 87_999)), [(Kind::AmountDiffers, 12, Action::Operator)]);
    assert_eq!(with(back(99, 1)), [(Kind::TheirsOnly, 99, Action::Operator)]);
    assert_eq!(with(back(22, 88_000)), [(Kind::StateDiffers, 22, Action::AskRefund)]);
    assert_eq!(with(back(23, 88_000)), [(Kind::StateDiffers, 23, Action::Operator)]);
    assert_eq!(with(back(22, 1)), [(Kind::AmountDiffers, 22, Action::Operator)]);
    assert_eq!(with(paid(11, 88_000)), [(Kind::TheirsOnly, 11, Action::Operator)], "listed twice");
    let other_number = Line { channel_trade_no: "SB12".into(), ..paid(11, 88_000) };
    assert_eq!(found(&[other_number, back(21, 88_000)]), [(Kind::StateDiffers, 11, Action::Operator)]);
    assert_eq!(found(&[back(21, 88_000)]), [(Kind::OursOnly, 11, Action::AskPayment)]);
    assert_eq!(found(&[paid(11, 88_000)]), [(Kind::OursOnly, 21, Action::AskRefund)]);
}

#[test]
fn what_was_done_on_another_day_is_not_expected_but_recognised() {
    let yesterday = Millis::new(day().bounds().0.get() - 1);
    let mut ours = ours();
    ours.payments.insert(PayId::new(11), payment(11, Status::Paid, Some(yesterday)));
    ours.refunds.clear();
    assert_eq!(compare(day(), &[], &ours).gaps, []);
    assert_eq!(compare(day(), &[paid(11, 88_000)], &ours).matched, 1);
}

#[test]
fn a_refund_of_another_payment_is_not_ours() {
    let movement = Movement::Refund(PayId::new(12), RefundId::new(22));
    let line = Line { movement, ..back(22, 88_000) };
    assert_eq!(found(&[paid(11, 88_000), back(21, 88_000), line]), [(Kind::TheirsOnly, 22, Action::Operator)]);
}
