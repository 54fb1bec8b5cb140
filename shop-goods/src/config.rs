//! Configuration of the goods service.

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};
use shop_common::{batch::Limits, config::at_least_one, db::DatabaseConfig};

/// Section `goods`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where its rows are.
    pub database: DatabaseConfig,
    /// Where its internal services listen when it is a process of its own.
    pub internal_listen: SocketAddr,
    /// Limits of its batches.
    pub batch: Limits,
    /// How long stock may be held before the order service is asked what became of its order, in seconds.
    #[serde(deserialize_with = "at_least_one")]
    pub hold_timeout_s: u64,
}

impl Config {
    pub(crate) const fn hold_timeout(&self) -> Duration {
        Duration::from_secs(self.hold_timeout_s)
    }
}
