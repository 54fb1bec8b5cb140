//! The shop as processes: six roles and a broker, each with files of its own. Whoever calls a role goes through a proxy,
//! so that a role may start again on another port, or run twice, and faults may lie between any two. Where
//! `SHOP_TEST_NAME_SERVER` says so, the broker is the one there, and no process of the fleet.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use shop::{assemble::open_all, audit::Schemas, config::Config};
use shop_testkit::{chaos::Menu, mariadb_schema, proxy::Proxy};
use tokio::time::sleep;
use tonic::transport::Channel;

use crate::{
    child::{Running, endpoint, run, stderr, stdout},
    clients::load::Entrance,
};

/// The roles that keep rows.
pub(crate) const SERVICES: [&str; 5] = ["goods", "coupon", "user", "order", "pay"];
/// Each of them once more.
pub(crate) const SECONDS: [&str; 5] = ["goods-2", "coupon-2", "user-2", "order-2", "pay-2"];
/// The gateway.
pub(crate) const WEB: &str = "web";
/// NameServer and Broker.
pub(crate) const BROKER: &str = "broker";

/// How long a role may be started again and again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the rows of the services are.
pub(crate) struct Databases {
    dir: PathBuf,
    /// Whoever looks at them goes straight.
    urls: BTreeMap<&'static str, String>,
    /// The services themselves, where a proxy can stand in between.
    proxied: BTreeMap<&'static str, (Proxy, String)>,
}

/// Six roles and a broker, by the names of their processes: that of the role, and for its second instance one of [`SECONDS`].
pub(crate) struct Fleet {
    databases: Databases,
    keys: Vec<String>,
    running: BTreeMap<&'static str, Running>,
    /// `host:port` of the name server; it stays over restarts.
    name_server: String,
    /// How each service is reached, by `ROLE public` and `ROLE internal`, and the gateway.
    doors: BTreeMap<String, Proxy>,
    /// Where the pages for operators of each process of a service are.
    operations: BTreeMap<&'static str, String>,
}

/// The role of a process.
fn role_of(name: &str) -> &str {
    name.strip_suffix("-2").unwrap_or(name)
}

/// What clients call of `role`.
pub(crate) fn public(role: &str) -> String {
    if role == WEB { role.to_owned() } else { format!("{role} public") }
}

/// What the other services call of `role`.
pub(crate) fn internal(role: &str) -> String {
    format!("{role} internal")
}

/// The rows of `service`.
fn database(service: &str) -> String {
    format!("{service} database")
}

impl Databases {
    /// A file for each service, in its directory below `dir`.
    pub(crate) fn sqlite(dir: &Path) -> Self {
        let url = |service: &str| {
            let own = dir.join(service);
            fs::create_dir_all(&own).unwrap();
            format!("sqlite://{}", own.join(format!("{service}.db")).display())
        };
        let urls = SERVICES.map(|service| (service, url(service))).into();
        Self { dir: dir.to_owned(), urls, proxied: BTreeMap::new() }
    }

    /// A schema of MariaDB for each service, behind a proxy; `None` where there is no MariaDB.
    pub(crate) async fn mariadb(dir: &Path) -> Option<Self> {
        let (mut urls, mut proxied) = (BTreeMap::new(), BTreeMap::new());
        for service in SERVICES {
            let url = mariadb_schema("utf8mb4_bin").await?;
            proxied.insert(service, Proxy::before_mysql(&url).await);
            urls.insert(service, url);
        }
        Some(Self { dir: dir.to_owned(), urls, proxied })
    }

    fn keys(&self) -> Vec<(String, String)> {
        let url = |(service, url): (&&str, &String)| (format!("{service}.database.url"), url.clone());
        self.urls.iter().map(url).chain([("data_dir".to_owned(), self.dir.display().to_string())]).collect()
    }

    /// All of them, with their schemas.
    pub(crate) async fn open(&self) -> Schemas {
        let keys = self.keys();
        let flags: Vec<(&str, String)> = keys.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        open_all(&Config::read(None, &flags).unwrap()).await.unwrap()
    }

