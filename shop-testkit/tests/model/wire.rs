//! What is said between the nodes, and what a model is made of.

use shop_order::order::Status;

/// An order, by its number in the model.
pub(crate) type OrderNo = u8;

/// A keeper of what orders take: 0 the stock, 1 the coupon, 2 the balance.
pub(crate) type KeeperNo = u8;

/// A payment, by its number in the model; payment n pays order 0.
pub(crate) type PayNo = u8;

/// The state an answer was asked in; what a slow answer says about another state counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum AskedIn {
    Confirmed,
    Cancelled,
}

impl AskedIn {
    pub(crate) fn of(status: Status) -> Option<Self> {
        match status {
            Status::Confirmed => Some(Self::Confirmed),
            Status::Cancelled => Some(Self::Cancelled),
            _ => None,
        }
    }

    pub(crate) fn status(self) -> Status {
        match self {
            Self::Confirmed => Status::Confirmed,
            Self::Cancelled => Status::Cancelled,
        }
    }
}

/// What a keeper says to a do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Did {
    Done,
    Refused,
    TooLate,
}

/// How the order judges a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Judged {
    Bound,
    NotBound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Msg {
    /// The client places an order.
    Confirm(OrderNo),
    /// The client cancels it.
    Cancel(OrderNo),
    /// A step of the saga, and its answer.
    Do(OrderNo),
    Did(KeeperNo, OrderNo, Did),
    /// `order_cancel` on the broadcast topic; who hears it asks the order what is true.
    Broadcast(OrderNo),
    Ask(OrderNo),
    /// Give back, whether the sweeper says so or the order that was asked.
    Undo(OrderNo, AskedIn),
    Undid(KeeperNo, OrderNo, AskedIn),
    /// Close the payments of an order.
    Close(OrderNo, AskedIn),
    Closed(OrderNo, AskedIn),
    /// The client wants a payment; the order has the last word before it is made.
    Create(PayNo),
    Begin(PayNo),
    Begun(PayNo),
    /// The buyer may pay, and the channel says that he has.
    Open(PayNo),
    Notify(PayNo),
    /// The order is asked to judge money that arrived.
    Mark(PayNo),
    Marked(PayNo, Judged),
}

/// The protocol as it is, and as it must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// As it is.
    Right,
    /// A keeper does and undoes whatever it is told, as often as it is told.
    NoBarrier,
    /// An undo that comes first leaves nothing behind.
    NoTombstone,
    /// An undo frees the unit whoever holds it: an `UPDATE` without `order_id =`.
    WhateverIsHeld,
    /// Nobody asks for what is still owed.
    BroadcastOnly,
}

/// How large a model is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) variant: Variant,
    /// Orders; each takes one unit of every keeper.
    pub(crate) orders: OrderNo,
    /// Units at each keeper.
    pub(crate) units: &'static [u8],
    /// Whether clients cancel.
    pub(crate) cancels: bool,
    /// Payments of order 0.
    pub(crate) payments: PayNo,
}

/// The client.
pub(crate) const CLIENT: usize = 0;
/// The order service.
pub(crate) const ORDER: usize = 1;
/// The first keeper; the pay service comes after the last.
pub(crate) const KEEPERS: usize = 2;

impl Shape {
    pub(crate) fn keepers(&self) -> impl Iterator<Item = KeeperNo> {
        0..u8::try_from(self.units.len()).expect("three at most")
    }

    pub(crate) fn pay(&self) -> usize {
        KEEPERS + self.units.len()
    }
}
