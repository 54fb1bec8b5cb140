//! The rules of payments; no database, no clock, no async.
//!
//! Creating and closing stand here, what a notification does in [`settle`], how money goes back in [`refund`].

pub mod owed;
pub mod refund;
pub mod settle;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use shop_common::{
    code::ShopCode,
    error::ShopError,
    hold::Done,
    id::{OrderId, PayId, RefundId, UserId},
    money::Fen,
    time::Millis,
};

use self::{
    owed::Owed,
    refund::{Promise, Refund},
    settle::{Record, RecordKey},
};

/// How long the messages about a paid payment have before the sweeper asks by itself.
pub const FIRST_LOOK: Duration = Duration::from_secs(1);

/// Where a payment stands; the course's numbers are in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not paid and closed.
    Unpaid,
    /// Open: the buyer may pay.
    Paying,
    /// The money arrived; nothing takes that back.
    Paid,
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Which.
    pub pay_id: PayId,
    /// The order it pays.
    pub order_id: OrderId,
    /// The buyer.
    pub user_id: UserId,
    /// Through which channel.
    pub channel: String,
    /// How much.
    pub amount: Fen,
    /// Where it stands.
    pub status: Status,
    /// Where the buyer pays; empty until the channel has said it.
    pub pay_url: String,
    /// The channel's own number, once known.
    pub channel_trade_no: Option<String>,
    /// When it was created.
    pub created: Millis,
    /// When the money arrived.
    pub paid: Option<Millis>,
    /// When it was closed.
    pub closed: Option<Millis>,
    /// What has been promised back.
    pub refunded: Fen,
    /// What it still owes.
    pub owed: Owed,
    /// When the sweeper looks; none while nothing is owed.
    pub due: Option<Millis>,
    /// How often the sweeper had looked when it was loaded, since it last came to owe something.
    pub looks: i64,
}

impl Payment {
    /// Whether the buyer may still pay it.
    pub fn is_open(&self) -> bool {
        self.status == Status::Paying && self.closed.is_none()
    }

    /// What has not been promised back.
    pub(crate) fn rest(&self) -> Fen {
        self.amount.checked_sub(self.refunded).unwrap_or(Fen::ZERO)
    }

    /// Paid, and not all of it promised back: it pays its order.
    pub(crate) fn is_kept(&self) -> bool {
        self.status == Status::Paid && self.rest() > Fen::ZERO
    }
}

/// A payment to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPayment {
    /// Its number, unless the payment is there already.
    pub pay_id: PayId,
    /// The order it pays.
    pub order_id: OrderId,
    /// The buyer, as the order service confirmed.
    pub user_id: UserId,
    /// Through which channel.
    pub channel: String,
    /// How much, as the order service confirmed.
    pub amount: Fen,
    /// Where the buyer pays; empty where only the channel can say it.
    pub pay_url: String,
    /// How long nobody may say anything about it before its channel is asked (F54).
    pub ask_after: Duration,
}

/// Whether payments of an order may be made: where creating and closing meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GateState {
    Open,
    Closed,
}

/// `trade_pay_order` as loaded and as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) loaded: Option<GateState>,
    pub(crate) state: GateState,
}

/// The rows that a batch touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payments {
    pub(crate) gates: BTreeMap<OrderId, Gate>,
    pub(crate) rows: BTreeMap<PayId, Payment>,
    pub(crate) refunds: BTreeMap<RefundId, Refund>,
    pub(crate) records: BTreeMap<RecordKey, Record>,
    pub(crate) changed: Changed,
}

/// What this batch changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) created: Vec<PayId>,
    pub(crate) pay_urls: BTreeSet<PayId>,
    pub(crate) closed: Vec<PayId>,
    pub(crate) settled: Vec<PayId>,
    pub(crate) promised: BTreeMap<PayId, Promise>,
    pub(crate) refunds_started: Vec<RefundId>,
    pub(crate) refunds_retried: Vec<RefundId>,
    pub(crate) refunds_answered: Vec<RefundId>,
    pub(crate) cleared: BTreeMap<PayId, Owed>,
}

