//! The order service: saga, cancel and sweeper around the product's own status machine.

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    mem::discriminant,
};

use shop_common::{
    code::ShopCode,
    id::{PayId, UserId},
    money::Fen,
    time::Millis,
};
use shop_order::order::{Begun, Cancelled, Cause, Confirmed, Marked, Order, Owed, PayStatus, Status};

use crate::wire::{AskedIn, Did, Judged, KeeperNo, Msg, OrderNo, PayNo, Shape, Variant};

const NOW: Millis = Millis::new(1);
const LATER: Millis = Millis::new(2);
const BUYER: UserId = UserId::new(1);
/// What is due, of every order and of every payment.
pub(crate) const DUE: Fen = Fen::new(100);

/// A row of `trade_order`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row(pub(crate) Order);

impl Hash for Row {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        // Named one by one: a field that is added has to be thought of here. Those left out never change, or change with
        // the status alone.
        let Order { user_id: _, amount_due: _, balance_used: _, has_coupon: _, .. } = &self.0;
        let Order { status, pay_status, pay_id, cause, owed, due, .. } = &self.0;
        (discriminant(status), discriminant(pay_status), pay_id).hash(hasher);
        (cause.as_ref().map(discriminant), owed.bits(), due.is_some()).hash(hasher);
    }
}

/// What the service knows: the rows survive a crash, the sagas under way do not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Orders {
    pub(crate) rows: BTreeMap<OrderNo, Row>,
    sagas: BTreeMap<OrderNo, BTreeMap<KeeperNo, Did>>,
}

/// Whom an order tells what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Keeper(KeeperNo),
    Pay,
}

/// What the service says after a step.
pub(crate) type Said = Vec<(To, Msg)>;

/// What a keeper's debt is called in `trade_order.owed`.
pub(crate) fn bit(keeper: KeeperNo) -> Owed {
    [Owed::STOCK, Owed::COUPON, Owed::BALANCE].get(usize::from(keeper)).copied().expect("three keepers at most")
}

pub(crate) fn pay_id(payment: PayNo) -> PayId {
    PayId::new(i64::from(payment) + 1)
}

impl Orders {
    /// The service after a start: the rows, no saga.
    pub(crate) fn of(rows: BTreeMap<OrderNo, Row>) -> Self {
        Self { rows, sagas: BTreeMap::new() }
    }

    /// Whether the sweeper has anything to look for.
    pub(crate) fn is_due(&self, shape: &Shape) -> bool {
        let is_due = |Row(order): &Row| order.due.is_some() && sweeps(shape, order);
        self.rows.values().any(is_due)
    }

    pub(crate) fn hear(&mut self, shape: &Shape, message: Msg, from: To) -> Said {
        match message {
            Msg::Confirm(order) if !self.rows.contains_key(&order) => self.place(shape, order),
            Msg::Did(keeper, order, did) => self.step(shape, order, keeper, did),
            // The refund of a paid order is not in this model: its buyer keeps it.
            Msg::Cancel(order) if self.is_paid(order) => Said::new(),
            Msg::Cancel(order) => self.cancel(shape, order, Cause::User(String::new())),
            Msg::Ask(order) => self.state_of(order, from),
            Msg::Undid(keeper, order, asked_in) => self.settle(order, bit(keeper), asked_in),
            Msg::Closed(order, asked_in) => self.settle(order, Owed::CLOSE, asked_in),
            Msg::Begin(payment) => self.begin(payment),
            Msg::Mark(payment) => self.mark(payment),
            _ => Said::new(),
        }
    }

    /// The row first: from then on the sweeper finds it. Then everybody is asked at once.
    fn place(&mut self, shape: &Shape, order: OrderNo) -> Said {
        let row = Order {
            user_id: BUYER,
            amount_due: DUE,
            balance_used: if shape.units.len() > 2 { DUE } else { Fen::ZERO },
            has_coupon: shape.units.len() > 1,
            status: Status::Unconfirmed,
            pay_status: PayStatus::Unpaid,
            pay_id: None,
            pay_deadline: None,
            confirmed: None,
            paid: None,
            cancelled: None,
            cause: None,
            owed: Owed::NOTHING,
            closing: None,
            due: Some(NOW),
        };
        self.rows.insert(order, Row(row));
        self.sagas.insert(order, BTreeMap::new());
        shape.keepers().map(|keeper| (To::Keeper(keeper), Msg::Do(order))).collect()
    }

