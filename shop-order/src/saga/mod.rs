//! Placing an order over four services: [`confirm_order`] is the saga, [`participants`] whom it asks.

pub(crate) mod confirm_order;
pub(crate) mod participants;
