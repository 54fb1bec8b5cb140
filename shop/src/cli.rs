//! What the binary can be told.

use std::{error::Error, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use shop_broker::Broker;
use shop_common::{telemetry, time::Clock};

use crate::{
    assemble::{open_all, open_all_to_look},
    audit::{Options, audit},
    bench::{self, bench},
    config::Config,
    demo::demo,
    dlq::{self, Dlq},
    exposure, reconcile,
    refund::{self, RefundArgs},
    replay::{ReplayArgs, replay},
    retake,
    role::{Role, Web},
    running::Shop,
    say::{announce, say},
    seed::seed,
    sim,
    stop::{Stop, Stopped},
};

type Outcome = Result<ExitCode, Box<dyn Error + Send + Sync>>;

/// Exit code of a command that could not look, or could not send.
const COULD_NOT: u8 = 2;

/// A RocketMQ trade system in one binary: orders, stock, coupons, balance and payments that cannot be lost.
#[derive(Debug, Parser)]
#[command(name = "shop", version)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// A TOML file over the defaults of deploy/config.reference.toml.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the embedded parts keep their files.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// A key and its value, for example `order.pay_timeout_s=60`; may be repeated.
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The tutorial's order on real parts, every figure checked; exit 0 only if all are right.
    Demo {
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// All services, broker and gateway in one process; ^C drains.
    Up,
    /// The goods role alone.
    Goods,
    /// The coupon role alone.
    Coupon,
    /// The user role alone.
    User,
    /// The pay role alone.
    Pay,
    /// The order role alone.
    Order,
    /// The gateway alone.
    Web,
    /// NameServer and Broker alone, on loopback: for roles on one machine.
    Broker,
    /// Brings every schema up to date.
    Migrate,
    /// Writes the course's goods, user and coupon; idempotent.
    Seed,
    /// Checks invariants I01 to I20; exit 0 clean, 1 violated, 2 could not look.
    Audit {
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
        /// First let work in flight finish, at most this long.
        #[arg(long, value_name = "SECONDS")]
        wait: Option<u64>,
        /// A violation counts only if it is seen twice, this far apart.
        #[arg(long, value_name = "SECONDS", default_value_t = 2)]
        confirm: u64,
    },
    /// Puts load on a shop, then audits it; exit 0 only if the audit is clean and every answer was of the right class.
    Bench(bench::Args),
    /// Holds a channel's statement of a day against our books; exit 0 nothing open, 1 something is, 2 could not look.
    Reconcile(reconcile::Wanted),
    /// Gives money back, lists what is on its way back, and asks again for what a channel refused; exit 0 done or nothing
    /// refused, 1 refused, 2 not known.
    Refund(RefundArgs),
    /// Lists, shows, resends and discards dead letters and parked messages.
    Dlq(Dlq),
    /// Takes again what confirmed orders should hold and a restored database of goods, coupons or users has forgotten; exit
    /// 0 all of it, 1 something was refused, 2 not known.
    Retake {
        /// One JSON object instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Payment notifications, recorded or generated, with faults; exit 0 only if every expectation held, 1 if one did
    /// not, 2 if they could not be sent.
    Replay(Box<ReplayArgs>),
    /// A payment provider to test against, with faults; its books end with it.
    #[command(subcommand)]
    Sim(Box<sim::Wanted>),
    /// Prints the configuration in force, secrets as ***; exit 1 if `up` would refuse it.
    Config,
}

/// Does what it was told.
pub async fn run(cli: Cli) -> ExitCode {
    let looks = matches!(
        cli.command,
        Command::Audit { .. }
            | Command::Dlq(_)
            | Command::Reconcile(_)
            | Command::Refund(_)
            | Command::Replay(_)
            | Command::Retake { .. }
    );
    let could_not = if looks { COULD_NOT } else { 1 };
    match Box::pin(command(cli)).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("shop: {error}");
            ExitCode::from(could_not)
        }
    }
}

