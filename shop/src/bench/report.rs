//! What the benchmark found: as a table for people, as JSON for programs.

use std::{collections::BTreeMap, fmt, time::Duration};

use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    args::{Args, Load, Protocol, Scenario},
    histogram::Quantiles,
    load::Tally,
    usage::Usage,
};
use crate::audit;

/// What the benchmark found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    scenario: Scenario,
    protocol: Protocol,
    target: Option<String>,
    load: Load,
    seed: u64,
    /// From the first order to the last answer.
    load_ms: u64,
    /// From there until nothing was in flight.
    settle_ms: u64,
    orders: u64,
    orders_per_s: u64,
    latency: Quantiles,
    answers: BTreeMap<&'static str, u64>,
    wrong: u64,
    wrong_answers: Vec<String>,
    process: Process,
    ceiling: Option<Ceiling>,
    /// The orders per second as a share of the ceiling.
    percent_of_ceiling: Option<u64>,
    #[serde(skip)]
    audit: audit::Report,
}

/// How long it took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    /// The load.
    pub(super) load: Duration,
    /// What it had left in flight.
    pub(super) settle: Duration,
}

/// What this process used while the load ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Process {
    /// Who is in it.
    what: &'static str,
    cpu_ms: u64,
    peak_rss_kib: u64,
}

/// The same rows and statements with no service around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ceiling {
    /// Orders per second.
    pub orders_per_s: u64,
    /// Orders of one transaction.
    pub batch: usize,
    /// Such transactions on their way together.
    pub in_flight: usize,
    /// How long one row took to be durable.
    pub commit: Quantiles,
    /// Processor time of one empty gRPC call, of client and server together, in nanoseconds.
    pub call_cpu_ns: u64,
}

impl Process {
    pub(super) fn new(usage: Usage, is_embedded: bool) -> Self {
        let what = if is_embedded { "shop and generator" } else { "generator alone" };
        Self { what, cpu_ms: millis(usage.cpu), peak_rss_kib: usage.peak_rss_kib }
    }
}

impl Ceiling {
    pub(super) fn new(
        orders: u64,
        took: Duration,
        batch: usize,
        in_flight: usize,
        commit: Quantiles,
        call: Duration,
    ) -> Self {
        let call_cpu_ns = u64::try_from(call.as_nanos()).unwrap_or(u64::MAX);
        Self { orders_per_s: per_second(orders, took), batch, in_flight, commit, call_cpu_ns }
    }
}

impl Report {
    pub(super) fn new(
        args: &Args,
        tally: &Tally,
        took: Took,
        process: Process,
        audit: audit::Report,
        ceiling: Option<Ceiling>,
    ) -> Self {
        let orders_per_s = per_second(tally.confirmed, took.load);
        let share = |ceiling: Ceiling| orders_per_s.saturating_mul(100).checked_div(ceiling.orders_per_s);
        Self {
            scenario: args.scenario,
            protocol: args.protocol,
            target: args.target.clone(),
            load: args.load(),
            seed: args.seed,
            load_ms: millis(took.load),
            settle_ms: millis(took.settle),
            orders: tally.confirmed,
            orders_per_s,
            latency: tally.latencies.quantiles(),
            answers: tally.answers.clone(),
            wrong: tally.wrong,
            wrong_answers: tally.wrong_answers.clone(),
            process,
            percent_of_ceiling: ceiling.and_then(share),
            ceiling,
            audit,
        }
    }

    /// Whether the audit is clean, every answer was of the class it must be, and there was an order at all: a shop that
    /// was never reached has shown nothing.
    pub fn is_right(&self) -> bool {
        self.audit.is_clean() && self.wrong == 0 && self.orders > 0
    }

