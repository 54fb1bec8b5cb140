//! The comparison; no database, no clock, no async.
//!
//! Every line of the statement is looked up in our books whatever the day, so a payment just before midnight is no gap.
//! The other way round only movements of the statement's own day are expected in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use shop_common::{
    id::{PayId, RefundId},
    money::Fen,
};

use super::statement::{Day, Line, Movement};
use crate::payment::{
    Payment, Status,
    refund::{Refund, State},
};

/// What our books say of one channel: every row that the statement names, and every movement of its day.
#[derive(Clone, Debug, Default)]
pub struct Ours {
    /// Payments by number.
    pub payments: BTreeMap<PayId, Payment>,
    /// Refunds by number.
    pub refunds: BTreeMap<RefundId, Refund>,
}

/// How the two books differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// We have it, the statement of its day has not.
    OursOnly,
    /// The statement has it, we have not.
    TheirsOnly,
    /// Both have it, with different amounts.
    AmountDiffers,
    /// Both have it, and one calls it done that the other does not, or under another number of the channel.
    StateDiffers,
}

/// What is to be done about a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Ask the channel about the payment; what it calls paid is settled like any notification.
    AskPayment,
    /// Ask the channel for the refund once more, under the same number.
    AskRefund,
    /// Nobody but an operator can decide.
    Operator,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// How they differ.
    pub kind: Kind,
    /// The payment.
    pub pay_id: PayId,
    /// The refund, where it is about one.
    pub refund_id: Option<RefundId>,
    /// What we say.
    pub ours: Option<Fen>,
    /// What the statement says.
    pub theirs: Option<Fen>,
    /// What is to be done.
    pub action: Action,
    /// Why, in words for an operator.
    pub why: &'static str,
}

/// What came of the comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Lines on which both books agree.
    pub matched: usize,
    /// The differences, in the order of the statement, then ours only.
    pub gaps: Vec<Gap>,
}

/// Holds the statement of `day` against our books.
pub fn compare(day: Day, lines: &[Line], ours: &Ours) -> Compared {
    let (mut compared, mut listed) = (Compared::default(), BTreeSet::new());
    for line in lines {
        let verdict = if listed.insert(line.movement) {
            of_line(line, ours)
        } else {
            Some((Kind::TheirsOnly, None, Action::Operator, "the statement lists it twice"))
        };
        match verdict {
            None => compared.matched = compared.matched.saturating_add(1),
            Some((kind, amount, action, why)) => compared.gaps.push(Gap {
                kind,
                pay_id: line.movement.pay_id(),
                refund_id: line.movement.refund_id(),
                ours: amount,
                theirs: Some(line.amount),
                action,
                why,
            }),
        }
    }
    compared.gaps.extend(unlisted(day, &listed, ours));
    compared
}

type Verdict = (Kind, Option<Fen>, Action, &'static str);

fn of_line(line: &Line, ours: &Ours) -> Option<Verdict> {
    match line.movement {
        Movement::Payment(pay_id) => of_payment(line, ours.payments.get(&pay_id)),
        Movement::Refund(pay_id, refund_id) => {
            of_refund(line, ours.refunds.get(&refund_id).filter(|refund| refund.pay_id == pay_id))
        }
    }
}

fn of_payment(line: &Line, ours: Option<&Payment>) -> Option<Verdict> {
    let Some(payment) = ours else {
        return Some((Kind::TheirsOnly, None, Action::Operator, "money for a payment that is not ours"));
    };
    let amount = Some(payment.amount);
    if payment.amount != line.amount {
        return Some((Kind::AmountDiffers, amount, Action::Operator, "the buyer paid another amount"));
    }
    if payment.status != Status::Paid {
        return Some((Kind::StateDiffers, amount, Action::AskPayment, "it is paid and we do not know"));
    }
    if payment.channel_trade_no.as_ref() != Some(&line.channel_trade_no) {
        return Some((Kind::StateDiffers, amount, Action::Operator, "paid under another number of the channel"));
    }
    None
}

fn of_refund(line: &Line, ours: Option<&Refund>) -> Option<Verdict> {
    let Some(refund) = ours else {
        return Some((Kind::TheirsOnly, None, Action::Operator, "money went back that we had not promised"));
    };
    let amount = Some(refund.amount);
    match refund.state {
        _ if refund.amount != line.amount => {
            Some((Kind::AmountDiffers, amount, Action::Operator, "another amount went back"))
        }
        State::Open => Some((Kind::StateDiffers, amount, Action::AskRefund, "it is paid back and we do not know")),
        State::Refused => {
            Some((Kind::StateDiffers, amount, Action::Operator, "it is paid back, though the channel had refused"))
        }
        State::Done => None,
    }
}

/// What we booked on that day and the statement does not have.
fn unlisted<'a>(day: Day, listed: &'a BTreeSet<Movement>, ours: &'a Ours) -> impl Iterator<Item = Gap> + 'a {
    let is_missing = move |movement| !listed.contains(&movement);
    let payments = ours.payments.values().filter(move |payment| {
        payment.paid.is_some_and(|paid| day.contains(paid)) && is_missing(Movement::Payment(payment.pay_id))
    });
    let refunds = ours.refunds.values().filter(move |refund| {
        let is_of_day = refund.state == State::Done && refund.done.is_some_and(|done| day.contains(done));
        is_of_day && is_missing(Movement::Refund(refund.pay_id, refund.refund_id))
    });
    let payment = |payment: &Payment| Gap {
        kind: Kind::OursOnly,
        pay_id: payment.pay_id,
        refund_id: None,
        ours: Some(payment.amount),
        theirs: None,
        action: Action::AskPayment,
        why: "we call it paid, the statement does not have it",
    };
    let refund = |refund: &Refund| Gap {
        kind: Kind::OursOnly,
        pay_id: refund.pay_id,
        refund_id: Some(refund.refund_id),
        ours: Some(refund.amount),
        theirs: None,
        action: Action::AskRefund,
        why: "we call it paid back, the statement does not have it",
    };
    payments.map(payment).chain(refunds.map(refund))
}

#[cfg(test)]
mod tests;
