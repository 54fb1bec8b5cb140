//! How money goes back. Pay is the only writer of refunds. Three start one: a definite *no* of the order, an order that
//! was refunded, and an operator.

use shop_common::{
    code::ShopCode,
    error::ShopError,
    id::{OrderId, PayId, RefundId},
    money::Fen,
    time::Millis,
};

use super::{Payment, Payments, Status, owed::Owed};

/// Why money goes back; the numbers are in the store.
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
    /// An operator says so.
    Operator,
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

/// What an operator said when asking for a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The key of idempotency, within the payment.
    pub request_id: String,
    /// Why.
    pub reason: String,
    /// Who; empty where nobody said.
    pub operator: String,
}

/// A refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Which; the channel knows it under the same number.
    pub refund_id: RefundId,
    /// Of which payment.
    pub pay_id: PayId,
    /// The order of that payment.
    pub order_id: OrderId,
    /// Why.
    pub cause: Cause,
    /// What the operator said; none for other causes.
    pub request: Option<Request>,
    /// How much.
    pub amount: Fen,
    /// Where it stands.
    pub state: State,
    /// When it was promised.
    pub created: Millis,
    /// When the channel paid it back.
    pub done: Option<Millis>,
    /// Why the channel refused.
    pub remark: Option<String>,
}

/// A refund that an operator wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRefund {
    /// The refund's number, should there be one.
    pub refund_id: RefundId,
    /// Of which payment.
    pub pay_id: PayId,
    /// How much, greater than zero; none for all that is left.
    pub amount: Option<Fen>,
    /// Under which key, why, and who says so.
    pub request: Request,
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
    /// The payment has been judged before, or nothing is left of it.
    Already,
}

/// What a batch promises back of one payment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Promise {
    pub(crate) more: Fen,
    /// What is owed no more, and what is owed from now on.
    pub(crate) gone: Owed,
    pub(crate) owed: Owed,
    /// Whether only the order's judgement, still owed, allows it.
    pub(crate) is_judgement: bool,
}

impl Payments {
    /// Promises what is left of the payment back. Only the judgement of the order that is still owed can do that, so it
    /// happens once (F50, F51, F52). Where an operator was faster, nothing is left and the order need not hear of it.
    pub fn start_refund(&mut self, refund_id: RefundId, pay_id: PayId, cause: Cause, now: Millis) -> Started {
        let is_judged = self.rows.get(&pay_id).is_none_or(|payment| !payment.owed.has(Owed::ORDER));
        if is_judged {
            return Started::Already;
        }
        let started = self.promise_rest(refund_id, pay_id, cause, now);
        let is_nothing_left = self.rows.get(&pay_id).is_some_and(|payment| payment.rest() <= Fen::ZERO);
        if started == Started::Already && is_nothing_left {
            self.clear(pay_id, Owed::ORDER.with(Owed::TELL_ORDER));
        }
        started
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
        Ok(self.promise_rest(refund_id, pay_id, Cause::OrderRefunded, now))
    }

    /// Promises back what an operator asks for, once by its key. Part of a payment leaves the order and the points as
    /// they are; with the last fen of it the order hears of it and the points go.
    ///
    /// # Errors
    /// `SHOP_PAYMENT_NOT_FOUND`; `SHOP_IDEMPOTENCY_CONFLICT` for a key that asked for something else;
    /// `SHOP_PAYMENT_NOT_PAID`; `SHOP_REFUND_TOO_MUCH` for more than is left.
    pub fn refund_payment(&mut self, wanted: &NewRefund, now: Millis) -> Result<Refund, ShopError> {
        let payment = self.rows.get(&wanted.pay_id).ok_or(ShopError::at(ShopCode::PaymentNotFound, "pay_id"))?;
        if let Some(known) = self.asked_before(wanted) {
            if !wanted.is_answered_by(known) {
                return Err(ShopError::at(ShopCode::IdempotencyConflict, "request_id"));
            }
            return Ok(known.clone());
        }
        if payment.status != Status::Paid {
            return Err(ShopError::at(ShopCode::PaymentNotPaid, "pay_id"));
        }
        let rest = payment.rest();
        let amount = wanted.amount.unwrap_or(rest);
        if rest <= Fen::ZERO || amount > rest {
            return Err(ShopError::at(ShopCode::RefundTooMuch, "amount_fen"));
        }
        let whole = Promise {
            gone: Owed::POINTS,
            owed: Owed::REFUND.with(Owed::REVERSE_POINTS).with(Owed::TELL_ORDER),
            ..Promise::default()
        };
        let part = Promise { owed: Owed::REFUND, ..Promise::default() };
        let promise = if amount == rest { whole } else { part };
        let refund = Refund {
            request: Some(wanted.request.clone()),
            ..Refund::new(wanted.refund_id, payment, Cause::Operator, amount, now)
        };
        self.promise(refund.clone(), promise, now);
        Ok(refund)
    }

