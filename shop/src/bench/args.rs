//! What `shop bench` is told.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

/// Most orders at once of an open loop, and of the ceiling beside it.
const AT_ONCE: usize = 256;

/// Load on the shop, then the audit.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// What clients do.
    #[arg(value_enum)]
    pub scenario: Scenario,
    /// Orders per second of an open loop: they arrive at random, whether or not the shop keeps up.
    #[arg(long, value_name = "R", default_value_t = 500, conflicts_with = "clients",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// A closed loop of so many clients instead, each with its next order as soon as the last one is answered.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub clients: Option<u16>,
    /// How long orders are placed, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub duration: u64,
    /// Ends after so many orders, if that comes first.
    #[arg(long, value_name = "N")]
    pub orders: Option<u64>,
    /// A shop that runs: `http://HOST:PORT` of its gRPC, or of its REST with `--protocol rest`. Its databases are those
    /// of the configuration. Without it, a fresh shop in this process.
    #[arg(long, value_name = "ADDR")]
    pub target: Option<String>,
    /// How clients speak.
    #[arg(long, value_enum, default_value_t = Protocol::Grpc)]
    pub protocol: Protocol,
    /// Draws the same arrivals and the same mixture again.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// One JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scenario {
    /// Place orders, spread over the goods.
    Confirm,
    /// Place an order, pay it by a signed callback, wait until the order is paid and the points are credited.
    Full,
    /// Place orders for one of the goods.
    Hot,
    /// Orders, refusals, cancels by the user, repeats and two orders for one coupon, each answer checked.
    Mixed,
}

/// How clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// REST, `/api/v1`.
    Rest,
}

/// How orders come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Load {
    /// At random, so many per second.
    Open {
        /// Orders per second.
        rate: u32,
    },
    /// From so many clients, one after the other.
    Closed {
        /// Clients.
        clients: u16,
    },
}

/// When no more orders are placed.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// After so long.
    pub(super) duration: Duration,
    /// After so many orders.
    pub(super) orders: u64,
}

impl Args {
    pub(super) fn load(&self) -> Load {
        self.clients.map_or(Load::Open { rate: self.rate }, |clients| Load::Closed { clients })
    }

    pub(super) fn end(&self) -> End {
        End { duration: Duration::from_secs(self.duration), orders: self.orders.unwrap_or(u64::MAX) }
    }

    /// How many orders may be on their way together.
    pub(super) fn at_once(&self) -> usize {
        self.clients.map_or(AT_ONCE, usize::from)
    }
}