    /// `shop audit` over all of them, once what is under way has finished.
    pub(crate) async fn assert_clean(&self) {
        self.audit(&["--wait", "180"]).await;
    }

    /// `shop audit` over all of them while nothing runs: a message that was in hand at the end waits for a new start.
    pub(crate) async fn assert_clean_as_they_are(&self) {
        self.audit(&[]).await;
    }

    async fn audit(&self, options: &[&str]) {
        let keys: Vec<String> = self.keys().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        let keys = keys.iter().flat_map(|key| ["--set", key]);
        let args: Vec<&str> = keys.chain(["audit"]).chain(options.iter().copied()).collect();
        let audit = run(&self.dir, &args).await;
        assert_eq!(audit.status.code(), Some(0), "{}{}", stdout(&audit), stderr(&audit));
    }

    /// How `service` itself reaches its rows.
    fn url_of(&self, service: &str) -> &str {
        self.proxied.get(service).map_or_else(|| self.urls[service].as_str(), |(_, url)| url)
    }
}

impl Fleet {
    /// Starts all of it, with these keys set everywhere.
    pub(crate) async fn start(databases: Databases, keys: &[&str]) -> Self {
        let elsewhere = env::var("SHOP_TEST_NAME_SERVER").ok();
        let starts_broker = elsewhere.is_none();
        let mut fleet = Self {
            databases,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            running: BTreeMap::new(),
            name_server: elsewhere.unwrap_or_else(|| "127.0.0.1:0".to_owned()),
            doors: BTreeMap::new(),
            operations: BTreeMap::new(),
        };
        for role in SERVICES {
            fleet.doors.insert(public(role), Proxy::start().await);
            fleet.doors.insert(internal(role), Proxy::start().await);
        }
        fleet.doors.insert(public(WEB), Proxy::start().await);
        if starts_broker {
            fleet.start_role(BROKER).await;
        }
        for role in SERVICES.iter().chain(&[WEB]) {
            fleet.start_role(role).await;
        }
        fleet
    }

    /// Starts a second instance of each service; their rows are in MariaDB.
    pub(crate) async fn start_seconds(&mut self) {
        for name in SECONDS {
            self.start_role(name).await;
        }
    }

    /// Starts a process, for the first time or again.
    pub(crate) async fn start_role(&mut self, name: &'static str) {
        let data_dir = self.databases.dir.join(name);
        fs::create_dir_all(&data_dir).unwrap();
        let (role, keys) = (role_of(name), self.keys_of(name));
        let args: Vec<&str> = keys.iter().flat_map(|key| ["--set", key]).chain([role]).collect();
        // What it needs may be away: then it ends, and whoever looks after it starts it again.
        let end = Instant::now() + PATIENCE;
        let (running, line) = loop {
            if let Some(started) = Running::start(&data_dir, &args, &self.log(name)).await {
                break started;
            }
            assert!(Instant::now() < end, "{name} does not start: {}", fs::read_to_string(self.log(name)).unwrap());
            sleep(Duration::from_millis(100)).await;
        };
        let said: Vec<&str> = line.split(' ').collect();
        match said.as_slice() {
            ["Broker", "up:", "name", "server", address] => (*address).clone_into(&mut self.name_server),
            ["Web", "up:", "REST", address] => self.door(&public(role)).lead_to(name, address),
            [_, "up:", "public", "gRPC", clients, "|", "internal", "gRPC", services, "|", "operations", operators] => {
                self.door(&public(role)).lead_to(name, clients);
                self.door(&internal(role)).lead_to(name, services);
                self.operations.insert(name, (*operators).to_owned());
            }
            _ => panic!("{line}"),
        }
        self.running.insert(name, running);
    }

