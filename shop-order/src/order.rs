//! The status machine of an order; no database, no clock, no async.
//!
//! Every transition has its guard by cause, and none overwrites a state it was not meant for (traps 17, 31, 48).

use std::{fmt, ops};

use shop_common::{
    code::ShopCode,
    due::Debt,
    error::ShopError,
    id::{PayId, UserId},
    money::Fen,
    time::Millis,
};

/// Status of an order; the tutorial's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Being confirmed.
    Unconfirmed,
    /// Stock, coupon and balance are taken.
    Confirmed,
    /// Everything taken is given back, or owed back.
    Cancelled,
    /// Kept for imported rows; never written.
    Invalid,
    /// Paid, then refunded.
    Refunded,
}

/// Payment status of an order; the tutorial's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayStatus {
    /// Nothing paid.
    Unpaid,
    /// A payment has been begun.
    Paying,
    /// Paid, or nothing was due.
    Paid,
}

/// What an order owes others: a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owed(i64);

impl Owed {
    /// Nothing.
    pub const NOTHING: Self = Self(0);
    /// The release of its stock.
    pub const STOCK: Self = Self(1);
    /// The reinstatement of its coupon.
    pub const COUPON: Self = Self(2);
    /// The refund of its balance.
    pub const BALANCE: Self = Self(4);
    /// The close of its open payments.
    pub const CLOSE: Self = Self(8);
    /// The refund of the payment bound to it.
    pub const REFUND: Self = Self(16);

    /// The set of these bits.
    pub const fn of_bits(bits: i64) -> Self {
        Self(bits)
    }

    /// As stored.
    pub const fn bits(self) -> i64 {
        self.0
    }

    /// Whether all of `other` is owed.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// With `other` where `wanted`.
    #[must_use]
    pub const fn with_if(self, other: Self, wanted: bool) -> Self {
        if wanted { Self(self.0 | other.0) } else { self }
    }
}

impl ops::BitOr for Owed {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Owed {
    /// The service that has to do it, and its name in logs.
    const DEBTS: [(Self, Debt); 5] = [
        (Self::STOCK, Debt::new("stock", "goods")),
        (Self::COUPON, Debt::new("coupon", "coupon")),
        (Self::BALANCE, Debt::new("balance", "user")),
        (Self::CLOSE, Debt::new("close", "pay")),
        (Self::REFUND, Debt::new("refund", "pay")),
    ];

    /// What is owed, and by whom.
    pub fn debts(self) -> Vec<Debt> {
        Self::DEBTS.into_iter().filter(|(bit, _)| self.contains(*bit)).map(|(_, debt)| debt).collect()
    }
}

impl fmt::Display for Owed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let owed: Vec<&str> = self.debts().iter().map(|debt| debt.owed).collect();
        f.write_str(&owed.join("+"))
    }
}

/// Why an order is cancelled; each cause has its own guard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A step of the saga was refused; kept, so that a repeat gets the same answer.
    Refused(ShopError),
    /// The saga was not finished in time: it died, or somebody it needs was away.
    Recovery,
    /// The buyer wants it; the reason is kept.
    User(String),
    /// It was not paid in time.
    TimeOut,
    /// It was paid, and the buyer wants the money back; the reason is kept.
    Refund(String),
}

impl Cause {
    /// As stored.
    pub const fn number(&self) -> i16 {
        match self {
            Self::Refused(_) => 1,
            Self::Recovery => 2,
            Self::User(_) => 3,
            Self::TimeOut => 4,
            Self::Refund(_) => 5,
        }
    }
}

/// What a cancel found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// Cancelled by this very command.
    Now,
    /// Cancelled before.
    Already,
    /// The guard of the cause did not hold; the stored state is the answer.
    NotCancellable(Status),
}

/// What a confirm found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// Confirmed by this very command.
    Now,
    /// Confirmed before.
    Already,
    /// It was cancelled before it was confirmed.
    TooLate,
}

/// What a payment may expect of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Moved to *paying* by this very command.
    Now,
    /// It is *paying* already.
    Already,
    /// No payment may be made.
    Refused(ShopError),
}

