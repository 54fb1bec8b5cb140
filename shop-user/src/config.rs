//! Configuration of the user service.

use serde::{Deserialize, Serialize};
use shop_common::{batch::Limits, db::DatabaseConfig};

/// Section `user`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where its rows are.
    pub database: DatabaseConfig,
    /// Limits of its batches.
    pub batch: Limits,
}
