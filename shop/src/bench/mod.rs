//! `shop bench`: load on an embedded shop or on one that runs elsewhere, then the audit, and what the same SQL would
//! have done with no service around it.

mod args;
pub mod arrivals;
mod ceiling;
mod client;
mod histogram;
mod load;
mod progress;
mod report;
mod rows;
mod scenarios;
mod usage;
mod world;

pub use args::{Args, Protocol, Scenario};
pub use report::{Ceiling, Report};

use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use metrics_exporter_prometheus::PrometheusHandle;
use shop_common::time::Clock;

use self::{
    args::Load,
    load::Tally,
    report::{Process, Took},
    scenarios::Scene,
    usage::Usage,
    world::World,
};
use crate::{
    audit::{self, Options},
    config::Config,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Longest wait for what the load has left in flight.
const SETTLE: Duration = Duration::from_secs(120);

/// Runs the load, waits until nothing is in flight, audits, and measures the ceiling. `config_of` reads the
/// configuration under further flags: an embedded shop has its own directory and ports.
///
/// # Errors
/// The shop could not be started, reached or audited; wrong answers and violations are no errors but stand in the
/// report.
pub async fn bench(
    args: &Args,
    config_of: impl Fn(&[(&str, String)]) -> Outcome<Config>,
    metrics: PrometheusHandle,
) -> Outcome<Report> {
    let world = match &args.target {
        None => World::embedded(config_of, metrics).await?,
        Some(target) => World::elsewhere(&config_of(&[])?, target).await?,
    };
    let scene = Scene::new(args, &world).await?;
    rows::write(&world.schemas).await?;
    scene.check().await?;
    let loaded = load(args, scene, world.is_embedded()).await;
    let settled = settle(&world).await;
    let engine = world.engine();
    Box::pin(world.stop()).await;
    let (tally, took, process) = loaded?;
    let (settle, audit) = settled?;
    let ceiling = match engine {
        Some(dir) => Some(ceiling::measure(&dir, args.at_once()).await?),
        None => None,
    };
    Ok(Report::new(args, &tally, Took { load: took, settle }, process, audit, ceiling))
}

/// The load itself; what the process used is counted from its first order to its last answer.
async fn load(args: &Args, scene: Scene, is_embedded: bool) -> Outcome<(Tally, Duration, Process)> {
    let scene = Arc::new(scene);
    let tally = Arc::new(Mutex::new(Tally::new()?));
    let bar = progress::start(args, Arc::clone(&tally));
    let (before, started) = (Usage::of_process()?, Instant::now());
    let (scenario, visited) = (args.scenario, Arc::clone(&tally));
    let visit = move |number| {
        let scene = Arc::clone(&scene);
        async move { scene.visit(scenario, number).await }
    };
    match args.load() {
        Load::Open { rate } => load::open(rate, args.end(), args.seed, visited, visit).await?,
        Load::Closed { clients } => load::closed(clients, args.end(), visited, visit).await?,
    }
    let (took, used) = (started.elapsed(), Usage::of_process()?);
    bar.stop().await;
    let process = Process::new(used.since(before), is_embedded);
    let tally = std::mem::replace(&mut *tally.lock().unwrap_or_else(PoisonError::into_inner), Tally::new()?);
    Ok((tally, took, process))
}

/// How long what was in flight took, and the audit after it.
async fn settle(world: &World) -> Outcome<(Duration, audit::Report)> {
    let started = Instant::now();
    let waiting = Options { wait: Some(SETTLE), ..Options::default() };
    audit::settle(&world.schemas, &waiting, &Clock::system(), tokio::time::sleep).await?;
    let took = started.elapsed();
    let report = audit::audit(&world.schemas, &Options::default(), &Clock::system()).await?;
    Ok((took, report))
}
