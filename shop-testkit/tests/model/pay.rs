//! The pay service around the product's own rules of payments.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
    time::Duration,
};

use shop_common::{
    id::{OrderId, RefundId, UserId},
    time::Millis,
};
use shop_pay::{
    channel::{Notification, TradeStatus},
    payment::{
        NewPayment, Payments,
        owed::Owed,
        refund::{Cause, Started},
        settle::{Notice, Verdict},
    },
};

use crate::{
    order::{DUE, pay_id},
    wire::{Judged, PayNo},
};

const NOW: Millis = Millis::new(1);

/// Where a payment stands, as far as the model asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Money {
    /// It was made.
    Open,
    /// The money is here, and the order has not judged it yet.
    Arrived,
    /// It pays the order.
    Kept,
    /// It goes back.
    Refunded,
}

/// The rows of the pay service; all of them survive a crash.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pay {
    pub(crate) money: BTreeMap<PayNo, Money>,
    closed: bool,
    rows: Box<Payments>,
}

/// Equal by what the rows follow from: they are private, and count repeats.
impl PartialEq for Pay {
    fn eq(&self, other: &Self) -> bool {
        (&self.money, self.closed) == (&other.money, other.closed)
    }
}

impl Hash for Pay {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (&self.money, self.closed).hash(hasher);
    }
}

impl Pay {
    /// Payments that the order has to judge.
    pub(crate) fn to_judge(&self) -> BTreeSet<PayNo> {
        self.money.iter().filter(|(_, money)| **money == Money::Arrived).map(|(payment, _)| *payment).collect()
    }

    /// Makes a payment; whether the buyer may pay it.
    pub(crate) fn create(&mut self, payment: PayNo) -> bool {
        let new = NewPayment {
            pay_id: pay_id(payment),
            order_id: OrderId::new(1),
            user_id: UserId::new(1),
            channel: channel(payment),
            amount: DUE,
            pay_url: String::new(),
            ask_after: Duration::ZERO,
        };
        let made = self.rows.create(&new, NOW).is_ok();
        if made {
            self.money.entry(payment).or_insert(Money::Open);
        }
        made
    }

    /// Closes what is open and keeps new ones out.
    pub(crate) fn close(&mut self) {
        self.rows.close(OrderId::new(1), NOW);
        self.closed = true;
    }

    /// The channel says that the buyer has paid.
    pub(crate) fn settle(&mut self, payment: PayNo) {
        let said = Notification {
            notify_id: payment.to_string(),
            pay_id: pay_id(payment),
            channel_trade_no: String::new(),
            amount: DUE,
            status: TradeStatus::Success,
            paid: None,
        };
        let notice = Notice::new(&channel(payment), said, Vec::new(), String::new());
        if let Ok((Verdict::Applied, _)) = self.rows.settle(&notice, NOW) {
            self.money.insert(payment, Money::Arrived);
        }
    }

    /// The order has judged.
    pub(crate) fn judged(&mut self, payment: PayNo, judged: Judged) {
        if !self.to_judge().contains(&payment) {
            return;
        }
        let money = match judged {
            Judged::Bound => {
                self.rows.clear(pay_id(payment), Owed::ORDER);
                Money::Kept
            }
            Judged::NotBound => {
                let refund = RefundId::new(i64::from(payment) + 1);
                let started = self.rows.start_refund(refund, pay_id(payment), Cause::OrderCancelled, NOW);
                assert_eq!(started, Started::Done, "what is still owed can be started");
                Money::Refunded
            }
        };
        self.money.insert(payment, money);
    }
}

/// Each payment has its channel: one order may have an open payment at each.
fn channel(payment: PayNo) -> String {
    payment.to_string()
}
