//! The configuration of the binary: one section per service, and what belongs to the process.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use shop_broker::BrokerConfig;
use shop_common::{
    config::{ConfigError, at_least_one, load},
    db::DatabaseConfig,
    id::Generator,
    mq::check_instance,
    service::{ServerLimits, SweeperConfig},
};
use tempfile::TempDir;

use crate::exposure::AllowConfig;

/// The defaults, and the reference page of every key.
pub const DEFAULTS: &str = include_str!("../../deploy/config.reference.toml");

/// Everything that can be configured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the embedded parts keep their files.
    pub data_dir: PathBuf,
    /// Name of this instance.
    #[serde(deserialize_with = "instance")]
    pub instance: String,
    /// Section `id`.
    pub id: IdConfig,
    /// Section `log`.
    pub log: LogConfig,
    /// Section `grpc`.
    pub grpc: GrpcConfig,
    /// Section `ops`.
    pub ops: OpsConfig,
    /// Section `calls`.
    pub calls: CallsConfig,
    /// Section `shutdown`.
    pub shutdown: ShutdownConfig,
    /// Section `internal`.
    pub internal: InternalConfig,
    /// Section `sweeper`.
    pub sweeper: SweeperConfig,
    /// Section `mq`.
    pub mq: MqConfig,
    /// Section `goods`.
    pub goods: shop_goods::Config,
    /// Section `coupon`.
    pub coupon: shop_coupon::Config,
    /// Section `user`.
    pub user: shop_user::Config,
    /// Section `order`.
    pub order: shop_order::Config,
    /// Section `pay`.
    pub pay: shop_pay::Config,
    /// Section `web`.
    pub web: shop_web::Config,
    /// Section `allow`.
    pub allow: AllowConfig,
}

/// Section `id`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdConfig {
    /// Worker number, 0..=1023.
    #[serde(deserialize_with = "worker")]
    pub worker: i32,
}

/// Section `log`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// Filter in the syntax of `RUST_LOG`.
    pub filter: String,
}

/// Section `grpc`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcConfig {
    /// Where the public services listen.
    pub listen: SocketAddr,
    /// Most calls at once on a listener; one more is answered `SHOP_BUSY`.
    #[serde(deserialize_with = "at_least_one")]
    pub max_in_flight: usize,
    /// Most connections at once on a listener; more wait to be accepted.
    #[serde(deserialize_with = "at_least_one")]
    pub max_connections: usize,
}

impl GrpcConfig {
    pub(crate) fn limits(self) -> ServerLimits {
        ServerLimits { max_in_flight: self.max_in_flight, max_connections: self.max_connections }
    }
}

/// Section `ops`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpsConfig {
    /// Where a role other than the gateway serves health, readiness and metrics over HTTP; nowhere by default.
    #[serde(deserialize_with = "address_or_none")]
    pub listen: Option<SocketAddr>,
}

/// Section `calls`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallsConfig {
    /// Most calls that a service, or the gateway, has under way to one other service.
    #[serde(deserialize_with = "at_least_one")]
    pub max_in_flight: usize,
}

/// Section `shutdown`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShutdownConfig {
    /// How long the process says that it is not ready before it stops accepting, in milliseconds.
    pub notice_ms: u64,
    /// How long what runs may take to finish after that, in milliseconds.
    pub grace_ms: u64,
}

impl ShutdownConfig {
    pub(crate) const fn notice(self) -> Duration {
        Duration::from_millis(self.notice_ms)
    }

    pub(crate) const fn grace(self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }
}

/// Section `internal`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InternalConfig {
    /// Where the order service is found.
    pub order: String,
    /// Where the goods service is found.
    pub goods: String,
    /// Where the coupon service is found.
    pub coupon: String,
    /// Where the user service is found.
    pub user: String,
    /// Where the pay service is found.
    pub pay: String,
    /// Whether internal listeners may be on another address than loopback.
    pub allow_public_listen: bool,
}

/// Section `mq`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqConfig {
    /// Address of the name server; empty = a broker inside this process.
    pub name_server: String,
    /// Port of the name server that runs in this process; 0 = a free one.
    pub name_server_port: u16,
    /// Port of the broker that runs in this process, which takes the one two below it as well; 0 = a free one.
    pub broker_port: u16,
}