    /// Asks the channel anew for a refund that it refused; any other stays as it is.
    pub fn retry_refund(&mut self, refund_id: RefundId, now: Millis) -> Option<Refund> {
        let refund = self.refunds.get_mut(&refund_id)?;
        if refund.state == State::Refused {
            refund.state = State::Open;
            refund.remark = None;
            let pay_id = refund.pay_id;
            self.changed.refunds_retried.push(refund_id);
            self.owe(pay_id, Promise { owed: Owed::REFUND, ..Promise::default() }, now);
        }
        self.refunds.get(&refund_id).cloned()
    }

    fn asked_before(&self, wanted: &NewRefund) -> Option<&Refund> {
        self.refunds.values().find(|refund| {
            let request = refund.request.as_ref();
            refund.pay_id == wanted.pay_id && request.is_some_and(|it| it.request_id == wanted.request.request_id)
        })
    }

    fn promise_rest(&mut self, refund_id: RefundId, pay_id: PayId, cause: Cause, now: Millis) -> Started {
        let Some(payment) = self.rows.get(&pay_id) else { return Started::Already };
        let rest = payment.rest();
        if payment.status != Status::Paid || rest <= Fen::ZERO {
            return Started::Already;
        }
        let promise = Promise {
            more: Fen::ZERO,
            gone: Owed::ORDER.with(Owed::POINTS),
            owed: Owed::REFUND.with(Owed::REVERSE_POINTS),
            is_judgement: cause != Cause::OrderRefunded,
        };
        let refund = Refund::new(refund_id, payment, cause, rest, now);
        self.promise(refund, promise, now);
        Started::Done
    }

    fn promise(&mut self, refund: Refund, promise: Promise, now: Millis) {
        self.owe(refund.pay_id, Promise { more: refund.amount, ..promise }, now);
        self.changed.refunds_started.push(refund.refund_id);
        self.refunds.insert(refund.refund_id, refund);
    }

    fn owe(&mut self, pay_id: PayId, promise: Promise, now: Millis) {
        let Some(payment) = self.rows.get_mut(&pay_id) else { return };
        payment.refunded = payment.refunded.checked_add(promise.more).unwrap_or(payment.amount);
        // Where a refund is asked for already, its answer may be known at the channel: the count of looks says so.
        if !payment.owed.has(Owed::REFUND) {
            payment.looks = 0;
        }
        payment.owed = payment.owed.without(promise.gone);
        payment.owe(promise.owed, now);
        let all = self.changed.promised.entry(pay_id).or_default();
        all.more = all.more.checked_add(promise.more).unwrap_or(payment.amount);
        all.gone = all.gone.with(promise.gone);
        all.owed = all.owed.with(promise.owed);
        all.is_judgement |= promise.is_judgement;
    }

    /// Notes what the channel said; a refund that was answered keeps its answer (F56).
    pub fn answer_refund(&mut self, refund_id: RefundId, answer: &Answer, now: Millis) {
        let Some(refund) = self.refunds.get_mut(&refund_id).filter(|refund| refund.state == State::Open) else {
            return;
        };
        match answer {
            Answer::Done => {
                refund.state = State::Done;
                refund.done = Some(now);
            }
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

impl Refund {
    fn new(refund_id: RefundId, payment: &Payment, cause: Cause, amount: Fen, now: Millis) -> Self {
        Self {
            refund_id,
            pay_id: payment.pay_id,
            order_id: payment.order_id,
            cause,
            request: None,
            amount,
            state: State::Open,
            created: now,
            done: None,
            remark: None,
        }
    }
}

impl NewRefund {
    /// Whether `known`, which has the same key, is what is asked for. Who asks does not matter, and all that is left is
    /// all that was left then.
    fn is_answered_by(&self, known: &Refund) -> bool {
        let same_reason = known.request.as_ref().is_some_and(|request| request.reason == self.request.reason);
        same_reason && self.amount.is_none_or(|amount| amount == known.amount)
    }
}