/// The order's judgement of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// Bound by this very command.
    Bound,
    /// Bound before, to this very payment.
    AlreadyBound,
    /// The order is cancelled or refunded.
    Cancelled,
    /// Another payment is bound, or nothing was due.
    PaidByOther,
    /// Not the amount due.
    Amount,
    /// Not confirmed yet: ask again.
    NotYet,
    /// No such order: ask again, and tell an operator.
    NotFound,
}

/// What decisions need of an order, and what they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The buyer.
    pub user_id: UserId,
    /// What is due.
    pub amount_due: Fen,
    /// What was taken from the balance.
    pub balance_used: Fen,
    /// Whether a coupon was spent on it.
    pub has_coupon: bool,
    /// Where it stands.
    pub status: Status,
    /// Whether it is paid.
    pub pay_status: PayStatus,
    /// The payment bound to it.
    pub pay_id: Option<PayId>,
    /// Until when it must be paid.
    pub pay_deadline: Option<Millis>,
    /// Since when its payments are being closed, because it was not paid in time.
    pub closing: Option<Millis>,
    /// When it was confirmed, paid, cancelled.
    pub confirmed: Option<Millis>,
    /// When it was paid.
    pub paid: Option<Millis>,
    /// When it was cancelled.
    pub cancelled: Option<Millis>,
    /// Why it was cancelled.
    pub cause: Option<Cause>,
    /// What it owes.
    pub owed: Owed,
    /// When the sweeper looks next.
    pub due: Option<Millis>,
}

impl Order {
    /// 0 → 1, and paid at once where nothing is due; due again when it must be paid. Guard: status 0 (trap 17).
    pub fn confirm(&mut self, now: Millis, pay_deadline: Millis) -> Confirmed {
        match self.status {
            Status::Unconfirmed => {}
            Status::Confirmed => return Confirmed::Already,
            Status::Cancelled | Status::Invalid | Status::Refunded => return Confirmed::TooLate,
        }
        self.status = Status::Confirmed;
        self.confirmed = Some(now);
        self.due = None;
        if self.amount_due == Fen::ZERO {
            self.pay_status = PayStatus::Paid;
            self.paid = Some(now);
        } else {
            self.pay_deadline = Some(pay_deadline);
            self.due = Some(pay_deadline);
        }
        Confirmed::Now
    }

    /// → 2, or → 4 where it was paid, owing back what it took. The guard depends on the cause: the saga and its recovery
    /// may cancel only what was never confirmed, a time-out what is confirmed and unpaid past its deadline, the buyer
    /// what is not over; a paid order is refunded (trap 31).
    pub fn cancel(&mut self, cause: Cause, now: Millis, due: Millis) -> Cancelled {
        let is_paid = self.pay_status == PayStatus::Paid;
        let (cause, status) = match (cause, self.status) {
            (_, Status::Cancelled) | (Cause::User(_) | Cause::Refund(_), Status::Refunded) => {
                return Cancelled::Already;
            }
            (Cause::User(reason) | Cause::Refund(reason), Status::Confirmed) if is_paid => {
                (Cause::Refund(reason), Status::Refunded)
            }
            (cause @ (Cause::User(_) | Cause::Refused(_) | Cause::Recovery), Status::Unconfirmed)
            | (cause @ Cause::User(_), Status::Confirmed) => (cause, Status::Cancelled),
            (Cause::TimeOut, Status::Confirmed) if self.is_overdue(now) => (Cause::TimeOut, Status::Cancelled),
            (_, status) => return Cancelled::NotCancellable(status),
        };
        self.owed = Owed::STOCK
            .with_if(Owed::COUPON, self.has_coupon)
            .with_if(Owed::BALANCE, self.balance_used > Fen::ZERO)
            .with_if(Owed::CLOSE, self.status == Status::Confirmed)
            .with_if(Owed::REFUND, self.pay_id.is_some());
        self.status = status;
        self.closing = None;
        self.cancelled = Some(now);
        self.due = Some(due);
        self.cause = Some(cause);
        Cancelled::Now
    }

