//! The provider's rules: one state per trade, refunds once by number and never above what was paid.

use std::collections::BTreeMap;

use shop_common::{
    id::{PayId, RefundId},
    money::Fen,
    time::Millis,
};

use crate::channel::{Paid, Return, Trade};

/// A refund's number was used for another payment or amount.
pub(super) const ANOTHER_REFUND: &str = "the refund is about something else";

/// Where a trade stands; the numbers are in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting,
    Success,
    Closed,
}

/// A trade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// As it was loaded; none for a new one.
    pub(super) loaded: Option<State>,
    pub(super) state: State,
    pub(super) amount: Fen,
    pub(super) trade_no: String,
    pub(super) paid: Option<Millis>,
    pub(super) refunded: Fen,
}

/// What the provider is asked to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Register(Trade),
    Pay(PayId),
    Close(Trade),
    Refund(Return),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Acted {
    Done,
    Paid(Paid),
    Closed,
    NotFound,
    Refused(&'static str),
}

/// The rows that a batch touches.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    pub(super) trades: BTreeMap<PayId, Entry>,
    pub(super) refunds: BTreeMap<RefundId, Return>,
    pub(super) new_refunds: Vec<Return>,
}

impl Act {
    pub(super) const fn pay_id(&self) -> PayId {
        match self {
            Self::Register(trade) | Self::Close(trade) => trade.pay_id,
            Self::Pay(pay_id) => *pay_id,
            Self::Refund(wanted) => wanted.pay_id,
        }
    }
}

impl Books {
    pub(super) fn act(&mut self, act: &Act, now: Millis) -> Acted {
        match act {
            Act::Register(trade) => self.register(*trade),
            Act::Pay(pay_id) => self.pay(*pay_id, now),
            Act::Close(trade) => self.close(*trade),
            Act::Refund(wanted) => self.refund(*wanted),
        }
    }

    fn register(&mut self, trade: Trade) -> Acted {
        match self.trades.get(&trade.pay_id) {
            Some(known) if known.amount != trade.amount => Acted::Refused("the trade is about another amount"),
            Some(_) => Acted::Done,
            None => {
                self.trades.insert(trade.pay_id, Entry::new(trade, State::Waiting));
                Acted::Done
            }
        }
    }

    fn pay(&mut self, pay_id: PayId, now: Millis) -> Acted {
        let Some(trade) = self.trades.get_mut(&pay_id) else { return Acted::NotFound };
        match trade.state {
            State::Closed => Acted::Closed,
            State::Success => trade.as_paid(),
            State::Waiting => {
                trade.state = State::Success;
                trade.paid = Some(now);
                trade.as_paid()
            }
        }
    }

    /// A trade never registered is closed all the same: it cannot be registered, and paid, later.
    fn close(&mut self, trade: Trade) -> Acted {
        let known = self.trades.entry(trade.pay_id).or_insert_with(|| Entry::new(trade, State::Closed));
        if known.state == State::Success {
            return known.as_paid();
        }
        known.state = State::Closed;
        Acted::Closed
    }

    fn refund(&mut self, wanted: Return) -> Acted {
        if let Some(known) = self.refunds.get(&wanted.refund_id) {
            return if *known == wanted { Acted::Done } else { Acted::Refused(ANOTHER_REFUND) };
        }
        let Some(trade) = self.trades.get_mut(&wanted.pay_id).filter(|trade| trade.state == State::Success) else {
            return Acted::Refused("the trade was not paid");
        };
        let Some(total) = trade.refunded.checked_add(wanted.amount).filter(|total| *total <= trade.amount) else {
            return Acted::Refused("more than was paid");
        };
        trade.refunded = total;
        self.refunds.insert(wanted.refund_id, wanted);
        self.new_refunds.push(wanted);
        Acted::Done
    }
}

/// The provider's own number of a trade.
pub(super) fn trade_no(pay_id: PayId) -> String {
    format!("SB{pay_id}")
}

impl Entry {
    fn new(trade: Trade, state: State) -> Self {
        let trade_no = trade_no(trade.pay_id);
        Self { loaded: None, state, amount: trade.amount, trade_no, paid: None, refunded: Fen::ZERO }
    }

    pub(super) fn as_paid(&self) -> Acted {
        match self.paid {
            Some(at) => Acted::Paid(Paid { channel_trade_no: self.trade_no.clone(), amount: self.amount, at }),
            None => Acted::NotFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRADE: Trade = Trade { pay_id: PayId::new(1), amount: Fen::new(88_000) };
    const NOW: Millis = Millis::new(5);

    fn refund(id: i64, fen: i64) -> Act {
        Act::Refund(Return { refund_id: RefundId::new(id), pay_id: TRADE.pay_id, amount: Fen::new(fen) })
    }

    fn paid_books() -> Books {
        let mut books = Books::default();
        assert_eq!(books.act(&Act::Register(TRADE), NOW), Acted::Done);
        assert!(matches!(books.act(&Act::Pay(TRADE.pay_id), NOW), Acted::Paid(_)));
        books
    }

    #[test]
    fn a_refund_is_paid_once_by_its_number() {
        let mut books = paid_books();
        for _ in 0..3 {
            assert_eq!(books.act(&refund(7, 88_000), NOW), Acted::Done);
        }
        assert_eq!((books.new_refunds.len(), books.trades[&TRADE.pay_id].refunded), (1, TRADE.amount));
        assert!(matches!(books.act(&refund(7, 87_999), NOW), Acted::Refused(_)));
    }

    #[test]
    fn no_more_goes_back_than_was_paid() {
        let mut books = paid_books();
        assert_eq!(books.act(&refund(7, 88_000), NOW), Acted::Done);
        assert_eq!(books.act(&refund(8, 1), NOW), Acted::Refused("more than was paid"));
        let mut unpaid = Books::default();
        unpaid.act(&Act::Register(TRADE), NOW);
        assert_eq!(unpaid.act(&refund(7, 1), NOW), Acted::Refused("the trade was not paid"));
    }

    #[test]
    fn what_is_closed_cannot_be_paid_and_what_is_paid_cannot_be_closed() {
        let mut books = Books::default();
        assert_eq!(books.act(&Act::Close(TRADE), NOW), Acted::Closed);
        assert_eq!(books.act(&Act::Register(TRADE), NOW), Acted::Done);
        assert_eq!(books.act(&Act::Pay(TRADE.pay_id), NOW), Acted::Closed, "the late registration does not reopen it");
        assert!(matches!(paid_books().act(&Act::Close(TRADE), NOW), Acted::Paid(_)));
    }

    #[test]
    fn a_second_payment_of_one_trade_is_the_first() {
        let mut books = paid_books();
        let Acted::Paid(paid) = books.act(&Act::Pay(TRADE.pay_id), Millis::new(9)) else { panic!() };
        assert_eq!(paid.at, NOW);
        assert_eq!(books.act(&Act::Pay(PayId::new(2)), NOW), Acted::NotFound);
        let other = Trade { amount: Fen::new(1), ..TRADE };
        assert!(matches!(books.act(&Act::Register(other), NOW), Acted::Refused(_)));
    }
}
