//! Everything at once, on real processes: load, a schedule of faults, healing, rest; then the audit and what the clients
//! remember (F01 to F13, F20, F60, F70, F79, F80, F89, H1 to H10). `docs/chaos.md` says how to run it for
//! hours, and how to come back to a seed.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use shop::audit::Schemas;
use shop_testkit::{
    chaos::{Act, Step, schedule},
    eventually,
    participant::number,
    proxy::Proxy,
};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    clients::{
        history,
        load::{self, Load},
        log::Log,
        stock,
    },
    fleet::{Databases, Fleet},
};

/// How long faults happen in a round.
const ROUND: Duration = Duration::from_secs(8);
/// Rounds, unless it runs for a time: one on SQLite, one on MariaDB.
const ROUNDS: u64 = 2;
/// Files and sockets that a process may have more than it has after a fresh start.
const MORE_FILES: usize = 64;
/// Longest wait for the last messages to be sent.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a fault interrupted is given back or asked again soon; the sandbox believes nobody but itself.
const KEYS: [&str; 4] = [
    "order.saga_deadline_s=3",
    "order.step_timeout_ms=1000",
    "sweeper.interval_ms=200",
    "pay.sandbox.tutorial_mode=false",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_at_once_nothing_is_lost_or_done_twice() {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let time = number("SHOP_CHAOS_SECONDS").map(Duration::from_secs);
    let first = number("SHOP_CHAOS_SEED");
    let rounds = if first.is_some() && time.is_none() { 1 } else { ROUNDS };
    let first = first.unwrap_or_else(|| rand::rng().random_range(0..u64::MAX / 2));
    let began = Instant::now();
    for seed in first.. {
        let is_over = time.map_or(seed - first >= rounds, |time| began.elapsed() >= time);
        if is_over {
            return;
        }
        round(seed).await;
    }
}

/// An odd seed runs on MariaDB, where there is one, with two instances of each service.
async fn round(seed: u64) {
    // Kept when something is wrong, with the schedule, the clients' log and those of the processes.
    let place = env::var_os("SHOP_CHAOS_DIR").map_or_else(env::temp_dir, PathBuf::from);
    let dir = tempfile::tempdir_in(place).unwrap().keep();
    let mariadb = if seed % 2 == 1 { Databases::mariadb(&dir).await } else { None };
    println!("SHOP_CHAOS_SEED={seed} on {} in {}", if mariadb.is_some() { "MariaDB" } else { "SQLite" }, dir.display());
    let is_double = mariadb.is_some();
    let databases = mariadb.unwrap_or_else(|| Databases::sqlite(&dir));
    let schemas = databases.open().await;
    stock::fill(&schemas).await;
    let log = Log::create(&dir.join("clients.log"));
    let mut fleet = Fleet::start(databases, &KEYS).await;
    if is_double {
        fleet.start_seconds().await;
    }

    let steps = schedule(seed, &fleet.menu(), ROUND);
    let shown = steps.iter().map(ToString::to_string).collect::<Vec<String>>().join("\n");
    println!("{shown}");
    fs::write(dir.join("schedule"), &shown).unwrap();
    let load = Load::start(&fleet.entrance(), &log, seed, 0);
    play(&mut fleet, &steps).await;
    all_die_at_once(&mut fleet, seed).await;
    sleep(Duration::from_secs(1)).await;
    load.stop_asking();
    load.ended().await;

    load::settle(&fleet.entrance(), &log, &schemas).await;
    fleet.databases().assert_clean().await;
    history::check(&fleet.entrance(), &log, &schemas).await;
    all_is_told(&schemas).await;
    the_channel_agrees(&schemas).await;
    println!("{}", log.summary());
    log.is_worth_something(2);
    nothing_leaks(&mut fleet).await;
    fleet.stop().await.assert_clean_as_they_are().await;
    no_panic(&dir);
    schemas.close().await;
    fs::remove_dir_all(&dir).unwrap();
}

/// Lets everything on the schedule begin and end when it is due. A process may wait for what a proxy keeps from it, so
/// proxies never wait for processes.
async fn play(fleet: &mut Fleet, steps: &[Step]) {
    let proxies = fleet.proxies();
    let mut moments: Vec<(Duration, bool, &Act)> =
        steps.iter().flat_map(|step| [(step.time.start, true, &step.act), (step.time.end, false, &step.act)]).collect();
    moments.sort_by_key(|(moment, ..)| *moment);
    let (of_proxies, of_processes): (Vec<_>, Vec<_>) = moments.into_iter().partition(|(_, _, act)| !is_of_process(act));
    let began = Instant::now();
    let network = async {
        for (moment, begins, act) in of_proxies {
            sleep_until(began + moment).await;
            spoil_or_heal(&proxies[act.subject()], begins, act);
        }
    };
    let processes = async {
        for (moment, begins, act) in of_processes {
            sleep_until(began + moment).await;
            stop_or_go_on(fleet, begins, act).await;
        }
    };
    tokio::join!(network, processes);
}

/// F13, as far as a kill shows it; then they start in any order.
async fn all_die_at_once(fleet: &mut Fleet, seed: u64) {
    let mut roles: Vec<&str> = fleet.processes().map(|(role, _)| role).collect();
    for role in &roles {
        fleet.kill(role).await;
    }
    roles.shuffle(&mut StdRng::seed_from_u64(seed));
    for role in roles {
        fleet.start_role(role).await;
    }
}

fn is_of_process(act: &Act) -> bool {
    matches!(act, Act::Kill(_) | Act::Freeze(_))
}

fn spoil_or_heal(proxy: &Proxy, begins: bool, act: &Act) {
    match act {
        Act::Spoil(_, fault) if begins => proxy.spoil(*fault),
        Act::SpoilCommit(_, nth, commit) if begins => proxy.spoil_commit(*nth, *commit),
        _ => proxy.heal(),
    }
}

async fn stop_or_go_on(fleet: &mut Fleet, begins: bool, act: &Act) {
    match (act, begins) {
        (Act::Kill(role), true) => fleet.kill(role).await,
        (Act::Kill(role), false) => fleet.start_role(role).await,
        (Act::Freeze(role), true) => fleet.signal(role, "STOP").await,
        (Act::Freeze(role), false) => fleet.signal(role, "CONT").await,
        (Act::Spoil(..) | Act::SpoilCommit(..), _) => {}
    }
}

/// H9: whatever was to be told is told, and nothing was put aside.
async fn all_is_told(schemas: &Schemas) {
    for db in [&schemas.goods, &schemas.coupon, &schemas.user, &schemas.order, &schemas.pay] {
        let is_told = async || number(db, "SELECT COUNT(*) AS n FROM trade_mq_producer_temp").await == 0;
        eventually("every message is sent", PATIENCE, is_told).await;
    }
}

/// H7: what the channel has booked is what we have booked, payment by payment.
async fn the_channel_agrees(schemas: &Schemas) {
    let other = "SELECT COUNT(*) AS n FROM sandbox_trade s JOIN trade_pay p ON p.pay_id = s.pay_id WHERE s.state = 1
        AND (p.is_paid <> 2 OR p.pay_amount_fen <> s.amount_fen OR p.refund_fen <> s.refund_fen)";
    assert_eq!(number(&schemas.pay, other).await, 0);
    let refunds = "SELECT COUNT(*) AS n FROM trade_refund WHERE state <> 1";
    assert_eq!(number(&schemas.pay, refunds).await, 0);
}

/// H10: after all that, no process holds more files and sockets than a fresh one.
async fn nothing_leaks(fleet: &mut Fleet) {
    let after = files(fleet);
    let roles: Vec<&str> = after.keys().copied().collect();
    for role in roles {
        fleet.restart(role).await;
    }
    let fresh = files(fleet);
    println!("files and sockets: {after:?}, fresh {fresh:?}");
    for (role, files) in after {
        assert!(files <= fresh[role] + MORE_FILES, "{role}: {files} files, fresh {}", fresh[role]);
    }
}

fn files(fleet: &Fleet) -> BTreeMap<&'static str, usize> {
    let count = |pid: u32| fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    fleet.processes().map(|(role, pid)| (role, count(pid))).collect()
}

/// H10: no process has panicked.
fn no_panic(dir: &Path) {
    for file in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "log") {
            let log = fs::read_to_string(&file).unwrap();
            let line = log.lines().find(|line| line.contains("panicked"));
            assert!(line.is_none(), "{}: {line:?}", file.display());
        }
    }
}
