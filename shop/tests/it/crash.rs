//! `kill -9` of `shop up` under load, again and again on the same data directory: nothing that was acknowledged is lost,
//! nothing is done twice, and every question without an answer gets a definite one (F01 to F13, H1 to H6).
//!
//! A killed process leaves the page cache behind: this says nothing about a power cut.

use std::{env, fs, path::Path, process::Stdio, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::sleep;

use crate::{
    child::{self, Up, run, shop, stdout},
    clients::{
        history,
        load::{self, Load},
        log::Log,
        stock,
    },
};

/// How often it is killed, unless `SHOP_CRASH_ROUNDS` says otherwise.
const ROUNDS: u64 = 20;
/// Longest life under load, in milliseconds.
const LIFE: u64 = 1000;
/// Sagas that a kill interrupted are given back soon; the sandbox believes nobody but itself.
const KEYS: [&str; 3] = ["order.saga_deadline_s=3", "sweeper.interval_ms=200", "pay.sandbox.tutorial_mode=false"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9() {
    let number = |name| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let rounds = number("SHOP_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = number("SHOP_CRASH_SEED").unwrap_or_else(|| rand::rng().random());
    // Kept when something is wrong, with the clients' log and the shop's.
    let dir = tempfile::tempdir().unwrap().keep();
    println!("SHOP_CRASH_SEED={seed} SHOP_CRASH_ROUNDS={rounds} in {}", dir.display());
    let mut random = StdRng::seed_from_u64(seed);

    let schemas = child::schemas(&dir).await;
    stock::fill(&schemas).await;
    let log = Log::create(&dir.join("clients.jsonl"));
    for round in 0..rounds {
        if random.random_ratio(1, 4) {
            killed_while_it_starts(&dir, Duration::from_millis(random.random_range(5..1000))).await;
        }
        let up = Up::start(&dir, &KEYS).await;
        let load = Load::start(&up.entrance().await, &log, seed, round);
        let life = Duration::from_millis(random.random_range(5..LIFE));
        println!("round {round}: killed after {life:?}");
        sleep(life).await;
        load.stop_asking();
        up.kill().await;
        load.ended().await;
    }

    let up = Up::start(&dir, &KEYS).await;
    let shop = up.entrance().await;
    load::settle(&shop, &log, &schemas).await;
    let audit = run(&dir, &["audit", "--wait", "60"]).await;
    assert_eq!(audit.status.code(), Some(0), "{}", stdout(&audit));
    history::check(&shop, &log, &schemas).await;
    log.nothing_is_given_up_alive();
    println!("{}", log.summary());
    log.is_worth_something(rounds);
    up.signal("TERM").await;
    assert_eq!(up.ended().await.0.code(), Some(0));
    schemas.close().await;
    fs::remove_dir_all(&dir).unwrap();
}

/// Recovery is interrupted too.
async fn killed_while_it_starts(data_dir: &Path, life: Duration) {
    let listen = ["--set", "grpc.listen=127.0.0.1:0", "--set", "web.listen=127.0.0.1:0", "up"];
    let mut starting = shop(data_dir, &listen).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    sleep(life).await;
    starting.kill().await.unwrap();
}
