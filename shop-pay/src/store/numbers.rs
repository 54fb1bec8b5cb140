//! The numbers and words of the tables, which stand nowhere else.

use shop_common::db::{Failure, Result};

use crate::payment::{
    GateState, Status,
    refund::{Cause, State},
    settle::Verdict,
};

pub(super) const fn status_number(status: Status) -> i16 {
    match status {
        Status::Unpaid => 0,
        Status::Paying => 1,
        Status::Paid => 2,
    }
}

pub(super) fn status(number: i16) -> Result<Status> {
    match number {
        0 => Ok(Status::Unpaid),
        1 => Ok(Status::Paying),
        2 => Ok(Status::Paid),
        _ => Err(Failure::guard("trade_pay.is_paid")),
    }
}

pub(super) const fn gate_number(state: GateState) -> i16 {
    match state {
        GateState::Open => 1,
        GateState::Closed => 2,
    }
}

pub(super) fn gate_state(number: i16) -> Result<GateState> {
    match number {
        1 => Ok(GateState::Open),
        2 => Ok(GateState::Closed),
        _ => Err(Failure::guard("trade_pay_order.state")),
    }
}

pub(super) const fn cause_number(cause: Cause) -> i16 {
    match cause {
        Cause::OrderCancelled => 1,
        Cause::PaidByOther => 2,
        Cause::WrongAmount => 3,
        Cause::OrderRefunded => 4,
        Cause::Operator => 5,
    }
}

pub(super) fn cause(number: i16) -> Result<Cause> {
    match number {
        1 => Ok(Cause::OrderCancelled),
        2 => Ok(Cause::PaidByOther),
        3 => Ok(Cause::WrongAmount),
        4 => Ok(Cause::OrderRefunded),
        5 => Ok(Cause::Operator),
        _ => Err(Failure::guard("trade_refund.cause")),
    }
}

pub(super) const fn refund_number(state: State) -> i16 {
    match state {
        State::Open => 0,
        State::Done => 1,
        State::Refused => 2,
    }
}

pub(super) fn refund_state(number: i16) -> Result<State> {
    match number {
        0 => Ok(State::Open),
        1 => Ok(State::Done),
        2 => Ok(State::Refused),
        _ => Err(Failure::guard("trade_refund.state")),
    }
}

const VERDICTS: [(Verdict, &str); 9] = [
    (Verdict::Applied, "applied"),
    (Verdict::AlreadyApplied, "already_applied"),
    (Verdict::RefundStarted, "refund_started"),
    (Verdict::Ignored, "ignored"),
    (Verdict::RefundAnswered, "refund_answered"),
    (Verdict::UnknownPayment, "unknown_payment"),
    (Verdict::UnknownRefund, "unknown_refund"),
    (Verdict::AmountMismatch, "amount_mismatch"),
    (Verdict::NotOurs, "not_ours"),
];

pub(super) fn verdict_word(verdict: Verdict) -> &'static str {
    VERDICTS.iter().find(|(known, _)| *known == verdict).map_or("", |(_, word)| word)
}

pub(super) fn verdict(word: &str) -> Option<Verdict> {
    VERDICTS.iter().find(|(_, known)| *known == word).map(|(verdict, _)| *verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for number in 0..3 {
            assert_eq!(status_number(status(number).unwrap()), number);
            assert_eq!(refund_number(refund_state(number).unwrap()), number);
            assert_eq!(cause_number(cause(number + 1).unwrap()), number + 1);
        }
        assert_eq!([4, 5].map(|number| cause_number(cause(number).unwrap())), [4, 5]);
        for number in 1..3 {
            assert_eq!(gate_number(gate_state(number).unwrap()), number);
        }
        for (known, word) in VERDICTS {
            assert_eq!(verdict(verdict_word(known)), Some(known), "{word}");
        }
        assert!(status(3).is_err() && refund_state(3).is_err() && cause(6).is_err() && gate_state(0).is_err());
        assert_eq!(verdict("paid"), None);
    }
}
