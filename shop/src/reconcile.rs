//! `shop reconcile`: a day's statement of a channel against our books, and with `--apply` what can be done about it.
//!
//! Nothing is served for it: it works beside a running shop, which then sends the messages of what was settled here.

use std::{error::Error, fmt, fs, path::PathBuf};

use clap::Args;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;
use shop_common::{money::Fen, shutdown};
use shop_pay::{
    Pay,
    reconcile::{
        Reconciler, Taken,
        gaps::{Compared, Gap},
        statement::{BadStatement, Day, Format},
    },
};

use crate::{
    assemble::open_to_look,
    beside::{deps, nobody, spare_ids},
    config::Config,
};

/// What to reconcile.
#[derive(Debug, Args)]
pub struct Wanted {
    /// Whose statement it is: sandbox, alipay or wechat.
    #[arg(long)]
    channel: String,
    /// The statement of one day, as the channel gives it.
    #[arg(long, value_name = "FILE")]
    statement: PathBuf,
    /// The day of Beijing it is of; needed only where it is empty.
    #[arg(long, value_name = "YYYY-MM-DD")]
    day: Option<Day>,
    /// Do what can be done without an operator: ask the channel, settle what it calls paid, repeat refunds.
    #[arg(long)]
    apply: bool,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Report {
    channel: String,
    day: String,
    /// Lines on which both books agree.
    matched: usize,
    /// Whether nothing is left to do.
    clean: bool,
    gaps: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    gap: Gap,
    /// What was done about it; none where nothing was asked for.
    taken: Option<String>,
    open: bool,
}

/// Compares, acts where it was asked to, and says what is left.
///
/// # Errors
/// The statement cannot be read, the configuration has no such channel, or the database is away.
pub async fn reconcile(config: &Config, wanted: &Wanted) -> Result<Report, Box<dyn Error + Send + Sync>> {
    let file = fs::read(&wanted.statement).map_err(|error| format!("{}: {error}", wanted.statement.display()))?;
    let said = |error: BadStatement| format!("{}: {error}", wanted.statement.display());
    let format = wanted.channel.parse::<Format>()?;
    let statement = format.read(&file).map_err(said)?;
    format.check_merchant(&statement, &config.pay).map_err(said)?;
    let lines = statement.lines;
    let day = Day::of(&lines, wanted.day).map_err(said)?;
    let db = open_to_look(&config.pay.database).await?;
    let (_switch, shutdown) = shutdown::channel();
    let (ids, _claim) = spare_ids(&db).await?;
    let reconciler = Pay::new(&config.pay, deps(config, &db, shutdown), ids, nobody(), nobody())?.reconciler();
    if wanted.apply && !reconciler.can_ask(&wanted.channel) {
        let channel = &wanted.channel;
        return Err(format!("--apply asks the channel, and there is none: pay.{channel}.enabled must be true").into());
    }
    let compared = reconciler.compare(&wanted.channel, day, &lines).await?;
    let report = report(&reconciler, wanted, day, compared).await;
    db.close().await;
    Ok(report)
}

async fn report(reconciler: &Reconciler, wanted: &Wanted, day: Day, compared: Compared) -> Report {
    let Compared { matched, gaps } = compared;
    let mut rows = Vec::with_capacity(gaps.len());
    for gap in gaps {
        let taken = if wanted.apply { Some(reconciler.take(&wanted.channel, &gap).await) } else { None };
        let open = !matches!(taken, Some(Taken::Settled(_)));
        let taken = taken.map(|taken| match taken {
            Taken::Settled(how) => how.to_owned(),
            Taken::Open(why) => why,
        });
        tracing::info!(pay.id = %gap.pay_id, kind = ?gap.kind, action = ?gap.action, taken, open, "gap");
        rows.push(Row { gap, taken, open });
    }
    let clean = rows.iter().all(|row| !row.open);
    Report { channel: wanted.channel.clone(), day: day.to_string(), matched, clean, gaps: rows }
}

impl Wanted {
    /// Whether the report is wanted as JSON.
    pub const fn json(&self) -> bool {
        self.json
    }
}

impl Report {
    /// Whether nothing is left to do.
    pub const fn is_clean(&self) -> bool {
        self.clean
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel, day, matched, gaps, .. } = self;
        let open = gaps.iter().filter(|row| row.open).count();
        if !gaps.is_empty() {
            let mut table = Table::new();
            table.load_style(UTF8_FULL_CONDENSED);
            table.set_header(["gap", "payment", "refund", "ours", "theirs", "why", "action", "taken"]);
            for Row { gap, taken, open } in gaps {
                let amount = |amount: Option<Fen>| amount.map_or_else(|| "-".to_owned(), |amount| amount.to_string());
                let taken = taken.as_deref().unwrap_or(if *open { "open" } else { "-" });
                table.add_row([
                    word(gap.kind),
                    gap.pay_id.to_string(),
                    gap.refund_id.map_or_else(|| "-".to_owned(), |id| id.to_string()),
                    amount(gap.ours),
                    amount(gap.theirs),
                    gap.why.to_owned(),
                    word(gap.action),
                    taken.to_owned(),
                ]);
            }
            writeln!(f, "{table}")?;
        }
        write!(f, "{channel} {day}: {matched} matched, {} gaps, {open} open", gaps.len())
    }
}

/// The word JSON has for it.
fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.replace('_', " "))).unwrap_or_default()
}
