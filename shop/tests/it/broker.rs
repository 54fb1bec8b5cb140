//! The broker dies, loses its store, hangs, fills its disk, while buyers order and pay (F13, F16, F17, F19 to F22): nobody
//! notices, every message that was owed is sent in the end, and messages are heard again.

mod disk;

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use shop::audit::Schemas;
use shop_testkit::{eventually, participant::number};
use tokio::time::sleep;

use self::disk::Disk;
use crate::{
    child::{self, Running, Up, run, stderr, stdout},
    clients::{
        history,
        load::{self, Entrance, Load},
        log::{Asked, Log},
        stock,
    },
};

/// How long buyers buy in each mood of the broker.
const LIFE: Duration = Duration::from_millis(500);
/// Longest wait for what is owed to be sent: after an outage the client of the broker waits half a minute by itself.
const PATIENCE: Duration = Duration::from_secs(120);
/// Disk of the broker: what it takes for a start, and a little more.
const DISK_MIB: u64 = 128;

/// The broker and where it lives.
struct Surroundings {
    dir: PathBuf,
    log: PathBuf,
    keys: [String; 2],
    broker: Option<Running>,
}

impl Surroundings {
    async fn start(dir: PathBuf, log: PathBuf) -> Self {
        let keys = free_ports();
        let mut surroundings = Self { dir, log, keys, broker: None };
        surroundings.start_broker().await;
        surroundings
    }

    async fn start_broker(&mut self) {
        let mut args: Vec<&str> = self.keys.iter().flat_map(|key| ["--set", key]).collect();
        args.push("broker");
        let started = Running::start(&self.dir, &args, &self.log).await;
        let (broker, _) = started.unwrap_or_else(|| panic!("{}", fs::read_to_string(&self.log).unwrap()));
        self.broker = Some(broker);
    }

    async fn kill_broker(&mut self) {
        self.broker.take().expect("it runs").kill().await;
    }

    /// The key by which the shop finds it.
    fn name_server(&self) -> String {
        let (_, port) = self.keys[0].split_once('=').unwrap();
        format!("mq.name_server=127.0.0.1:{port}")
    }

    fn broker(&self) -> &Running {
        self.broker.as_ref().expect("it runs")
    }
}

/// The keys of two ports that are free, and stay the broker's over its restarts.
fn free_ports() -> [String; 2] {
    let name_server = TcpListener::bind("127.0.0.1:0").unwrap();
    let (broker, _neighbour) = loop {
        let broker = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = broker.local_addr().unwrap().port();
        if let Ok(neighbour) = TcpListener::bind(("127.0.0.1", port - 2)) {
            break (broker, neighbour);
        }
    };
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    [format!("mq.name_server_port={}", port(&name_server)), format!("mq.broker_port={}", port(&broker))]
}

/// Buyers at work for a while, and until somebody has bought and paid.
struct Buyers {
    shop: Entrance,
    log: Log,
    round: u64,
}

impl Buyers {
    async fn buy(&mut self) {
        self.round += 1;
        let load = Load::start(&self.shop, &self.log, 0, self.round);
        sleep(LIFE).await;
        eventually("somebody buys and pays", PATIENCE, async || self.somebody_paid()).await;
        load.stop_asking();
        load.ended().await;
    }

