//! What `shop replay` can be told.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use shop_replay::{fault::Faults, rate::Rate};

use super::channel::Channel;

/// Exactly one source; no target is a fresh shop in this process.
#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("source").required(true).args(["file", "from_shop", "generate"]))]
pub struct ReplayArgs {
    /// A recording, in the format of docs/replay.md.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The genuine notifications that a shop has recorded: its data directory, or the URL of its pay database.
    #[arg(long, value_name = "DIR|URL")]
    pub from_shop: Option<String>,
    /// As many orders, whose payments are then notified.
    #[arg(long, value_name = "N")]
    pub generate: Option<usize>,
    /// The shop: HOST:PORT for gRPC, http://HOST:PORT for REST. Not given: a fresh one in this process.
    #[arg(long, value_name = "ADDR")]
    pub target: Option<String>,
    /// Whose notifications they are.
    #[arg(long, value_enum, value_name = "C", default_value = "sandbox")]
    pub channel: Channel,
    /// Where `shop sim` keeps the keys of both sides of `--channel`; a fresh shop makes its own when there are none.
    #[arg(long, value_name = "DIR")]
    pub keys: Option<PathBuf>,
    /// The buyer of generated orders at a target.
    #[arg(long, value_name = "ID", default_value_t = 345_963_634_385_633_280)]
    pub user: i64,
    /// What generated orders buy at a target, one each.
    #[arg(long, value_name = "ID", default_value_t = 345_959_443_973_935_104)]
    pub goods: i64,
    /// What the plan is drawn with: the same seed, the same plan.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub seed: u64,
    /// The share of every fault that has none of its own and that the target can have.
    #[arg(long, value_name = "P")]
    pub all: Option<Rate>,
    /// Share that is sent several times, at once or in a row.
    #[arg(long, value_name = "P")]
    pub duplicate: Option<Rate>,
    /// How often a duplicated one is sent in all.
    #[arg(long, value_name = "K", default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub copies: u32,
    /// Share that is sent at the time of another one.
    #[arg(long, value_name = "P")]
    pub reorder: Option<Rate>,
    /// Share that is lost on the way once or twice; the channel sends it again.
    #[arg(long, value_name = "P")]
    pub drop: Option<Rate>,
    /// Share whose order is cancelled before it is sent.
    #[arg(long, value_name = "P")]
    pub late: Option<Rate>,
    /// Share beside which a changed one is sent: another amount, payment, body or signature.
    #[arg(long, value_name = "P")]
    pub tamper: Option<Rate>,
    /// Share beside which one signed by another or a revoked key is sent.
    #[arg(long, value_name = "P")]
    pub wrong_key: Option<Rate>,
    /// Share beside which one signed too long ago, or in the future, is sent.
    #[arg(long, value_name = "P")]
    pub stale: Option<Rate>,
    /// Share whose answer is read byte by byte; over REST.
    #[arg(long, value_name = "P")]
    pub slow: Option<Rate>,
    /// Share that first comes before the shop can see its payment; only where no target is given.
    #[arg(long, value_name = "P")]
    pub early: Option<Rate>,
    /// Share beside which one in another channel's format, or under another channel's name, is sent.
    #[arg(long, value_name = "P")]
    pub foreign: Option<Rate>,
    /// How many times faster than the channel's clock.
    #[arg(long, value_name = "X", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub time_scale: u32,
    /// Messages under way at once.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = at_least_one)]
    pub clients: usize,
    /// Signs anew what must be accepted, instead of sending the headers of the recording.
    #[arg(long)]
    pub resign: bool,
    /// Then checks invariants I01 to I20; of a target, in the databases that --config or --data-dir name.
    #[arg(long)]
    pub audit: bool,
    /// One JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Writes the result as `JUnit` XML too.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Records what was sent, in the same format: the run can be replayed.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

/// Where the notifications come from.
pub(super) enum Source<'a> {
    File(&'a Path),
    Shop(&'a str),
    Generate,
}

impl ReplayArgs {
    pub(super) fn source(&self) -> Source<'_> {
        match (&self.file, &self.from_shop) {
            (Some(file), _) => Source::File(file),
            (None, Some(shop)) => Source::Shop(shop),
            (None, None) => Source::Generate,
        }
    }

    /// The faults; `--all` asks for no more than a target can have, a fault by name is asked for all the same.
    pub(super) fn faults(&self, can_be_read_slowly: bool, can_hide: bool) -> Faults {
        let all = self.all.unwrap_or_default();
        let if_can = |can: bool| if can { all } else { Rate::NONE };
        Faults {
            duplicate: self.duplicate.unwrap_or(all),
            copies: self.copies,
            reorder: self.reorder.unwrap_or(all),
            drop: self.drop.unwrap_or(all),
            late: self.late.unwrap_or(all),
            tamper: self.tamper.unwrap_or(all),
            wrong_key: self.wrong_key.unwrap_or(all),
            stale: self.stale.unwrap_or(all),
            slow: self.slow.unwrap_or(if_can(can_be_read_slowly)),
            early: self.early.unwrap_or(if_can(can_hide)),
            foreign: self.foreign.unwrap_or(all),
        }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "a whole number greater than zero".to_owned())
}
