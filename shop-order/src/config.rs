//! Configuration of the order service.

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};
use shop_common::{
    batch::Limits,
    config::{at_least_one, not_negative},
    db::DatabaseConfig,
    money::Fen,
    outbox::RelayConfig,
};

use crate::pricing::Shipping;

/// Section `order`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where its rows are.
    pub database: DatabaseConfig,
    /// Where its internal services listen when it is a process of its own.
    pub internal_listen: SocketAddr,
    /// Most `WatchOrder` streams at once; one more is answered `SHOP_BUSY`.
    pub max_watches: usize,
    /// Limits of its batches.
    pub batch: Limits,
    /// The pool that sends its outbox.
    pub relay: RelayConfig,
    /// What shipping costs, in fen.
    #[serde(deserialize_with = "not_negative")]
    pub shipping_fee_fen: i64,
    /// Items' totals above this ship free, in fen.
    #[serde(deserialize_with = "not_negative")]
    pub free_shipping_above_fen: i64,
    /// How long a confirmed order may stay unpaid, in seconds.
    #[serde(deserialize_with = "at_least_one")]
    pub pay_timeout_s: u64,
    /// How long the channel may take to close the payments of an order that was not paid in time, in seconds. Then the
    /// order is cancelled without its answer.
    pub close_patience_s: u64,
    /// How long a saga may take before the order is cancelled, in seconds.
    #[serde(deserialize_with = "at_least_one")]
    pub saga_deadline_s: u64,
    /// How long one step of a saga may take before it is asked again, in milliseconds.
    #[serde(deserialize_with = "at_least_one")]
    pub step_timeout_ms: u64,
    /// Refuse what cannot be taken as things stand before the order is stored. Off, only the keepers refuse.
    pub look_before_saga: bool,
}

impl Config {
    pub(crate) const fn shipping(&self) -> Shipping {
        Shipping { fee: Fen::new(self.shipping_fee_fen), free_above: Fen::new(self.free_shipping_above_fen) }
    }

    pub(crate) const fn saga_deadline(&self) -> Duration {
        Duration::from_secs(self.saga_deadline_s)
    }

    pub(crate) const fn step_timeout(&self) -> Duration {
        Duration::from_millis(self.step_timeout_ms)
    }

    pub(crate) const fn close_patience(&self) -> Duration {
        Duration::from_secs(self.close_patience_s)
    }

    pub(crate) const fn pay_timeout(&self) -> Duration {
        Duration::from_secs(self.pay_timeout_s)
    }
}
