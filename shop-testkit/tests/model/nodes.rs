//! The nodes as actors: what each hears, and to whom it speaks.

use std::{borrow::Cow, collections::BTreeMap};

use stateright::actor::{Actor, Id, Out, model_timeout};

use crate::{
    keeper::Keeper,
    order::{Orders, Row, To},
    pay::Pay,
    wire::{CLIENT, KEEPERS, KeeperNo, Msg, ORDER, OrderNo, Shape},
};

/// Who a node is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Client,
    Order,
    Keeper(KeeperNo),
    Pay,
}

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) role: Role,
    pub(crate) shape: Shape,
}

/// What a node knows.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) enum Known {
    Client,
    Order(Orders),
    Keeper(Keeper),
    Pay(Pay),
}

/// What survives a crash: rows.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(crate) enum Stored {
    Order(BTreeMap<OrderNo, Row>),
    Keeper(Keeper),
    Pay(Pay),
}

/// The sweeper looks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Sweep;

impl Known {
    fn rows(&self) -> Option<Stored> {
        match self {
            Self::Client => None,
            Self::Order(orders) => Some(Stored::Order(orders.rows.clone())),
            Self::Keeper(keeper) => Some(Stored::Keeper(keeper.clone())),
            Self::Pay(pay) => Some(Stored::Pay(pay.clone())),
        }
    }

    fn is_due(&self, shape: &Shape) -> bool {
        match self {
            Self::Client | Self::Keeper(_) => false,
            Self::Order(orders) => orders.is_due(shape),
            Self::Pay(pay) => !pay.to_judge().is_empty(),
        }
    }
}

impl Node {
    fn address(&self, to: To) -> Id {
        match to {
            To::Keeper(keeper) => Id::from(KEEPERS + usize::from(keeper)),
            To::Pay => Id::from(self.shape.pay()),
        }
    }

    /// What becomes of a node that hears this, and what it says.
    fn hear(&self, known: &Known, src: Id, message: Msg) -> (Known, Vec<(Id, Msg)>) {
        let (client, order) = (Id::from(CLIENT), Id::from(ORDER));
        let mut known = known.clone();
        let said = match (&mut known, self.role, message) {
            (Known::Client, _, Msg::Open(payment)) => vec![(src, Msg::Notify(payment))],
            (Known::Order(orders), _, message) => {
                let from = if usize::from(src) == self.shape.pay() {
                    To::Pay
                } else {
                    To::Keeper(u8::try_from(usize::from(src).saturating_sub(KEEPERS)).expect("few nodes"))
                };
                let said = orders.hear(&self.shape, message, from);
                said.into_iter().map(|(to, message)| (self.address(to), message)).collect()
            }
            (_, Role::Keeper(_) | Role::Pay, Msg::Broadcast(number)) => vec![(order, Msg::Ask(number))],
            (Known::Keeper(keeper), Role::Keeper(this), Msg::Do(number)) => {
                let did = keeper.take(self.shape.variant, number);
                vec![(order, Msg::Did(this, number, did))]
            }
            (Known::Keeper(keeper), Role::Keeper(this), Msg::Undo(number, asked_in)) => {
                keeper.give_back(self.shape.variant, number);
                vec![(order, Msg::Undid(this, number, asked_in))]
            }
            (Known::Pay(_), _, Msg::Create(payment)) => vec![(order, Msg::Begin(payment))],
            (Known::Pay(pay), _, Msg::Begun(payment)) => {
                let is_made = pay.create(payment);
                is_made.then_some((client, Msg::Open(payment))).into_iter().collect()
            }
            (Known::Pay(pay), _, Msg::Close(number, asked_in)) => {
                pay.close();
                vec![(order, Msg::Closed(number, asked_in))]
            }
            (Known::Pay(pay), _, Msg::Notify(payment)) => {
                pay.settle(payment);
                Vec::new()
            }
            (Known::Pay(pay), _, Msg::Marked(payment, judged)) => {
                pay.judged(payment, judged);
                Vec::new()
            }
            _ => Vec::new(),
        };
        (known, said)
    }

    /// What was written is stored before anything is said.
    fn commit(&self, was: &mut Cow<'_, Known>, known: Known, said: Vec<(Id, Msg)>, o: &mut Out<Self>) {
        if **was != known {
            if let Some(rows) = known.rows().filter(|rows| was.rows().as_ref() != Some(rows)) {
                o.save(rows);
            }
            if known.is_due(&self.shape) {
                o.set_timer(Sweep, model_timeout());
            } else if was.is_due(&self.shape) {
                o.cancel_timer(Sweep);
            }
            *was.to_mut() = known;
        }
        for (to, message) in said {
            o.send(to, message);
        }
    }
}

impl Actor for Node {
    type Msg = Msg;
    type State = Known;
    type Timer = Sweep;
    type Storage = Stored;
    type Random = ();

    fn on_start(&self, _: Id, stored: &Option<Stored>, o: &mut Out<Self>) -> Known {
        let known = match (self.role, stored.clone()) {
            (Role::Client, _) => {
                self.ask_for_everything(o);
                Known::Client
            }
            (_, Some(Stored::Order(rows))) => Known::Order(Orders::of(rows)),
            (_, Some(Stored::Keeper(keeper))) => Known::Keeper(keeper),
            (_, Some(Stored::Pay(pay))) => Known::Pay(pay),
            (Role::Order, None) => Known::Order(Orders::default()),
            (Role::Keeper(keeper), None) => Known::Keeper(Keeper::of(self.shape.units[usize::from(keeper)])),
            (Role::Pay, None) => Known::Pay(Pay::default()),
        };
        if known.is_due(&self.shape) {
            o.set_timer(Sweep, model_timeout());
        }
        known
    }

    fn on_msg(&self, _: Id, state: &mut Cow<'_, Known>, src: Id, message: Msg, o: &mut Out<Self>) {
        let (known, said) = self.hear(state, src, message);
        self.commit(state, known, said, o);
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<'_, Known>, _: &Sweep, o: &mut Out<Self>) {
        let mut known = (**state).clone();
        let said = match &mut known {
            Known::Order(orders) => {
                let said = orders.sweep(&self.shape);
                said.into_iter().map(|(to, message)| (self.address(to), message)).collect()
            }
            Known::Pay(pay) => pay.to_judge().into_iter().map(|pay| (Id::from(ORDER), Msg::Mark(pay))).collect(),
            _ => Vec::new(),
        };
        let is_due = known.is_due(&self.shape);
        self.commit(state, known, said, o);
        if is_due {
            o.set_timer(Sweep, model_timeout());
        }
    }
}

impl Node {
    /// The client asks for all it will ever ask for; the network decides when each arrives.
    fn ask_for_everything(&self, o: &mut Out<Self>) {
        for order in 0..self.shape.orders {
            o.send(Id::from(ORDER), Msg::Confirm(order));
            if self.shape.cancels {
                o.send(Id::from(ORDER), Msg::Cancel(order));
            }
        }
        for payment in 0..self.shape.payments {
            o.send(Id::from(self.shape.pay()), Msg::Create(payment));
        }
    }
}
