//! Rows of the order schema.

#![expect(unreachable_pub, reason = "sea-orm derives public items for public rows")]

pub(crate) mod item;
pub(crate) mod order;