    /// Everything, with the audit under `audit`.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn to_json(&self) -> serde_json::Result<Value> {
        let mut all = serde_json::to_value(self)?;
        if let Some(all) = all.as_object_mut() {
            all.insert("audit".to_owned(), self.audit.to_json());
            all.insert("right".to_owned(), json!(self.is_right()));
        }
        Ok(all)
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let Quantiles { p50_us, p99_us, p999_us, max_us } = self.latency;
        let answers = self.answers.iter().map(|(kind, count)| format!("{kind} {count}")).collect::<Vec<_>>().join("\n");
        let mut rows = vec![
            ("load", self.load.to_string()),
            ("orders", format!("{} in {}", self.orders, seconds(self.load_ms))),
            ("orders per second", self.orders_per_s.to_string()),
            ("latency p50", shown(p50_us)),
            ("latency p99", shown(p99_us)),
            ("latency p99.9", shown(p999_us)),
            ("latency max", shown(max_us)),
            ("answers", answers),
            ("wrong answers", self.wrong.to_string()),
            ("settled after", seconds(self.settle_ms)),
            ("CPU", format!("{} ({})", seconds(self.process.cpu_ms), self.process.what)),
            ("CPU per order", self.cpu_per_order()),
            ("peak RSS", format!("{} MiB", self.process.peak_rss_kib / 1024)),
        ];
        if let Some(Ceiling { orders_per_s, batch, in_flight, commit, call_cpu_ns }) = self.ceiling {
            let share = self.percent_of_ceiling.map_or_else(String::new, |percent| format!("{percent} %"));
            rows.extend([
                ("bare SQL", format!("{orders_per_s} orders per second ({in_flight} batches of {batch})")),
                ("of the bare SQL", share),
                ("commit p50", shown(commit.p50_us)),
                ("commit p99", shown(commit.p99_us)),
                ("CPU per empty call", format!("{} µs", call_cpu_ns / 1000)),
            ]);
        }
        rows
    }

    fn cpu_per_order(&self) -> String {
        let micros = self.process.cpu_ms.saturating_mul(1000).checked_div(self.orders);
        micros.map_or_else(|| "-".to_owned(), |micros| format!("{micros} µs"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        let where_to = self.target.as_deref().unwrap_or("embedded");
        let title = format!("{:?} over {:?}, {where_to}", self.scenario, self.protocol).to_lowercase();
        table.load_style(UTF8_FULL_CONDENSED).set_header(["bench", &title]);
        for (what, figure) in self.rows() {
            table.add_row([Cell::new(what), Cell::new(figure).set_alignment(CellAlignment::Right)]);
        }
        writeln!(f, "{}\n{table}", self.audit)?;
        for wrong in &self.wrong_answers {
            writeln!(f, "wrong answer: {wrong}")?;
        }
        if self.orders == 0 {
            writeln!(f, "no order was placed")?;
        }
        write!(f, "{}", if self.is_right() { "right" } else { "WRONG" })
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { rate } => write!(f, "open loop, {rate} per second"),
            Self::Closed { clients } => write!(f, "closed loop, {clients} clients"),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn per_second(count: u64, took: Duration) -> u64 {
    count.saturating_mul(1000).checked_div(millis(took)).unwrap_or_default()
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03} s", millis / 1000, millis % 1000)
}

/// Microseconds, as milliseconds.
fn shown(micros: u64) -> String {
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{audit::Pending, bench::load::Seen};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn report(line: &[&str], wrong: &[&str], audit: audit::Report) -> Report {
        let args = Line::parse_from([&["bench"], line].concat()).args;
        let mut tally = Tally::new().unwrap();
        for _ in 0..3000 {
            let seen = Seen { answers: vec!["confirmed"], confirmed: 1, is_served: true, wrong: Vec::new() };
            tally.add(seen, tokio::time::Instant::now());
        }
        let wrong = wrong.iter().map(|wrong| (*wrong).to_owned()).collect();
        tally.add(Seen { answers: vec!["SHOP_BUSY"], wrong, ..Seen::default() }, tokio::time::Instant::now());
        let took = Took { load: Duration::from_secs(2), settle: Duration::from_millis(30) };
        let usage = Usage { cpu: Duration::from_secs(3), peak_rss_kib: 2048 };
        let commit = Quantiles { p50_us: 250, p99_us: 900, p999_us: 1_200, max_us: 1_200 };
        let ceiling = Ceiling::new(12_000, Duration::from_secs(3), 64, 1, commit, Duration::from_nanos(21_500));
        Report::new(&args, &tally, took, Process::new(usage, true), audit, Some(ceiling))
    }

    fn clean() -> audit::Report {
        audit::Report { checks: Vec::new(), pending: Pending::default() }
    }

    #[test]
    fn rates_and_shares_are_of_what_was_measured() {
        let json = report(&["confirm", "--clients", "64"], &[], clean()).to_json().unwrap();
        assert_eq!((&json["orders"], &json["orders_per_s"]), (&json!(3000), &json!(1500)));
        assert_eq!((&json["ceiling"]["orders_per_s"], &json["percent_of_ceiling"]), (&json!(4000), &json!(37)));
        assert_eq!((&json["answers"]["confirmed"], &json["answers"]["SHOP_BUSY"]), (&json!(3000), &json!(1)));
        assert_eq!(json["load"], json!({ "closed": { "clients": 64 } }));
        assert_eq!((&json["process"]["cpu_ms"], &json["audit"]["clean"]), (&json!(3000), &json!(true)));
        assert_eq!(json["right"], json!(true));
    }

    #[test]
    fn a_wrong_answer_is_not_right() {
        assert!(report(&["mixed"], &[], clean()).is_right());
        assert!(!report(&["mixed"], &["one coupon: two orders"], clean()).is_right());
    }

    #[test]
    fn nothing_placed_is_nothing_shown() {
        let report = Report { orders: 0, ..report(&["confirm"], &[], clean()) };
        assert!(!report.is_right());
        assert!(report.to_string().contains("no order was placed"));
    }

    #[test]
    fn the_table_says_what_was_measured() {
        let text = report(&["hot", "--rate", "1500"], &["a: b"], clean()).to_string();
        for part in [
            "hot over grpc, embedded",
            "open loop, 1500 per second",
            "1500",
            "1000 µs",
            "37 %",
            "0.250 ms",
            "21 µs",
            "WRONG",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
