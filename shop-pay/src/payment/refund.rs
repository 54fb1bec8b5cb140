//! How money goes back. Pay is the only writer of refunds, and only a definite *no* of the order starts one.

use shop_common::{
    code::ShopCode,
    error::ShopError,
    id::{OrderId, PayId, RefundId},
    money::Fen,
    time::Millis,
};

use super::{Payments, Status, owed::Owed};

/// Why the order does not want the payment, or no longer; the numbers are in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The order is cancelled or refunded.
    OrderCancelled,
    /// Another payment paid the order.
    PaidByOther,
    /// Not the amount due.
    WrongAmount,
    /// It paid the order, which was refunded afterwards.
    OrderRefunded,
}

/// Where a refund stands; the numbers are in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Promised.
    Open,
    /// The channel paid it back.
    Done,
    /// The channel will not: a case for an operator.
    Refused,
}

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Which; the channel knows it under the same number.
    pub refund_id: RefundId,
    /// Of which payment.
    pub pay_id: PayId,
    /// Which order does not want it.
    pub order_id: OrderId,
    /// Why.
    pub cause: Cause,
    /// How much.
    pub amount: Fen,
    /// Where it stands.
    pub state: State,
    /// Why the channel refused.
    pub remark: Option<String>,
}

/// What the channel said about a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is paid back.
    Done,
    /// It never will be, and why.
    Refused(String),
}

/// What became of the start of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Started {
    /// By this very command.
    Done,
    /// The payment has been judged before.
    Already,
}

impl Payments {
    /// Promises all of the payment back. Only the judgement of the order that is still owed can do that, so it happens
    /// once (F50, F51, F52).
    pub fn start_refund(&mut self, refund_id: RefundId, pay_id: PayId, cause: Cause, now: Millis) -> Started {
        let is_judged = self.rows.get(&pay_id).is_none_or(|payment| !payment.owed.has(Owed::ORDER));
        if is_judged { Started::Already } else { self.promise_back(refund_id, pay_id, cause, now) }
    }

    /// Promises the payment back that the order has bound and no longer wants. The order may have judged it already, or
    /// its answer may still be under way: whichever of the two refunds starts first is the only one.
    ///
    /// # Errors
    /// `SHOP_PAYMENT_NOT_FOUND` for a payment that is not paid or is of another order.
    pub fn refund_order(
        &mut self,
        refund_id: RefundId,
        order_id: OrderId,
        pay_id: PayId,
        now: Millis,
    ) -> Result<Started, ShopError> {
        let payment = self.rows.get(&pay_id);
        if !payment.is_some_and(|payment| payment.order_id == order_id && payment.status == Status::Paid) {
            return Err(ShopError::at(ShopCode::PaymentNotFound, "pay_id"));
        }
        Ok(self.promise_back(refund_id, pay_id, Cause::OrderRefunded, now))
    }

    fn promise_back(&mut self, refund_id: RefundId, pay_id: PayId, cause: Cause, now: Millis) -> Started {
        let Some(payment) = self.rows.get_mut(&pay_id) else { return Started::Already };
        let rest = payment.amount.checked_sub(payment.refunded).filter(|rest| *rest > Fen::ZERO);
        let (true, Some(amount)) = (payment.status == Status::Paid, rest) else { return Started::Already };
        payment.refunded = payment.amount;
        payment.owed = payment.owed.without(Owed::ORDER.with(Owed::POINTS));
        payment.owe(Owed::REFUND.with(Owed::REVERSE_POINTS), now);
        let order_id = payment.order_id;
        let refund = Refund { refund_id, pay_id, order_id, cause, amount, state: State::Open, remark: None };
        self.refunds.insert(refund_id, refund);
        self.changed.refunds_started.push(refund_id);
        Started::Done
    }

    /// Notes what the channel said; a refund that was answered keeps its answer (F56).
    pub fn answer_refund(&mut self, refund_id: RefundId, answer: &Answer) {
        let Some(refund) = self.refunds.get_mut(&refund_id).filter(|refund| refund.state == State::Open) else {
            return;
        };
        match answer {
            Answer::Done => refund.state = State::Done,
            Answer::Refused(why) => {
                refund.state = State::Refused;
                refund.remark = Some(why.clone());
            }
        }
        self.changed.refunds_answered.push(refund_id);
        let pay_id = refund.pay_id;
        if !self.refunds.values().any(|refund| refund.pay_id == pay_id && refund.state == State::Open) {
            self.clear(pay_id, Owed::REFUND);
        }
    }
}