    /// Whether it waits for its payment.
    pub fn is_unpaid(&self) -> bool {
        self.status == Status::Confirmed && self.pay_status != PayStatus::Paid
    }

    /// Until when its payment is awaited; none where none is, or where it is too late and its payments are being closed.
    pub fn awaited_until(&self) -> Option<Millis> {
        self.pay_deadline.filter(|_| self.is_unpaid() && self.closing.is_none())
    }

    /// Whether its payment did not come in time.
    fn is_overdue(&self, now: Millis) -> bool {
        self.is_unpaid() && self.pay_deadline.is_some_and(|deadline| deadline <= now)
    }

    /// The first step of a time-out: no payment may be begun any more, though one that was begun still binds. Since when
    /// that is so; none where the order is not overdue (F51).
    pub fn begin_closing(&mut self, now: Millis, look_again: Millis) -> Option<Millis> {
        if !self.is_overdue(now) {
            return None;
        }
        if self.closing.is_none() {
            self.closing = Some(now);
            self.due = Some(look_again);
        }
        self.closing
    }

    /// The order's last word before a payment is made (traps 38, 46).
    pub fn begin_payment(&mut self, user_id: UserId, amount: Fen, now: Millis) -> Begun {
        if self.user_id != user_id {
            return Begun::Refused(ShopError::at(ShopCode::OrderNotFound, "order_id"));
        }
        if self.pay_status == PayStatus::Paid {
            return Begun::Refused(ShopError::at(ShopCode::OrderIsPaid, "order_id"));
        }
        let in_time = self.pay_deadline.is_none_or(|deadline| now < deadline);
        if self.status != Status::Confirmed || self.closing.is_some() || !in_time {
            return Begun::Refused(ShopError::at(ShopCode::OrderNotPayable, "order_id"));
        }
        if self.amount_due != amount {
            return Begun::Refused(ShopError::at(ShopCode::AmountMismatch, "amount_fen"));
        }
        if self.pay_status == PayStatus::Paying {
            return Begun::Already;
        }
        self.pay_status = PayStatus::Paying;
        Begun::Now
    }

    /// Binds a payment, or says why not. The order is the only judge; money that cannot be bound goes back.
    pub fn mark_paid(&mut self, pay_id: PayId, amount: Fen, now: Millis, due: Millis) -> Marked {
        match self.status {
            Status::Unconfirmed => return Marked::NotYet,
            Status::Cancelled | Status::Invalid | Status::Refunded => return Marked::Cancelled,
            Status::Confirmed => {}
        }
        match self.pay_id {
            Some(bound) if bound == pay_id => return Marked::AlreadyBound,
            Some(_) => return Marked::PaidByOther,
            None if self.pay_status == PayStatus::Paid => return Marked::PaidByOther,
            None if self.amount_due != amount => return Marked::Amount,
            None => {}
        }
        self.pay_id = Some(pay_id);
        self.pay_status = PayStatus::Paid;
        self.paid = Some(now);
        self.closing = None;
        self.owed = self.owed | Owed::CLOSE;
        self.due = Some(due);
        Marked::Bound
    }

