//! The rules of stock; no database, no clock, no async.

use std::collections::BTreeMap;

use shop_common::{
    code::ShopCode,
    error::ShopError,
    hold::{Before, Done, Finished, Holds, Undone},
    id::{GoodsId, OrderId},
    time::Millis,
};

/// Most units of one line.
pub const QUANTITY_MAX: i32 = 9999;

/// One line of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which goods.
    pub goods_id: GoodsId,
    /// How many.
    pub quantity: i32,
}

/// What a movement of stock was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogType {
    /// Taken by an order.
    Taken,
    /// Given back by it.
    GivenBack,
}

/// A movement of stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The order that caused it.
    pub order_id: OrderId,
    /// Of which goods.
    pub goods_id: GoodsId,
    /// What it was.
    pub log_type: LogType,
    /// Signed: negative when taken.
    pub delta: i64,
}

/// Units of one of the goods, as loaded and as they are now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shelf {
    pub(crate) loaded: i64,
    pub(crate) on_hand: i64,
}

/// The rows of the orders and goods that a batch touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stock {
    pub(crate) holds: Holds,
    pub(crate) shelves: BTreeMap<GoodsId, Shelf>,
    /// What each order took, from the ledger.
    pub(crate) taken: BTreeMap<OrderId, Vec<(GoodsId, i64)>>,
    /// What this batch adds to the ledger.
    pub(crate) movements: Vec<Movement>,
}

impl Stock {
    /// Takes every line of the order, or none. Course, text 003 §8.2, traps 2, 3, 12, 16.
    /// The hold may stand `until` then; past that the order is asked for.
    pub fn reserve(&mut self, order_id: OrderId, lines: &[Line], until: Millis) -> Done {
        match self.holds.before(order_id.get()) {
            Before::TooLate => return Done::Cancelled,
            Before::Held => return Done::Already,
            Before::Free => {}
        }
        for (position, line) in lines.iter().enumerate() {
            let is_repeated = lines.iter().take(position).any(|earlier| earlier.goods_id == line.goods_id);
            if let Err(refusal) = self.check(line, is_repeated) {
                return Done::Refused(at_line(refusal, position));
            }
        }
        self.holds.hold_until(order_id.get(), until);
        for line in lines {
            self.shift(order_id, line.goods_id, LogType::Taken, -i64::from(line.quantity));
            self.taken.entry(order_id).or_default().push((line.goods_id, i64::from(line.quantity)));
        }
        Done::Done
    }

    /// Gives back what our ledger says was taken; leaves a tombstone where nothing was. Traps 20, 24, 25, 33.
    pub fn release(&mut self, order_id: OrderId) -> Undone {
        let undone = self.holds.undo(order_id.get());
        if undone == Undone::Undone {
            for (goods_id, quantity) in self.taken.remove(&order_id).unwrap_or_default() {
                self.shift(order_id, goods_id, LogType::GivenBack, quantity);
            }
        }
        undone
    }

    /// Makes what the order took its own for good. Course, text 001.
    pub fn keep(&mut self, order_id: OrderId) -> Finished {
        self.holds.finish(order_id.get())
    }

    fn check(&self, line: &Line, is_repeated: bool) -> Result<(), ShopError> {
        if is_repeated {
            return Err(ShopError::invalid("goods_id", "each goods_id once"));
        }
        if !(1..=QUANTITY_MAX).contains(&line.quantity) {
            return Err(ShopError::invalid("quantity", "a quantity is between 1 and 9999"));
        }
        let shelf = self.shelves.get(&line.goods_id).ok_or(ShopCode::GoodsNotFound)?;
        if shelf.on_hand < i64::from(line.quantity) {
            return Err(ShopCode::GoodsNotEnough.into());
        }
        Ok(())
    }

    fn shift(&mut self, order_id: OrderId, goods_id: GoodsId, log_type: LogType, delta: i64) {
        if let Some(shelf) = self.shelves.get_mut(&goods_id) {
            shelf.on_hand = shelf.on_hand.saturating_add(delta);
        }
        self.movements.push(Movement { order_id, goods_id, log_type, delta });
    }
}