impl MqConfig {
    /// The broker that runs in this process, with its store below `data_dir`.
    pub(crate) fn broker(&self, data_dir: &Path) -> BrokerConfig {
        let port = |number: u16| (number != 0).then_some(number);
        BrokerConfig {
            data_dir: data_dir.join("mq").join("broker"),
            name_server_port: port(self.name_server_port),
            broker_port: port(self.broker_port),
        }
    }
}

fn address_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(D::Error::custom) }
}

fn worker<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    let generator = Generator::new(i32::deserialize(deserializer)?).map_err(D::Error::custom)?;
    Ok(generator.worker())
}

fn instance<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    check_instance(&name).map_err(D::Error::custom)?;
    Ok(name)
}

/// The flags of a fresh shop in this process, whatever else is configured: its files in `data_dir`, a broker inside, free
/// ports.
pub(crate) fn fresh(data_dir: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("data_dir", data_dir.display().to_string()),
        ("mq.name_server", String::new()),
        ("mq.name_server_port", "0".to_owned()),
        ("mq.broker_port", "0".to_owned()),
        ("grpc.listen", "127.0.0.1:0".to_owned()),
        ("web.listen", "127.0.0.1:0".to_owned()),
        ("goods.database.url", String::new()),
        ("coupon.database.url", String::new()),
        ("user.database.url", String::new()),
        ("order.database.url", String::new()),
        ("pay.database.url", String::new()),
    ]
}

impl Config {
    /// Reads the layers; databases without an address get a SQLite file in `data_dir`.
    ///
    /// # Errors
    /// As [`load`].
    pub fn read(file: Option<&Path>, flags: &[(&str, String)]) -> Result<Self, ConfigError> {
        let mut config: Self = load(DEFAULTS, file, flags)?;
        let data_dir = config.data_dir.clone();
        for (name, database) in config.databases_mut() {
            if database.url.reveal().is_empty() {
                *database = DatabaseConfig::sqlite(&data_dir.join(format!("{name}.db")), database.max_connections);
            }
        }
        Ok(config)
    }

    /// A directory for a fresh shop, gone with its handle: beneath `data_dir` where that exists, else in the machine's place
    /// for temporary files.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn fresh_dir(&self) -> io::Result<TempDir> {
        if self.data_dir.is_dir() { tempfile::tempdir_in(&self.data_dir) } else { tempfile::tempdir() }
    }

    fn databases_mut(&mut self) -> [(&'static str, &mut DatabaseConfig); 5] {
        [
            ("goods", &mut self.goods.database),
            ("coupon", &mut self.coupon.database),
            ("user", &mut self.user.database),
            ("order", &mut self.order.database),
            ("pay", &mut self.pay.database),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_the_default() {
        let config = Config::read(None, &[]).unwrap();
        assert_eq!(config.order.pay_timeout_s, 1800);
        assert_eq!(config.order.saga_deadline_s, 30);
        assert_eq!(config.sweeper.interval_ms, 1000);
        assert_eq!(config.goods.database.url.reveal(), "sqlite://data/goods.db");
    }

    #[test]
    fn a_directory_may_have_any_name() {
        for name in ["a%20b", "what?", "a b", "#1", "100%"] {
            let config = Config::read(None, &[("data_dir", name.into())]).unwrap();
            assert_eq!(config.pay.database.file().unwrap(), Some(Path::new(name).join("pay.db")));
        }
    }

    #[test]
    fn a_flag_moves_every_file() {
        let config = Config::read(None, &[("data_dir", "/tmp/elsewhere".into())]).unwrap();
        assert_eq!(config.pay.database.url.reveal(), "sqlite:///tmp/elsewhere/pay.db");
    }

    #[test]
    fn what_is_printed_holds_no_secret() {
        let flags = [("goods.database.url", "mysql://root:hunter2@localhost/goods".to_owned())];
        let config = Config::read(None, &flags).unwrap();
        assert_eq!(config.goods.database.url.reveal(), "mysql://root:hunter2@localhost/goods");
        assert!(!toml::to_string(&config).unwrap().contains("hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
