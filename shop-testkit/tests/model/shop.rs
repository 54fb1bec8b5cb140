//! The nodes on a network, and what must be true of them.

use shop_order::order::{Order, Status};
use stateright::{
    Model, Property,
    actor::{ActorModel, ActorModelAction, ActorModelState, Id, LossyNetwork, Network},
};

use crate::{
    keeper::Keeper,
    nodes::{Known, Node, Role, Sweep},
    order::{Row, bit, pay_id},
    pay::{Money, Pay},
    wire::{KEEPERS, KeeperNo, Msg, ORDER, OrderNo, PayNo, Shape},
};

pub(crate) const CONSERVED: &str = "an order has one unit or none, and nothing is made or lost";
pub(crate) const HOLDS: &str = "a confirmed order has what it took";
pub(crate) const GIVEN_BACK: &str = "a cancelled order that owes nothing has nothing, for ever";
pub(crate) const REFUNDED: &str = "money of a cancelled order goes back";
pub(crate) const ONE_PAYMENT: &str = "money is kept by the order that is bound to it, and by no other";
pub(crate) const AT_REST: &str = "where nothing can happen any more every order is confirmed or whole again";

/// All nodes at one moment.
pub(crate) type At = ActorModelState<Node>;
type Action = ActorModelAction<Msg, Sweep, ()>;

/// A model: nodes and network, less what makes states different that are not.
pub(crate) struct Shop {
    nodes: ActorModel<Node, Shape>,
    properties: Vec<Property<Self>>,
    crashes: bool,
}

impl Shop {
    /// Every message may arrive at any time, any number of times, or never; the order service may die at any step.
    pub(crate) fn new(shape: Shape) -> Self {
        let node = |role| Node { role, shape };
        let nodes = ActorModel::new(shape, ())
            .actors([node(Role::Client), node(Role::Order)])
            .actors(shape.keepers().map(|keeper| node(Role::Keeper(keeper))))
            .actors((shape.payments > 0).then(|| node(Role::Pay)))
            .init_network(Network::new_unordered_duplicating([]))
            .max_crashes(1);
        let properties = vec![
            Property::always(CONSERVED, conserved),
            Property::always(HOLDS, confirmed_orders_hold),
            Property::always(GIVEN_BACK, cancelled_orders_have_nothing),
            Property::always(REFUNDED, never_paid_and_cancelled),
            Property::always(ONE_PAYMENT, one_payment_is_kept),
        ];
        Self { nodes, properties, crashes: true }
    }

    /// Messages are lost for good, so that an end may never be reached; nobody dies, for that would be no end.
    pub(crate) fn lossy(mut self) -> Self {
        self.nodes = self.nodes.lossy_network(LossyNetwork::Yes);
        self.crashes = false;
        self.properties.push(Property::always(AT_REST, comes_to_rest));
        self
    }

    /// This can be reached.
    pub(crate) fn sometimes(mut self, name: &'static str, condition: fn(&Self, &At) -> bool) -> Self {
        self.properties.push(Property::sometimes(name, condition));
        self
    }

    pub(crate) fn keepers<'a>(&self, at: &'a At) -> impl Iterator<Item = (KeeperNo, &'a Keeper)> {
        self.nodes.cfg.keepers().filter_map(|number| match &*at.actor_states[KEEPERS + usize::from(number)] {
            Known::Keeper(keeper) => Some((number, keeper)),
            _ => None,
        })
    }

    pub(crate) fn money(&self, at: &At) -> Vec<(PayNo, Money)> {
        match at.actor_states.get(self.nodes.cfg.pay()).map(|known| &**known) {
            Some(Known::Pay(Pay { money, .. })) => money.iter().map(|(payment, money)| (*payment, *money)).collect(),
            _ => Vec::new(),
        }
    }
}

/// The orders there are.
pub(crate) fn orders(at: &At) -> impl Iterator<Item = (OrderNo, &Order)> {
    let rows = match &*at.actor_states[ORDER] {
        Known::Order(orders) => Some(&orders.rows),
        _ => None,
    };
    rows.into_iter().flatten().map(|(number, Row(order))| (*number, order))
}

impl Model for Shop {
    type State = At;
    type Action = Action;

    fn init_states(&self) -> Vec<At> {
        self.nodes.init_states()
    }

    fn actions(&self, at: &At, actions: &mut Vec<Action>) {
        self.nodes.actions(at, actions);
        // All that a client, a keeper or pay knows is in rows or on the network: to die is to be late.
        actions.retain(|action| match action {
            Action::Crash(node) => self.crashes && *node == Id::from(ORDER),
            _ => true,
        });
    }

    fn next_state(&self, at: &At, action: Action) -> Option<At> {
        let mut next = self.nodes.next_state(at, action)?;
        // Which message was the last one makes no difference; a step that changes nothing is none.
        if let Network::UnorderedDuplicating(_, last) = &mut next.network {
            *last = None;
        }
        (next != *at).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.properties.clone()
    }
}

fn conserved(shop: &Shop, at: &At) -> bool {
    shop.keepers(at).all(|(number, keeper)| {
        let units = i8::try_from(shop.nodes.cfg.units[usize::from(number)]).expect("few units");
        let taken: i8 = keeper.net.values().sum();
        keeper.net.values().all(|net| (0..=1).contains(net)) && keeper.left >= 0 && keeper.left + taken == units
    })
}

fn confirmed_orders_hold(shop: &Shop, at: &At) -> bool {
    let mut confirmed = orders(at).filter(|(_, order)| order.status == Status::Confirmed);
    confirmed.all(|(number, _)| shop.keepers(at).all(|(_, keeper)| keeper.has(number) == 1))
}

fn cancelled_orders_have_nothing(shop: &Shop, at: &At) -> bool {
    let mut cancelled = orders(at).filter(|(_, order)| order.status == Status::Cancelled);
    cancelled.all(|(number, order)| {
        shop.keepers(at).all(|(keeper, has)| order.owed.contains(bit(keeper)) || has.has(number) == 0)
    })
}

fn never_paid_and_cancelled(shop: &Shop, at: &At) -> bool {
    let is_kept = shop.money(at).iter().any(|(_, money)| *money == Money::Kept);
    !is_kept || orders(at).all(|(number, order)| number != 0 || order.status != Status::Cancelled)
}

fn one_payment_is_kept(shop: &Shop, at: &At) -> bool {
    let bound = orders(at).find(|(number, _)| *number == 0).and_then(|(_, order)| order.pay_id);
    shop.money(at).iter().all(|(payment, money)| match money {
        Money::Open | Money::Arrived => true,
        Money::Kept => bound == Some(pay_id(*payment)),
        Money::Refunded => bound != Some(pay_id(*payment)),
    })
}

/// Whether an order that was cancelled is given back to the last unit.
pub(crate) fn is_whole_again(shop: &Shop, at: &At, number: OrderNo, order: &Order) -> bool {
    let is_over = order.status == Status::Cancelled && order.due.is_none();
    is_over && shop.keepers(at).all(|(_, keeper)| keeper.has(number) == 0)
}

fn comes_to_rest(shop: &Shop, at: &At) -> bool {
    let rests = |(number, order): (OrderNo, &Order)| {
        let is_confirmed = order.status == Status::Confirmed && order.due.is_none();
        is_confirmed || is_whole_again(shop, at, number, order)
    };
    orders(at).all(rests) || !shop.next_states(at).is_empty()
}