    /// Takes off what has been given back, unless the order has moved on since it was asked for.
    pub fn settle(&mut self, settled: Owed, asked_in: Status) {
        if self.status != asked_in {
            return;
        }
        self.owed = self.owed.without(settled);
        if self.owed == Owed::NOTHING && self.status != Status::Unconfirmed && !self.is_unpaid() {
            self.due = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis::new(1_000);
    const LATER: Millis = Millis::new(2_000);
    const USER: UserId = UserId::new(5);
    const PAY: PayId = PayId::new(9);

    fn order(status: Status, pay_status: PayStatus) -> Order {
        Order {
            user_id: USER,
            amount_due: Fen::new(88_000),
            balance_used: Fen::new(10_000),
            has_coupon: true,
            status,
            pay_status,
            pay_id: None,
            pay_deadline: Some(LATER),
            closing: None,
            confirmed: None,
            paid: None,
            cancelled: None,
            cause: None,
            owed: Owed::NOTHING,
            due: None,
        }
    }

    const STATUSES: [Status; 5] =
        [Status::Unconfirmed, Status::Confirmed, Status::Cancelled, Status::Invalid, Status::Refunded];
    const PAY_STATUSES: [PayStatus; 3] = [PayStatus::Unpaid, PayStatus::Paying, PayStatus::Paid];

    #[test]
    fn only_an_unconfirmed_order_is_confirmed() {
        for status in STATUSES {
            let mut order = order(status, PayStatus::Unpaid);
            let expected = match status {
                Status::Unconfirmed => Confirmed::Now,
                Status::Confirmed => Confirmed::Already,
                _ => Confirmed::TooLate,
            };
            assert_eq!(order.confirm(NOW, LATER), expected, "{status:?}");
            assert_eq!(order.status == Status::Confirmed, matches!(expected, Confirmed::Now | Confirmed::Already));
        }
    }

    #[test]
    fn an_order_with_nothing_due_is_paid_when_confirmed() {
        let mut order = Order { amount_due: Fen::ZERO, ..order(Status::Unconfirmed, PayStatus::Unpaid) };
        order.confirm(NOW, LATER);
        assert_eq!((order.pay_status, order.paid, order.due), (PayStatus::Paid, Some(NOW), None));
    }

    /// Where the cause leads from each status; past the deadline, which only a time-out asks for.
    fn expected(cause: &Cause, status: Status, is_paid: bool) -> Cancelled {
        let asked_by_buyer = matches!(cause, Cause::User(_) | Cause::Refund(_));
        let holds = match status {
            Status::Unconfirmed => !matches!(cause, Cause::TimeOut | Cause::Refund(_)),
            Status::Confirmed => match cause {
                Cause::User(_) => true,
                Cause::Refund(_) => is_paid,
                Cause::TimeOut => !is_paid,
                Cause::Refused(_) | Cause::Recovery => false,
            },
            _ => false,
        };
        match status {
            _ if holds => Cancelled::Now,
            Status::Cancelled => Cancelled::Already,
            Status::Refunded if asked_by_buyer => Cancelled::Already,
            other => Cancelled::NotCancellable(other),
        }
    }

    /// One of each, in the order of their numbers.
    fn causes() -> [Cause; 5] {
        let reason = String::new;
        [
            Cause::Refused(ShopCode::GoodsNotEnough.into()),
            Cause::Recovery,
            Cause::User(reason()),
            Cause::TimeOut,
            Cause::Refund(reason()),
        ]
    }

    #[test]
    fn each_cause_has_its_guard() {
        for cause in causes() {
            for status in STATUSES {
                for pay_status in PAY_STATUSES {
                    let (mut order, is_paid) = (order(status, pay_status), pay_status == PayStatus::Paid);
                    let expected = expected(&cause, status, is_paid);
                    let found = order.cancel(cause.clone(), LATER, LATER);
                    assert_eq!(found, expected, "{cause:?} {status:?} {pay_status:?}");
                    if found == Cancelled::Now {
                        let refunds = status == Status::Confirmed && is_paid;
                        let end = if refunds { Status::Refunded } else { Status::Cancelled };
                        assert_eq!(order.status, end, "{cause:?} {status:?} {pay_status:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_time_out_waits_for_the_deadline() {
        let mut order = order(Status::Confirmed, PayStatus::Paying);
        assert_eq!(order.cancel(Cause::TimeOut, NOW, LATER), Cancelled::NotCancellable(Status::Confirmed));
        assert_eq!((order.begin_closing(NOW, LATER), order.closing), (None, None));
        assert_eq!(order.begin_closing(LATER, Millis::new(4_000)), Some(LATER));
        assert_eq!(order.due, Some(Millis::new(4_000)));
        assert_eq!(order.begin_closing(Millis::new(3_000), Millis::new(5_000)), Some(LATER), "since the first time");
        assert_eq!(order.due, Some(Millis::new(4_000)));
        assert_eq!(order.cancel(Cause::TimeOut, LATER, LATER), Cancelled::Now);
        assert_eq!((order.status, order.closing), (Status::Cancelled, None));
    }

    #[test]
    fn what_is_closing_takes_no_new_payment_but_binds_the_one_that_came() {
        let mut order = Order { closing: Some(NOW), ..order(Status::Confirmed, PayStatus::Paying) };
        let Begun::Refused(refusal) = order.begin_payment(USER, Fen::new(88_000), NOW) else { panic!() };
        assert_eq!(refusal.code, ShopCode::OrderNotPayable);
        assert_eq!(order.mark_paid(PAY, Fen::new(88_000), LATER, LATER), Marked::Bound);
        assert_eq!((order.closing, order.begin_closing(LATER, LATER)), (None, None));
    }

    #[test]
    fn a_refunded_order_owes_its_money_only_if_it_came_through_a_channel() {
        let mut paid = Order { pay_id: Some(PAY), ..order(Status::Confirmed, PayStatus::Paid) };
        paid.cancel(Cause::User("changed my mind".into()), NOW, LATER);
        let whole = Owed::STOCK | Owed::COUPON | Owed::BALANCE | Owed::CLOSE | Owed::REFUND;
        assert_eq!((paid.owed, paid.cause), (whole, Some(Cause::Refund("changed my mind".into()))));
        let mut free = Order { amount_due: Fen::ZERO, ..order(Status::Confirmed, PayStatus::Paid) };
        free.cancel(Cause::User(String::new()), NOW, LATER);
        assert_eq!((free.status, free.owed), (Status::Refunded, whole.without(Owed::REFUND)));
    }

    #[test]
    fn a_cancelled_order_owes_what_its_row_says() {
        let mut whole = order(Status::Confirmed, PayStatus::Unpaid);
        whole.cancel(Cause::User("changed my mind".into()), NOW, LATER);
        assert_eq!(whole.owed, Owed::STOCK | Owed::COUPON | Owed::BALANCE | Owed::CLOSE);
        let mut plain =
            Order { has_coupon: false, balance_used: Fen::ZERO, ..order(Status::Unconfirmed, PayStatus::Unpaid) };
        plain.cancel(Cause::Recovery, NOW, LATER);
        assert_eq!((plain.owed, plain.due), (Owed::STOCK, Some(LATER)));
    }

    #[test]
    fn a_payment_needs_a_confirmed_unpaid_order_of_this_user_and_amount() {
        let code = |begun: Begun| match begun {
            Begun::Refused(error) => Some(error.code),
            _ => None,
        };
        let due = Fen::new(88_000);
        let confirmed = || order(Status::Confirmed, PayStatus::Unpaid);
        let mut twice = confirmed();
        assert_eq!(twice.begin_payment(USER, due, NOW), Begun::Now);
        assert_eq!(twice.begin_payment(USER, due, NOW), Begun::Already);
        assert_eq!(code(confirmed().begin_payment(UserId::new(6), due, NOW)), Some(ShopCode::OrderNotFound));
        assert_eq!(code(confirmed().begin_payment(USER, Fen::new(87_999), NOW)), Some(ShopCode::AmountMismatch));
        assert_eq!(code(confirmed().begin_payment(USER, due, LATER)), Some(ShopCode::OrderNotPayable));
        assert_eq!(
            code(order(Status::Cancelled, PayStatus::Unpaid).begin_payment(USER, due, NOW)),
            Some(ShopCode::OrderNotPayable)
        );
        assert_eq!(
            code(order(Status::Confirmed, PayStatus::Paid).begin_payment(USER, due, NOW)),
            Some(ShopCode::OrderIsPaid)
        );
    }

    #[test]
    fn one_payment_is_bound_and_every_other_goes_back() {
        let due = Fen::new(88_000);
        let mut order = order(Status::Confirmed, PayStatus::Paying);
        assert_eq!(order.mark_paid(PAY, Fen::new(1), NOW, LATER), Marked::Amount);
        assert_eq!(order.mark_paid(PAY, due, NOW, LATER), Marked::Bound);
        assert_eq!((order.owed, order.due), (Owed::CLOSE, Some(LATER)));
        assert_eq!(order.mark_paid(PAY, due, NOW, LATER), Marked::AlreadyBound);
        assert_eq!(order.mark_paid(PayId::new(10), due, NOW, LATER), Marked::PaidByOther);
    }

    #[test]
    fn a_payment_of_another_state_is_judged_by_the_state() {
        let due = Fen::new(88_000);
        for (status, judged) in [
            (Status::Unconfirmed, Marked::NotYet),
            (Status::Cancelled, Marked::Cancelled),
            (Status::Invalid, Marked::Cancelled),
            (Status::Refunded, Marked::Cancelled),
        ] {
            assert_eq!(order(status, PayStatus::Unpaid).mark_paid(PAY, due, NOW, LATER), judged);
        }
        let mut free = Order { amount_due: Fen::ZERO, ..order(Status::Confirmed, PayStatus::Paid) };
        assert_eq!(free.mark_paid(PAY, Fen::ZERO, NOW, LATER), Marked::PaidByOther);
    }

    #[test]
    fn a_slow_answer_takes_nothing_off_a_later_state() {
        let mut order = Order { owed: Owed::CLOSE, due: Some(LATER), ..order(Status::Confirmed, PayStatus::Unpaid) };
        order.cancel(Cause::User(String::new()), NOW, LATER);
        order.settle(Owed::CLOSE, Status::Confirmed);
        assert!(order.owed.contains(Owed::CLOSE));
        order.settle(Owed::STOCK | Owed::COUPON | Owed::BALANCE | Owed::CLOSE, Status::Cancelled);
        assert_eq!((order.owed, order.due), (Owed::NOTHING, None));
    }

    #[test]
    fn what_is_owed_is_a_set() {
        let both = Owed::STOCK | Owed::CLOSE;
        assert_eq!(both | Owed::CLOSE, both);
        assert_eq!(both.with_if(Owed::CLOSE, true), both);
        assert_eq!(Owed::of_bits(both.bits()), both);
        assert!(both.contains(Owed::STOCK) && !both.contains(Owed::STOCK | Owed::COUPON));
    }

    #[test]
    fn causes_are_stored_by_their_numbers() {
        assert_eq!(causes().map(|cause| cause.number()), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_payment_is_awaited_until_its_deadline_and_only_while_it_may_come() {
        let mut order = order(Status::Unconfirmed, PayStatus::Unpaid);
        assert_eq!(order.awaited_until(), None, "not confirmed");
        order.confirm(NOW, LATER);
        assert_eq!((order.awaited_until(), order.due), (Some(LATER), Some(LATER)));
        let mut paid = order.clone();
        paid.mark_paid(PAY, Fen::new(88_000), NOW, LATER);
        assert_eq!(paid.awaited_until(), None, "paid");
        order.begin_closing(LATER, LATER);
        assert_eq!(order.awaited_until(), None, "closing");
    }

    #[test]
    fn an_order_is_due_until_nothing_is_owed_and_nothing_is_awaited() {
        let due = |status, pay_status, owed, settled| {
            let mut order = Order { owed, due: Some(LATER), ..order(status, pay_status) };
            order.settle(settled, status);
            (order.owed, order.due)
        };
        let both = Owed::STOCK | Owed::COUPON;
        assert_eq!(due(Status::Cancelled, PayStatus::Unpaid, both, Owed::STOCK), (Owed::COUPON, Some(LATER)));
        assert_eq!(due(Status::Confirmed, PayStatus::Paid, Owed::CLOSE, Owed::CLOSE), (Owed::NOTHING, None));
        let (close, unpaid) = (Owed::CLOSE, PayStatus::Unpaid);
        assert_eq!(due(Status::Confirmed, unpaid, close, close), (Owed::NOTHING, Some(LATER)), "its deadline");
        assert_eq!(due(Status::Unconfirmed, unpaid, close, close), (Owed::NOTHING, Some(LATER)), "its saga");
    }
}
