//! `shop replay`: payment notifications, recorded or generated, sent to a shop with faults. `docs/replay.md` is its manual.

mod args;
mod channel;
mod embedded;

pub use args::ReplayArgs;
pub(crate) use channel::sandbox_signer;

use std::{
    collections::BTreeMap,
    error::Error,
    fs::File,
    io::{BufReader, BufWriter, Write},
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use shop_common::{config::Secret, db::DatabaseConfig, money::Fen, time::Clock};
use shop_replay::{
    effects::Effects,
    fault::Faults,
    generate::{generate, payments_of, rebind},
    notification::{Expect, Notification, Sign},
    plan::{Course, Subject, plan},
    recording::{self, Sent},
    report::{Audit, Report, kinds_of},
    run::{Attempted, Options, Run},
    signer::{Signer, Signers},
    store,
    target::{Target, Wanted},
};

use self::{args::Source, channel::Side, embedded::Embedded};
use crate::{
    assemble::{open_all_to_look, open_to_look},
    audit::{self, Schemas},
    config::Config,
    stop::{Stop, Stopped},
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Longest wait for work in flight before the audit.
const PATIENCE: Duration = Duration::from_secs(120);

/// The shop that is sent to.
struct Where {
    target: Target,
    embedded: Option<Embedded>,
    /// What the audit reads, where it is wanted.
    schemas: Option<Schemas>,
}

/// Replays what `args` say; `config` says whose keys sign, and which databases an audit reads, and a fresh shop is made of
/// its file and flags. A signal ends the run, and then the fresh shop, whose files go with it.
///
/// # Errors
/// Nothing was sent, or the run could not be finished. What the shop did wrong stands in the report.
pub(crate) async fn replay(
    args: &ReplayArgs,
    config: &Config,
    (file, flags): (Option<&Path>, &[(&str, String)]),
    stop: &mut Stop,
) -> Outcome<Result<Report, Stopped>> {
    let side = Side::new(args.channel, args.keys.as_deref(), args.target.is_none(), &config.pay)?;
    let signer = side.signer()?;
    let recorded = read_source(args, signer.as_ref()).await?;
    if recorded.as_ref().map_or(args.generate == Some(0), Vec::is_empty) {
        return Err("there is no notification to send".into());
    }
    let signers = Signers::new([signer.clone()]);
    let log = args.log.as_deref().map(create_log).transpose()?;
    let place = Box::pin(Where::open(args, config, &side, file, flags)).await?;
    let replayed = tokio::select! {
        biased;
        stopped = stop.asked() => Ok(Err(stopped)),
        replayed = Box::pin(place.replay(args, recorded, signer.as_ref(), &signers, log.as_ref())) => replayed.map(Ok),
    };
    if let Some(embedded) = place.embedded {
        stop.or_at_once(Box::pin(embedded.stop())).await?;
    }
    let replayed: Result<Report, Stopped> = replayed?;
    if let Some(log) = log {
        log.into_inner().unwrap_or_else(PoisonError::into_inner).flush()?;
    }
    if let (Some(junit), Ok(report)) = (&args.junit, &replayed) {
        std::fs::write(junit, report.to_junit()?).map_err(|error| format!("{}: {error}", junit.display()))?;
    }
    Ok(replayed)
}

/// The recorded notifications; none where they are generated.
async fn read_source(args: &ReplayArgs, signer: &dyn Signer) -> Outcome<Option<Vec<Notification>>> {
    let mut recorded = match args.source() {
        Source::Generate => return Ok(None),
        Source::File(path) => {
            let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let can_sign = |one: &Notification| can_sign(one, args.resign, signer);
            recording::read(BufReader::new(file), can_sign).map_err(|error| format!("{}: {error}", path.display()))?
        }
        Source::Shop(shop) => {
            let database = if shop.contains("://") {
                DatabaseConfig { url: Secret::new(shop), max_connections: 2 }
            } else {
                DatabaseConfig::sqlite(&Path::new(shop).join("pay.db"), 2)
            };
            let pay = open_to_look(&database).await?;
            let recorded = store::recorded(&pay).await;
            pay.close().await;
            recorded?.into_iter().filter(|one| one.channel == signer.channel()).collect()
        }
    };
    let is_sealed = |one: &Notification| one.channel == signer.channel() && !signer.can_open(&one.body);
    if recorded.iter().any(|one| one.expect == Expect::Accepted && is_sealed(one)) {
        let channel = signer.channel();
        return Err(
            format!("a notification of {channel} was sealed under another key: name its keys by --keys DIR").into()
        );
    }
    // A fresh shop has made no refund that it could be told of.
    if args.from_shop.is_some() && args.target.is_none() {
        recorded.retain(|one| signer.read(&one.body).is_some());
    }
    if args.resign {
        for notification in recorded.iter_mut().filter(|notification| notification.expect == Expect::Accepted) {
            notification.sign = notification.sign.or(Some(Sign::OURS));
        }
    }
    Ok(Some(recorded))
}

/// Only the channel of the run has a signer; another channel's may stand in a recording as they are.
fn can_sign(notification: &Notification, resign: bool, signer: &dyn Signer) -> Result<(), String> {
    let Notification { channel, sign, expect, .. } = notification;
    let is_signed = sign.is_some() || (resign && *expect == Expect::Accepted);
    if is_signed && channel != signer.channel() {
        return Err(format!("nothing can be signed for the channel {channel:?}; --channel names it"));
    }
    Ok(())
}

fn create_log(path: &Path) -> Outcome<Mutex<BufWriter<File>>> {
    let create = || {
        let mut log = BufWriter::new(File::create(path)?);
        log.write_all(recording::head().as_bytes())?;
        Ok(Mutex::new(log))
    };
    create().map_err(|error: std::io::Error| format!("{}: {error}", path.display()).into())
}

impl Where {
    async fn open(
        args: &ReplayArgs,
        config: &Config,
        side: &Side,
        file: Option<&Path>,
        flags: &[(&str, String)],
    ) -> Outcome<Self> {
        let Some(address) = &args.target else {
            let embedded = Box::pin(Embedded::start(side, file, flags)).await?;
            let schemas = Some(embedded.schemas().clone()).filter(|_| args.audit);
            return Ok(Self { target: embedded.target()?, embedded: Some(embedded), schemas });
        };
        let look = async || {
            open_all_to_look(config).await.map_err(|error| {
                format!("--audit reads the databases of the shop; name them by --config or --data-dir: {error}")
            })
        };
        let schemas = if args.audit { Some(look().await?) } else { None };
        Ok(Self { target: Target::connect(address).await?, embedded: None, schemas })
    }

    async fn replay(
        &self,
        args: &ReplayArgs,
        recorded: Option<Vec<Notification>>,
        signer: &dyn Signer,
        signers: &Signers,
        log: Option<&Mutex<BufWriter<File>>>,
    ) -> Outcome<Report> {
        let clock = Clock::system();
        let notifications = self.notifications(args, recorded, signer, signers, &clock).await?;
        let faults = args.faults(self.target.can_be_read_slowly(), self.target.can_hide());
        let courses = courses(args.seed, &notifications, &faults, signers)?;
        let steps = courses.iter().map(|course| course.attempts.len()).sum();
        let progress = progress("sending", steps)?;
        let watch = |attempted: &Attempted, as_sent: Option<&Notification>| {
            progress.inc(1);
            if let (Some(log), Some(as_sent)) = (log, as_sent) {
                write_log(log, attempted, as_sent);
            }
        };
        let options = Options { clients: args.clients, time_scale: args.time_scale };
        let run = Run {
            notifications: &notifications,
            courses: &courses,
            signers,
            target: &self.target,
            options,
            clock: clock.clone(),
            watch: &watch,
        };
        run.check()?;
        let started = clock.now();
        let attempted = run.send().await;
        let took = Duration::from_millis(u64::try_from(clock.now().get() - started.get()).unwrap_or_default());
        progress.finish_and_clear();
        let effects = Effects::count(&self.target, signers, &notifications, &attempted).await?;
        let mut report = Report::new((self.target.name(), args.seed), &notifications, &attempted, effects, took);
        if let Some(schemas) = &self.schemas {
            report.audit = Some(audited(schemas, &clock).await?);
        }
        Ok(report)
    }

    async fn notifications(
        &self,
        args: &ReplayArgs,
        recorded: Option<Vec<Notification>>,
        signer: &dyn Signer,
        signers: &Signers,
        clock: &Clock,
    ) -> Outcome<Vec<Notification>> {
        let now = clock.now();
        let wanted = |number: usize, user_id, goods_id| Wanted {
            request_id: format!("replay-{}-{number}", now.get()),
            user_id,
            goods_id,
            channel: signer.channel().to_owned(),
        };
        let notifications = match (recorded, &self.embedded) {
            (None, None) => {
                let wanted: Vec<Wanted> =
                    (0..args.generate.unwrap_or(0)).map(|number| wanted(number, args.user, args.goods)).collect();
                let progress = progress("placing orders", wanted.len())?;
                generate(&self.target, signer, wanted, now, |_| progress.inc(1)).await?
            }
            (None, Some(embedded)) => {
                let amounts = vec![embedded::AMOUNT; args.generate.unwrap_or(0)];
                let goods = embedded.stock(&amounts).await?;
                let of = |amount| goods.get(&amount).copied().unwrap_or_default();
                let wanted: Vec<Wanted> = amounts
                    .into_iter()
                    .enumerate()
                    .map(|(number, amount)| wanted(number, embedded::USER, of(amount)))
                    .collect();
                let progress = progress("placing orders", wanted.len())?;
                generate(&self.target, signer, wanted, now, |_| progress.inc(1)).await?
            }
            (Some(recorded), None) => recorded,
            (Some(recorded), Some(embedded)) => {
                let payments = payments_of(&recorded, signers);
                let goods: BTreeMap<Fen, i64> = embedded.stock(&payments.values().copied().collect::<Vec<_>>()).await?;
                let of = |amount| goods.get(&amount).copied().unwrap_or_default();
                let wanted: Vec<(i64, Wanted)> = payments
                    .into_iter()
                    .enumerate()
                    .map(|(number, (pay_id, amount))| (pay_id, wanted(number, embedded::USER, of(amount))))
                    .collect();
                let progress = progress("placing orders", wanted.len())?;
                rebind(&self.target, signers, recorded, wanted, |_| progress.inc(1)).await?
            }
        };
        if let Some(embedded) = &self.embedded {
            embedded.buyers_pay(&notifications, clock.now()).await?;
        }
        Ok(notifications)
    }
}

fn courses(seed: u64, notifications: &[Notification], faults: &Faults, signers: &Signers) -> Outcome<Vec<Course>> {
    let subjects = Subject::all(notifications, signers);
    if !faults.late.is_none() && !subjects.iter().any(|subject| subject.has_order) {
        return Err("--late cancels orders, and no notification says whose order it pays".into());
    }
    Ok(plan(seed, &subjects, faults))
}

fn write_log(log: &Mutex<BufWriter<File>>, attempted: &Attempted, as_sent: &Notification) {
    let answer = attempted.verdict.as_ref().map(ToString::to_string).unwrap_or_default();
    let sent = Sent { kind: kinds_of(attempted).join(" + "), answer };
    let line = recording::line(as_sent, Some(sent));
    if let Err(error) = log.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes()) {
        tracing::error!(%error, "the log of the run cannot be written");
    }
}

/// On a terminal; nothing elsewhere.
fn progress(what: &'static str, steps: usize) -> Outcome<ProgressBar> {
    let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} {per_sec} {eta}")?;
    let bar = ProgressBar::new(u64::try_from(steps)?).with_style(style).with_message(what);
    Ok(bar)
}

async fn audited(schemas: &Schemas, clock: &Clock) -> Outcome<Audit> {
    let options = audit::Options { wait: Some(PATIENCE), ..audit::Options::default() };
    let report = audit::audit(schemas, &options, clock).await?;
    let violations = report.checks.iter().flat_map(|check| {
        check.violations.iter().map(|violation| format!("{}: {}", check.id, violation.text)).collect::<Vec<String>>()
    });
    Ok(Audit { clean: report.is_clean(), violations: violations.collect() })
}