fn at_line(refusal: ShopError, position: usize) -> ShopError {
    let field = match refusal.code {
        ShopCode::GoodsNotFound => format!("items[{position}].goods_id"),
        _ => format!("items[{position}].quantity"),
    };
    ShopError { field: Some(field.into()), ..refusal }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOODS: GoodsId = GoodsId::new(7);
    const UNTIL: Millis = Millis::new(1);

    fn stock(on_hand: i64) -> Stock {
        Stock { shelves: BTreeMap::from([(GOODS, Shelf { loaded: on_hand, on_hand })]), ..Stock::default() }
    }

    fn line(quantity: i32) -> Line {
        Line { goods_id: GOODS, quantity }
    }

    fn code(done: &Done) -> Option<ShopCode> {
        match done {
            Done::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }

    #[test]
    fn the_last_unit_can_be_bought() {
        let mut stock = stock(3);
        assert_eq!(stock.reserve(OrderId::new(1), &[line(3)], UNTIL), Done::Done);
        assert_eq!(code(&stock.reserve(OrderId::new(2), &[line(1)], UNTIL)), Some(ShopCode::GoodsNotEnough));
    }

    #[test]
    fn a_quantity_below_one_is_refused_and_gives_nothing_back() {
        let mut stock = stock(3);
        for quantity in [0, -1, i32::MIN, 10_000] {
            assert_eq!(
                code(&stock.reserve(OrderId::new(1), &[line(quantity)], UNTIL)),
                Some(ShopCode::ParameterInvalid)
            );
        }
        assert_eq!(stock.release(OrderId::new(1)), Undone::NeverDone);
        assert_eq!(stock.shelves[&GOODS].on_hand, 3);
    }

    #[test]
    fn one_line_too_many_takes_nothing_at_all() {
        let mut stock = stock(5);
        let unknown = Line { goods_id: GoodsId::new(8), quantity: 1 };
        let done = stock.reserve(OrderId::new(1), &[line(2), unknown], UNTIL);
        let Done::Refused(refusal) = done else { panic!("{done:?}") };
        assert_eq!((refusal.code, refusal.field.as_deref()), (ShopCode::GoodsNotFound, Some("items[1].goods_id")));
        assert_eq!((stock.shelves[&GOODS].on_hand, stock.movements.len()), (5, 0));
    }

    #[test]
    fn two_lines_of_the_same_goods_are_refused() {
        let mut stock = stock(5);
        assert_eq!(code(&stock.reserve(OrderId::new(1), &[line(3), line(3)], UNTIL)), Some(ShopCode::ParameterInvalid));
        assert_eq!((stock.shelves[&GOODS].on_hand, stock.movements.len()), (5, 0));
    }

    #[test]
    fn a_repeat_inside_one_batch_is_a_repeat() {
        let mut stock = stock(5);
        assert_eq!(stock.reserve(OrderId::new(1), &[line(2)], UNTIL), Done::Done);
        assert_eq!(stock.reserve(OrderId::new(1), &[line(2)], UNTIL), Done::Already);
        assert_eq!(stock.shelves[&GOODS].on_hand, 3);
    }

    proptest! {
        /// Whatever is taken and given back in whatever order: nothing is made, nothing is lost, nothing goes below zero.
        #[test]
        fn stock_is_conserved(steps in prop::collection::vec((any::<bool>(), 1_i64..6, 1_i32..5), 0..60)) {
            let mut stock = stock(10);
            let mut undone = std::collections::BTreeSet::new();
            for (is_reserve, order, quantity) in steps {
                let order_id = OrderId::new(order);
                if is_reserve {
                    let done = stock.reserve(order_id, &[line(quantity)], UNTIL);
                    prop_assert!(!undone.contains(&order) || done == Done::Cancelled);
                } else {
                    stock.release(order_id);
                    undone.insert(order);
                }
                let moved: i64 = stock.movements.iter().map(|movement| movement.delta).sum();
                prop_assert_eq!(stock.shelves[&GOODS].on_hand, 10 + moved);
                prop_assert!(stock.shelves[&GOODS].on_hand >= 0);
            }
            for order in &undone {
                let net: i64 = stock.movements.iter().filter(|m| m.order_id.get() == *order).map(|m| m.delta).sum();
                prop_assert_eq!(net, 0);
            }
        }
    }
}
