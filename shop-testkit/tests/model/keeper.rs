//! A keeper of stock, coupons or balance around the product's own barrier, and as it must not be built.

use std::collections::BTreeMap;

use shop_common::hold::{Before, Holds, State, Undone};

use crate::wire::{Did, OrderNo, Variant};

/// The rows of a keeper; all of them survive a crash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Keeper {
    /// Units left.
    pub(crate) left: i8,
    /// The ledger: what each order has, taken less given back.
    pub(crate) net: BTreeMap<OrderNo, i8>,
    holds: Holds,
}

impl Keeper {
    pub(crate) fn of(units: u8) -> Self {
        let left = i8::try_from(units).expect("few units");
        Self { left, net: BTreeMap::new(), holds: Holds::default() }
    }

    /// What `order` has of it.
    pub(crate) fn has(&self, order: OrderNo) -> i8 {
        self.net.get(&order).copied().unwrap_or_default()
    }

    pub(crate) fn take(&mut self, variant: Variant, order: OrderNo) -> Did {
        let key = i64::from(order);
        if variant != Variant::NoBarrier {
            match self.holds.before(key) {
                Before::Free => {}
                Before::Held => return Did::Done,
                Before::TooLate => return Did::TooLate,
            }
        }
        if self.left == 0 {
            return Did::Refused;
        }
        self.holds.hold(key, None);
        self.shift(order, 1);
        Did::Done
    }

    pub(crate) fn give_back(&mut self, variant: Variant, order: OrderNo) {
        let key = i64::from(order);
        match variant {
            // Without bound the model would be, too.
            Variant::NoBarrier if self.has(order) > -2 => self.shift(order, -1),
            Variant::NoBarrier => {}
            Variant::NoTombstone if self.holds.before(key) == Before::Free => {}
            Variant::WhateverIsHeld => {
                let holder = self.net.iter().find(|(_, net)| **net > 0).map(|(order, _)| *order);
                if let Some(holder) = holder {
                    self.holds.put(i64::from(holder), State::Undone);
                    self.shift(holder, -1);
                }
            }
            _ if self.holds.undo(key) == Undone::Undone => self.shift(order, -1),
            _ => {}
        }
    }

    fn shift(&mut self, order: OrderNo, taken: i8) {
        self.left -= taken;
        *self.net.entry(order).or_default() += taken;
    }
}