    fn somebody_paid(&self) -> bool {
        let of_this_round = format!("round-{}/", self.round);
        let asked = self.log.asked();
        let paid = |asked: &Asked| asked.order().is_some() && asked.pay.as_ref().is_some_and(|pay| pay.is_acknowledged);
        asked.iter().any(|asked| asked.request.request_id.starts_with(&of_this_round) && paid(asked))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_what_becomes_of_the_broker() {
    // Kept when something is wrong, with the clients' log, the broker's and the shop's.
    let dir = tempfile::tempdir().unwrap().keep();
    println!("in {}", dir.display());
    let broker_dir = dir.join("broker");
    fs::create_dir(&broker_dir).unwrap();
    let disk = Disk::mount(&broker_dir, DISK_MIB);
    let schemas = child::schemas(&dir).await;
    stock::fill(&schemas).await;
    let log = Log::create(&dir.join("clients.log"));

    let mut around = Surroundings::start(broker_dir, dir.join("broker.log")).await;
    let name_server = around.name_server();
    let up = Up::start(&dir, &["sweeper.interval_ms=200", "pay.sandbox.tutorial_mode=false", &name_server]).await;
    let mut buyers = Buyers { shop: up.entrance().await, log: log.clone(), round: 0 };
    buyers.buy().await;
    dies_and_loses_its_store(&mut around, &mut buyers).await;
    hangs(&around, &mut buyers).await;
    if let Some(disk) = &disk {
        fills_its_disk(disk, &mut buyers).await;
    }

    load::settle(&buyers.shop, &log, &schemas).await;
    all_is_sent(&schemas).await;
    let audit = run(&dir, &["audit", "--wait", "60"]).await;
    assert_eq!(audit.status.code(), Some(0), "{}", stdout(&audit));
    history::check(&buyers.shop, &log, &schemas).await;
    println!("{}", log.summary());
    messages_are_heard_again(&up, &mut buyers).await;
    up.signal("TERM").await;
    assert_eq!(up.ended().await.0.code(), Some(0));
    around.kill_broker().await;
    schemas.close().await;
    drop(disk);
    fs::remove_dir_all(&dir).unwrap();
}

async fn dies_and_loses_its_store(around: &mut Surroundings, buyers: &mut Buyers) {
    tokio::join!(buyers.buy(), async {
        sleep(LIFE / 2).await;
        around.kill_broker().await;
    });
    buyers.buy().await;
    around.start_broker().await;
    buyers.buy().await;

    around.kill_broker().await;
    fs::remove_dir_all(around.dir.join("mq")).unwrap();
    around.start_broker().await;
    buyers.buy().await;
}

async fn hangs(around: &Surroundings, buyers: &mut Buyers) {
    around.broker().signal("STOP").await;
    buyers.buy().await;
    around.broker().signal("CONT").await;
    buyers.buy().await;
}

async fn fills_its_disk(disk: &Disk, buyers: &mut Buyers) {
    disk.fill();
    buyers.buy().await;
    disk.empty();
    buyers.buy().await;
}

async fn all_is_sent(schemas: &Schemas) {
    let owed = "SELECT COUNT(*) AS n FROM trade_mq_producer_temp";
    eventually("all is sent", PATIENCE, async || {
        number(&schemas.order, owed).await + number(&schemas.pay, owed).await == 0
    })
    .await;
}

/// Each group that hears of payments handles more of them.
async fn messages_are_heard_again(up: &Up, buyers: &mut Buyers) {
    let before = handled(up).await;
    buyers.buy().await;
    eventually("messages are heard again", PATIENCE, async || {
        let now = handled(up).await;
        now.len() == before.len() && before.iter().zip(&now).all(|((_, before), (_, now))| before < now)
    })
    .await;
}

/// How many messages each group that hears of payments has handled.
async fn handled(up: &Up) -> Vec<(String, u64)> {
    let text = reqwest::get(format!("http://{}/metrics", up.web)).await.unwrap().text().await.unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("shop_messages_handled_total{group=\""));
    let groups = lines.filter_map(|line| line.split_once("\"} "));
    let mut handled: Vec<(String, u64)> = groups
        .filter(|(group, _)| group.contains("pay_success"))
        .map(|(group, count)| (group.to_owned(), count.parse().unwrap()))
        .collect();
    handled.sort();
    handled
}

/// What keeps it from starting is said with the place.
#[tokio::test]
async fn a_broker_that_cannot_write_says_where_and_why() {
    let refused = run(Path::new("/proc/shop"), &["broker"]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("/proc/shop/mq/broker"), "{}", stderr(&refused));

    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(dir.path(), 64) else { return };
    disk.fill();
    let refused = run(dir.path(), &["broker"]).await;
    let told = stderr(&refused);
    assert_eq!(refused.status.code(), Some(1));
    for part in [dir.path().to_str().unwrap(), "0 MiB of 64 MiB left", "data_dir", "mq.name_server"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    disk.empty();
    disk.make_read_only();
    let refused = run(dir.path(), &["broker"]).await;
    let told = stderr(&refused);
    assert_eq!(refused.status.code(), Some(1));
    assert!(told.contains(dir.path().to_str().unwrap()) && told.contains("ead-only"), "{told}");
}
