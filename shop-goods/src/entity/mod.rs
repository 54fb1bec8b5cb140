//! Rows of the goods schema.

#![expect(unreachable_pub, reason = "sea-orm derives public items for public rows")]

pub(crate) mod goods;
pub(crate) mod number_log;
