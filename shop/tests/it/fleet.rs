//! The shop as processes: six roles and a broker, each with files of its own. Whoever calls a role goes through a proxy,
//! so that a role may start again on another port, and faults may lie between any two.

use std::{
    collections::BTreeMap,
    fs,
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

/// Six roles and a broker.
pub(crate) struct Fleet {
    databases: Databases,
    keys: Vec<String>,
    running: BTreeMap<&'static str, Running>,
    /// `host:port` of the name server; it stays over restarts.
    name_server: String,
    /// How each service is reached, by `ROLE public` and `ROLE internal`, and the gateway.
    doors: BTreeMap<String, Proxy>,
    /// Where each service's own pages for operators are.
    operations: BTreeMap<&'static str, String>,
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
        let keys: Vec<String> = self.keys().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        let keys = keys.iter().flat_map(|key| ["--set", key]);
        let audit = run(&self.dir, &keys.chain(["audit", "--wait", "180"]).collect::<Vec<&str>>()).await;
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
        let mut fleet = Self {
            databases,
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            running: BTreeMap::new(),
            name_server: "127.0.0.1:0".to_owned(),
            doors: BTreeMap::new(),
            operations: BTreeMap::new(),
        };
        for role in SERVICES {
            fleet.doors.insert(public(role), Proxy::start().await);
            fleet.doors.insert(internal(role), Proxy::start().await);
        }
        fleet.doors.insert(public(WEB), Proxy::start().await);
        fleet.start_role(BROKER).await;
        for role in SERVICES.iter().chain(&[WEB]) {
            fleet.start_role(role).await;
        }
        fleet
    }

    /// Starts a role, for the first time or again.
    pub(crate) async fn start_role(&mut self, role: &'static str) {
        let data_dir = self.databases.dir.join(role);
        fs::create_dir_all(&data_dir).unwrap();
        let keys = self.keys_of(role);
        let args: Vec<&str> = keys.iter().flat_map(|key| ["--set", key]).chain([role]).collect();
        // What it needs may be away: then it ends, and whoever looks after it starts it again.
        let end = Instant::now() + PATIENCE;
        let (running, line) = loop {
            if let Some(started) = Running::start(&data_dir, &args, &self.log(role)).await {
                break started;
            }
            assert!(Instant::now() < end, "{role} does not start: {}", fs::read_to_string(self.log(role)).unwrap());
            sleep(Duration::from_millis(100)).await;
        };
        let said: Vec<&str> = line.split(' ').collect();
        match said.as_slice() {
            ["Broker", "up:", "name", "server", address] => (*address).clone_into(&mut self.name_server),
            ["Web", "up:", "REST", address] => self.door(&public(role)).lead_to(address),
            [_, "up:", "public", "gRPC", clients, "|", "internal", "gRPC", services, "|", "operations", operators] => {
                self.door(&public(role)).lead_to(clients);
                self.door(&internal(role)).lead_to(services);
                self.operations.insert(role, (*operators).to_owned());
            }
            _ => panic!("{line}"),
        }
        self.running.insert(role, running);
    }

    fn keys_of(&self, role: &str) -> Vec<String> {
        let mut keys = vec!["grpc.listen=127.0.0.1:0".to_owned(), "web.listen=127.0.0.1:0".to_owned()];
        if role == BROKER {
            let (_, port) = self.name_server.split_once(':').unwrap();
            keys.push(format!("mq.name_server_port={port}"));
        } else {
            keys.push(format!("mq.name_server={}", self.name_server));
        }
        for (worker, service) in SERVICES.iter().enumerate() {
            keys.push(format!("internal.{service}=http://{}", self.door(&internal(service)).address()));
            keys.push(format!("{service}.internal_listen=127.0.0.1:0"));
            if *service == role {
                keys.push(format!("id.worker={worker}"));
                keys.push("ops.listen=127.0.0.1:0".to_owned());
                keys.push(format!("{service}.database.url={}", self.databases.url_of(service)));
            }
        }
        keys.extend(self.keys.iter().cloned());
        keys
    }

    /// A page for operators of a service.
    pub(crate) fn operations(&self, service: &str, path: &str) -> String {
        format!("http://{}{path}", self.operations[service])
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

    /// What a role logs, over all its lives.
    pub(crate) fn log(&self, role: &str) -> PathBuf {
        self.databases.dir.join(format!("{role}.log"))
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self, role: &str) {
        self.running.remove(role).expect("it runs").kill().await;
    }

    /// SIGTERM, one after the other, the gateway first and the broker last; each must end well.
    pub(crate) async fn stop(mut self) -> Databases {
        for role in [WEB, "order", "pay", "goods", "coupon", "user", BROKER] {
            let running = self.running.remove(role).expect("it runs");
            running.signal("TERM").await;
            let (status, _) = running.ended().await;
            assert_eq!(status.code(), Some(0), "{role}: {}", fs::read_to_string(self.log(role)).unwrap());
        }
        self.databases
    }

    /// Every process, its name and its number.
    pub(crate) fn processes(&self) -> impl Iterator<Item = (&'static str, u32)> {
        self.running.iter().map(|(role, running)| (*role, running.pid()))
    }

    /// Sends a role a signal by name.
    pub(crate) async fn signal(&self, role: &str, name: &str) {
        self.running[role].signal(name).await;
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