    /// All have answered: confirm, or give everything back.
    fn step(&mut self, shape: &Shape, order: OrderNo, keeper: KeeperNo, did: Did) -> Said {
        let Some(answers) = self.sagas.get_mut(&order) else { return Said::new() };
        answers.insert(keeper, did);
        if answers.len() < shape.units.len() {
            return Said::new();
        }
        let (refused, all_done) = {
            let mut answers = answers.values();
            (answers.clone().any(|did| *did == Did::Refused), answers.all(|did| *did == Did::Done))
        };
        self.sagas.remove(&order);
        if all_done {
            let row = self.row(order);
            if row.confirm(NOW, LATER) == Confirmed::Now {
                // The pay deadline lies ahead for ever: the time-out is not in this model.
                row.due = None;
            }
            return Said::new();
        }
        let cause = if refused { Cause::Refused(ShopCode::GoodsNotEnough.into()) } else { Cause::Recovery };
        self.cancel(shape, order, cause)
    }

    fn is_paid(&self, order: OrderNo) -> bool {
        self.rows.get(&order).is_some_and(|Row(row)| row.pay_status == PayStatus::Paid)
    }

    /// The one way an order ends early; it is broadcast once.
    fn cancel(&mut self, shape: &Shape, order: OrderNo, cause: Cause) -> Said {
        let Some(Row(row)) = self.rows.get_mut(&order) else { return Said::new() };
        if row.cancel(cause, NOW, NOW) != Cancelled::Now {
            return Said::new();
        }
        let keepers = shape.keepers().map(To::Keeper);
        let everybody = keepers.chain((shape.payments > 0).then_some(To::Pay));
        everybody.map(|to| (to, Msg::Broadcast(order))).collect()
    }

    /// What a receiver of the broadcast is told; nothing unless the order is cancelled.
    fn state_of(&self, order: OrderNo, asks: To) -> Said {
        match self.rows.get(&order) {
            Some(Row(row)) if row.status == Status::Cancelled => vec![(asks, undo(order, asks, AskedIn::Cancelled))],
            _ => Said::new(),
        }
    }

    fn settle(&mut self, order: OrderNo, bit: Owed, asked_in: AskedIn) -> Said {
        if let Some(Row(row)) = self.rows.get_mut(&order) {
            row.settle(bit, asked_in.status());
        }
        Said::new()
    }

    fn begin(&mut self, payment: PayNo) -> Said {
        let Some(Row(row)) = self.rows.get_mut(&0) else { return Said::new() };
        match row.begin_payment(BUYER, DUE, NOW) {
            Begun::Now | Begun::Already => vec![(To::Pay, Msg::Begun(payment))],
            Begun::Refused(_) => Said::new(),
        }
    }

    fn mark(&mut self, payment: PayNo) -> Said {
        let Some(Row(row)) = self.rows.get_mut(&0) else { return Said::new() };
        let judged = match row.mark_paid(pay_id(payment), DUE, NOW, NOW) {
            Marked::Bound | Marked::AlreadyBound => Judged::Bound,
            Marked::Cancelled | Marked::PaidByOther | Marked::Amount => Judged::NotBound,
            Marked::NotYet | Marked::NotFound => return Said::new(),
        };
        vec![(To::Pay, Msg::Marked(payment, judged))]
    }

    /// What is due: a saga that was not finished in time is cancelled, what is owed is asked for.
    pub(crate) fn sweep(&mut self, shape: &Shape) -> Said {
        let due: Vec<OrderNo> =
            self.rows.iter().filter(|(_, Row(row))| row.due.is_some() && sweeps(shape, row)).map(|(n, _)| *n).collect();
        let mut said = Said::new();
        for order in due {
            let row = self.row(order);
            match AskedIn::of(row.status) {
                None => said.extend(self.cancel(shape, order, Cause::Recovery)),
                Some(asked_in) => {
                    let owed = row.owed;
                    let keepers = shape.keepers().filter(|keeper| owed.contains(bit(*keeper))).map(To::Keeper);
                    let pay = owed.contains(Owed::CLOSE).then_some(To::Pay);
                    said.extend(keepers.chain(pay).map(|to| (to, undo(order, to, asked_in))));
                }
            }
        }
        said
    }

    fn row(&mut self, order: OrderNo) -> &mut Order {
        &mut self.rows.get_mut(&order).expect("a saga has its row").0
    }
}

fn undo(order: OrderNo, to: To, asked_in: AskedIn) -> Msg {
    match to {
        To::Keeper(_) => Msg::Undo(order, asked_in),
        To::Pay => Msg::Close(order, asked_in),
    }
}

/// Without its sweeper the service still ends sagas that died.
fn sweeps(shape: &Shape, row: &Order) -> bool {
    shape.variant != Variant::BroadcastOnly || row.status == Status::Unconfirmed
}