async fn command(cli: Cli) -> Outcome {
    let config = cli.common.read(&[])?;
    match cli.command {
        Command::Config => {
            say(&toml::to_string(&config)?)?;
            exposure::check(&config, &exposure::listeners(&config))?;
            config.pay.check()?;
        }
        Command::Demo { json } => return Box::pin(show_demo(json, &cli.common)).await,
        Command::Up => up(&config).await?,
        Command::Goods => role(Role::Goods, &config).await?,
        Command::Coupon => role(Role::Coupon, &config).await?,
        Command::User => role(Role::User, &config).await?,
        Command::Pay => role(Role::Pay, &config).await?,
        Command::Order => role(Role::Order, &config).await?,
        Command::Web => web(&config).await?,
        Command::Broker => broker(&config).await?,
        Command::Migrate => {
            telemetry::init(&config.log.filter);
            open_all(&config).await?.close().await;
            say("every schema is up to date")?;
        }
        Command::Seed => {
            telemetry::init(&config.log.filter);
            let schemas = open_all(&config).await?;
            seed(&schemas).await?;
            schemas.close().await;
            say("the course's goods, user and coupon are there")?;
        }
        Command::Bench(args) => return Box::pin(show_bench(&args, &config, &cli.common)).await,
        Command::Reconcile(wanted) => return show_reconcile(&config, &wanted).await,
        Command::Refund(told) => return refund::run(&config, told).await,
        Command::Dlq(told) => return dlq::run(&config, told).await,
        Command::Retake { json } => return show_retake(&config, json).await,
        Command::Audit { json, wait, confirm } => return show_audit(&config, json, wait, confirm).await,
        Command::Sim(wanted) => {
            telemetry::init(&config.log.filter);
            let mut stop = Stop::listen()?;
            let asked = async {
                stop.asked().await;
            };
            sim::run(&wanted, &config, asked).await?;
        }
        Command::Replay(args) => return Box::pin(show_replay(&args, &config, &cli.common)).await,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what was found; the exit code says whether it is what it must be.
fn said(text: &str, is_right: bool) -> Outcome {
    say(text)?;
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn show_demo(json: bool, common: &Common) -> Outcome {
    telemetry::init("error");
    let report = Box::pin(demo(|more| common.read(more), recorder()?)).await?;
    let text = if json { serde_json::to_string_pretty(&report)? } else { report.to_string() };
    said(&text, report.is_right())
}

async fn show_audit(config: &Config, json: bool, wait: Option<u64>, confirm: u64) -> Outcome {
    telemetry::init("warn,sqlx=error");
    let schemas = open_all_to_look(config).await?;
    let close_patience_ms = i64::try_from(config.order.close_patience_s.saturating_mul(1000)).unwrap_or(i64::MAX);
    let (wait, confirm) = (wait.map(Duration::from_secs), Duration::from_secs(confirm));
    let options = Options { confirm, wait, close_patience_ms, ..Options::default() };
    let report = audit(&schemas, &options, &Clock::system()).await?;
    let text = if json { report.to_json().to_string() } else { report.to_string() };
    said(&text, report.is_clean())
}

async fn show_replay(args: &ReplayArgs, config: &Config, common: &Common) -> Outcome {
    telemetry::init("error,shop_pay=off,sqlx=error");
    let mut stop = Stop::listen()?;
    let replayed = Box::pin(replay(args, config, (common.config.as_deref(), &common.flags()), &mut stop)).await?;
    let report = match replayed {
        Ok(report) => report,
        Err(Stopped(code)) => return Ok(ExitCode::from(code)),
    };
    let text = if args.json { serde_json::to_string_pretty(&report)? } else { report.to_string() };
    said(&text, report.is_right())
}

async fn show_bench(args: &bench::Args, config: &Config, common: &Common) -> Outcome {
    telemetry::init(&config.log.filter);
    let report = Box::pin(bench(args, |more| common.read(more), recorder()?)).await?;
    let text = if args.json { serde_json::to_string_pretty(&report.to_json()?)? } else { report.to_string() };
    said(&text, report.is_right())
}

async fn show_reconcile(config: &Config, wanted: &reconcile::Wanted) -> Outcome {
    telemetry::init(&config.log.filter);
    let report = Box::pin(reconcile::reconcile(config, wanted)).await?;
    let text = if wanted.json() { serde_json::to_string_pretty(&report)? } else { report.to_string() };
    said(&text, report.is_clean())
}

async fn show_retake(config: &Config, json: bool) -> Outcome {
    telemetry::init(&config.log.filter);
    let schemas = open_all_to_look(config).await?;
    let report = Box::pin(retake::retake(config, &schemas, &Clock::system())).await?;
    schemas.close().await;
    let text = if json { serde_json::to_string_pretty(&report)? } else { report.to_string() };
    said(&text, report.is_clean())
}

async fn up(config: &Config) -> Result<(), Box<dyn Error + Send + Sync>> {
    telemetry::init(&config.log.filter);
    let mut stop = Stop::listen()?;
    let shop = stop.unless_asked(Box::pin(Shop::start(config, Some(recorder()?)))).await?;
    for open in exposure::announce(config) {
        tracing::info!(open, "every listener is loopback");
    }
    announce(&format!("shop up: gRPC {} | REST {} | data {}", shop.grpc, shown(&shop.web), config.data_dir.display()));
    stop.asked().await;
    tracing::info!("draining");
    stop.or_at_once(Box::pin(shop.stop())).await;
    announce("shop down");
    Ok(())
}

async fn role(role: Role, config: &Config) -> Result<(), Box<dyn Error + Send + Sync>> {
    telemetry::init(&config.log.filter);
    let mut stop = Stop::listen()?;
    let metrics = config.ops.listen.map(|_| recorder()).transpose()?;
    let running = stop.unless_asked(Box::pin(role.start(config, metrics))).await?;
    let operations = running.operations.map_or_else(String::new, |address| format!(" | operations {address}"));
    let (public, internal) = (running.public, running.internal);
    announce(&format!("{role:?} up: public gRPC {public} | internal gRPC {internal}{operations}"));
    stop.asked().await;
    stop.or_at_once(Box::pin(running.stop())).await;
    Ok(())
}

async fn web(config: &Config) -> Result<(), Box<dyn Error + Send + Sync>> {
    telemetry::init(&config.log.filter);
    let mut stop = Stop::listen()?;
    let web = stop.unless_asked(Web::start(config, Some(recorder()?))).await?;
    announce(&format!("Web up: REST {}", shown(&web.addresses)));
    stop.asked().await;
    stop.or_at_once(web.stop()).await;
    Ok(())
}

async fn broker(config: &Config) -> Result<(), Box<dyn Error + Send + Sync>> {
    telemetry::init(&config.log.filter);
    let mut stop = Stop::listen()?;
    let broker = stop.unless_asked(Broker::start(config.mq.broker(&config.data_dir))).await?;
    announce(&format!("Broker up: name server {}", broker.name_server()));
    stop.asked().await;
    stop.or_at_once(broker.shutdown()).await;
    Ok(())
}

fn shown(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<String>>().join(" ")
}

/// The recorder of the process; it folds its histograms every few seconds, or they grow for ever.
fn recorder() -> Result<PrometheusHandle, Box<dyn Error + Send + Sync>> {
    let recorder = PrometheusBuilder::new().install_recorder()?;
    let kept = recorder.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(5)).await;
            kept.run_upkeep();
        }
    });
    Ok(recorder)
}

impl Common {
    /// The configuration, under `more` flags beside those that were given.
    fn read(&self, more: &[(&str, String)]) -> Result<Config, Box<dyn Error + Send + Sync>> {
        let flags: Vec<(&str, String)> = self.flags().into_iter().chain(more.iter().cloned()).collect();
        Ok(Config::read(self.config.as_deref(), &flags)?)
    }

    fn flags(&self) -> Vec<(&str, String)> {
        let data_dir = self.data_dir.iter().map(|dir| ("data_dir", dir.display().to_string()));
        data_dir.chain(self.set.iter().map(|(key, value)| (key.as_str(), value.clone()))).collect()
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("KEY=VALUE, for example order.pay_timeout_s=60")?;
    Ok((key.to_owned(), value.to_owned()))
}