impl Payments {
    /// The one open payment of this order and channel, made now or before. Traps 38, 39, 46.
    ///
    /// # Errors
    /// `SHOP_ORDER_PAY_STATUS_IS_PAY` once paid, `SHOP_ORDER_NOT_PAYABLE` once closed, `SHOP_AMOUNT_MISMATCH` when the
    /// open payment is about another amount.
    pub fn create(&mut self, new: &NewPayment, now: Millis) -> Result<Payment, ShopError> {
        let of_order = || self.rows.values().filter(|payment| payment.order_id == new.order_id);
        if of_order().any(Payment::is_kept) {
            return Err(ShopError::at(ShopCode::OrderIsPaid, "order_id"));
        }
        let gate = self.gates.entry(new.order_id).or_insert(Gate { loaded: None, state: GateState::Open });
        if gate.state == GateState::Closed {
            return Err(ShopError::at(ShopCode::OrderNotPayable, "order_id"));
        }
        if let Some(open) = of_order().find(|payment| payment.is_open() && payment.channel == new.channel) {
            if open.amount != new.amount {
                return Err(ShopError::at(ShopCode::AmountMismatch, "amount_fen"));
            }
            return Ok(open.clone());
        }
        let payment = Payment::made(new, now);
        self.rows.insert(payment.pay_id, payment.clone());
        self.changed.created.push(payment.pay_id);
        Ok(payment)
    }

    /// Keeps where the buyer pays, the last word counting; none once the payment is closed or paid.
    pub fn keep_pay_url(&mut self, pay_id: PayId, pay_url: &str) -> Option<Payment> {
        let payment = self.rows.get_mut(&pay_id).filter(|payment| payment.is_open())?;
        if payment.pay_url != pay_url {
            pay_url.clone_into(&mut payment.pay_url);
            self.changed.pay_urls.insert(pay_id);
        }
        Some(payment.clone())
    }

    /// Closes every open payment of the order and keeps new ones out; what is paid stays paid.
    pub fn close(&mut self, order_id: OrderId, now: Millis) -> Done {
        let gate = self.gates.entry(order_id).or_insert(Gate { loaded: None, state: GateState::Open });
        if gate.state == GateState::Closed {
            return Done::Already;
        }
        gate.state = GateState::Closed;
        for payment in self.rows.values_mut().filter(|payment| payment.order_id == order_id && payment.is_open()) {
            payment.status = Status::Unpaid;
            payment.closed = Some(now);
            payment.owed = payment.owed.without(Owed::ASK);
            payment.owe(Owed::CLOSE, now);
            self.changed.closed.push(payment.pay_id);
        }
        Done::Done
    }

    /// Clears what has been answered; a bit that is gone already, or set since under another name, is left alone.
    pub fn clear(&mut self, pay_id: PayId, answered: Owed) {
        let Some(payment) = self.rows.get_mut(&pay_id) else { return };
        let gone = payment.owed.both(answered);
        if gone.is_nothing() {
            return;
        }
        payment.owed = payment.owed.without(gone);
        payment.due = payment.due.filter(|_| !payment.owed.is_nothing());
        let cleared = self.changed.cleared.entry(pay_id).or_default();
        *cleared = cleared.with(gone);
    }
}

impl Payment {
    /// Open at once: the channel is told right after the commit, and again with every repeat of the request.
    fn made(new: &NewPayment, now: Millis) -> Self {
        Self {
            pay_id: new.pay_id,
            order_id: new.order_id,
            user_id: new.user_id,
            channel: new.channel.clone(),
            amount: new.amount,
            status: Status::Paying,
            pay_url: new.pay_url.clone(),
            channel_trade_no: None,
            created: now,
            paid: None,
            closed: None,
            refunded: Fen::ZERO,
            owed: Owed::ASK,
            due: Some(now.after(new.ask_after)),
            looks: 0,
        }
    }

    fn owe(&mut self, owed: Owed, due: Millis) {
        self.owed = self.owed.with(owed);
        self.due = Some(due);
    }
}

#[cfg(test)]
mod tests;
