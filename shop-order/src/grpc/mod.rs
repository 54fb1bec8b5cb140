//! gRPC of the order service: protocol in, commands out. No SQL and no rules.

pub(crate) mod orders;
mod parse;
pub(crate) mod states;
