//! Clients that remember what they asked and what they were answered, and what must be true of it in the end.

pub(crate) mod history;
pub(crate) mod load;
pub(crate) mod log;
pub(crate) mod stock;