    fn keys_of(&self, name: &'static str) -> Vec<String> {
        let role = role_of(name);
        let mut keys = vec!["grpc.listen=127.0.0.1:0".to_owned(), "web.listen=127.0.0.1:0".to_owned()];
        if role == BROKER {
            let (_, port) = self.name_server.split_once(':').unwrap();
            keys.push(format!("mq.name_server_port={port}"));
        } else {
            keys.push(format!("mq.name_server={}", self.name_server));
        }
        if let Some(worker) = SERVICES.iter().chain(&SECONDS).position(|process| *process == name) {
            keys.push(format!("id.worker={worker}"));
            keys.push(format!("instance={name}"));
            keys.push("ops.listen=127.0.0.1:0".to_owned());
            keys.push(format!("{role}.database.url={}", self.databases.url_of(role)));
        }
        for service in SERVICES {
            keys.push(format!("internal.{service}=http://{}", self.door(&internal(service)).address()));
            keys.push(format!("{service}.internal_listen=127.0.0.1:0"));
        }
        keys.extend(self.keys.iter().cloned());
        keys
    }

    /// A page for operators of a process of a service.
    pub(crate) fn operations(&self, name: &str, path: &str) -> String {
        format!("http://{}{path}", self.operations[name])
    }

    /// How something is reached; see [`public`] and [`internal`].
    pub(crate) fn door(&self, name: &str) -> &Proxy {
        &self.doors[name]
    }

    /// A connection for clients of a service; it is there again when the service is.
    pub(crate) fn connect(&self, role: &str) -> Channel {
        endpoint(self.door(&public(role)).address()).connect_lazy()
    }

    /// Where clients find it.
    pub(crate) fn entrance(&self) -> Entrance {
        let web = self.door(&public(WEB)).address();
        Entrance { orders: self.connect("order"), payments: self.connect("pay"), web }
    }

    /// The address of a page of the gateway.
    pub(crate) fn page(&self, path: &str) -> String {
        format!("http://{}{path}", self.door(&public(WEB)).address())
    }

    /// What a process logs, over all its lives.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.databases.dir.join(format!("{name}.log"))
    }

    /// `kill -9`, and a new start, of what runs.
    pub(crate) async fn restart(&mut self, name: &'static str) {
        if self.running.contains_key(name) {
            self.kill(name).await;
            self.start_role(name).await;
        }
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self, name: &str) {
        self.running.remove(name).expect("it runs").kill().await;
    }

    /// SIGTERM, one after the other, the gateway first and the broker last; each must end well.
    pub(crate) async fn stop(mut self) -> Databases {
        for role in [WEB, "order", "pay", "goods", "coupon", "user", BROKER] {
            for (name, running) in self.running.extract_if(.., |name, _| role_of(name) == role).collect::<Vec<_>>() {
                running.signal("TERM").await;
                let (status, _) = running.ended().await;
                assert_eq!(status.code(), Some(0), "{name}: {}", fs::read_to_string(self.log(name)).unwrap());
            }
        }
        assert!(self.running.is_empty());
        self.databases
    }

    /// Every process, its name and its number.
    pub(crate) fn processes(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.running.iter().map(|(role, running)| (*role, running.pid()))
    }

    /// Sends a process a signal by its name.
    pub(crate) async fn signal(&self, name: &str, signal: &str) {
        self.running[name].signal(signal).await;
    }

    /// What can go wrong with it.
    pub(crate) fn menu(&self) -> Menu {
        Menu {
            processes: self.running.keys().copied().collect(),
            doors: self.doors.keys().cloned().collect(),
            databases: self.databases.proxied.keys().map(|service| database(service)).collect(),
        }
    }

    /// The proxies of the menu.
    pub(crate) fn proxies(&self) -> BTreeMap<String, Proxy> {
        let databases = self.databases.proxied.iter().map(|(service, (proxy, _))| (database(service), proxy.clone()));
        self.doors.clone().into_iter().chain(databases).collect()
    }

    /// The databases.
    pub(crate) const fn databases(&self) -> &Databases {
        &self.databases
    }
}
