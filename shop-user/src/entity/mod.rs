//! Rows of the user schema.

#![expect(unreachable_pub, reason = "sea-orm derives public items for public rows")]

pub(crate) mod money_log;
pub(crate) mod score_log;
pub(crate) mod user;
