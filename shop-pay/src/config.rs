//! Configuration of the pay service.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};
use shop_common::{batch::Limits, config::Secret, db::DatabaseConfig, outbox::RelayConfig, time::Clock};

use crate::channel::{alipay::Alipay, sandbox::Sandbox, wechat::Wechat};

/// Key id of the built-in key of the sandbox.
pub const DEMO_KID: &str = "demo";
/// The built-in key of the sandbox: known to everybody, so good for loopback only.
pub const DEMO_KEY: &str = "demo-key-of-the-sandbox-which-everybody-knows";

/// Section `pay`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where its rows are.
    pub database: DatabaseConfig,
    /// Where its internal services listen when it is a process of its own.
    pub internal_listen: SocketAddr,
    /// Limits of its batches.
    pub batch: Limits,
    /// The pool that sends its messages.
    pub relay: RelayConfig,
    /// After how many seconds without a notification the channel of an open payment is asked: 1 to 86,400.
    pub query_after_s: u64,
    /// The channel that stands in for Alipay and WeChat Pay.
    pub sandbox: SandboxConfig,
    /// Alipay.
    pub alipay: AlipayConfig,
    /// WeChat Pay.
    pub wechat: WechatConfig,
}

/// Section `pay.sandbox`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SandboxConfig {
    /// Whether the channel exists.
    pub enabled: bool,
    /// Our number at the provider; a notification for another merchant is refused.
    pub merchant_id: String,
    /// Key id of the key that signs.
    pub kid: String,
    /// The keys a notification may be signed with, by key id: one, or two while keys are changed. At least 32 bytes each.
    pub keys: BTreeMap<String, Secret>,
    /// Whether an unsigned hint pays a payment, as the course's callback does.
    pub tutorial_mode: bool,
    /// What stands in front of the payment's number in `pay_url`.
    pub pay_url_prefix: String,
}

/// Section `pay.alipay`. A key is PEM text, or stands in the file that is named; RSA of at least 2048 bits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlipayConfig {
    /// Whether the channel exists.
    pub enabled: bool,
    /// Alipay's gateway; https, except on loopback.
    pub gateway: String,
    /// The number of our application there; a notification for another one is refused.
    pub app_id: String,
    /// Our number as a seller; a notification for another one is refused.
    pub seller_id: String,
    /// Where Alipay sends its notifications: the gateway's `/api/v1/callbacks/alipay` as it is reached from outside.
    pub notify_url: String,
    /// What the buyer reads above the amount.
    pub subject: String,
    /// Our private key, which signs what we ask.
    pub private_key: Secret,
    /// The file it stands in.
    pub private_key_file: String,
    /// Alipay's public key, which its answers and notifications are verified with.
    pub public_key: String,
    /// The file it stands in.
    pub public_key_file: String,
    /// The public key that Alipay changes to; both are believed until this one is the only one.
    pub next_public_key: String,
    /// The file it stands in.
    pub next_public_key_file: String,
}

/// Section `pay.wechat`. A key is its text, or stands in the file that is named; RSA of at least 2048 bits as PEM.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WechatConfig {
    /// Whether the channel exists.
    pub enabled: bool,
    /// WeChat Pay's API; https, except on loopback.
    pub gateway: String,
    /// The number of our application there; a notification for another one is refused.
    pub app_id: String,
    /// Our number as a merchant; a notification for another one is refused.
    pub mchid: String,
    /// Where WeChat Pay sends its notifications: the gateway's `/api/v1/callbacks/wechat` as it is reached from outside.
    pub notify_url: String,
    /// What the buyer reads above the amount.
    pub description: String,
    /// Serial of our certificate.
    pub merchant_serial: String,
    /// Our private key, which signs what we ask.
    pub private_key: Secret,
    /// The file it stands in.
    pub private_key_file: String,
    /// The key of 32 characters that notifications are sealed under.
    pub api_v3_key: Secret,
    /// The file it stands in.
    pub api_v3_key_file: String,
    /// Serial of the provider's certificate, or the id of its public key, as answers and notifications name it.
    pub platform_serial: String,
    /// The public key of that name; answers and notifications are believed by it alone.
    pub platform_key: String,
    /// The file it stands in.
    pub platform_key_file: String,
    /// Serial or id of the key that the provider changes to.
    pub next_platform_serial: String,
    /// The public key of that name; while it is set, both are believed.
    pub next_platform_key: String,
    /// The file it stands in.
    pub next_platform_key_file: String,
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadConfig {
    /// Never, or all the time.
    #[error("pay.query_after_s must be in 1..=86400, not {0}")]
    QueryAfter(u64),
    /// Neither the old nor the new key, or too many to know by heart.
    #[error("pay.sandbox.keys must hold one or two keys, not {0}")]
    KeyCount(usize),
    /// A key that can be guessed, or a key id that cannot stand in the header.
    #[error("pay.sandbox.keys.{0}: a key has at least 32 bytes, a key id 1 to 32 letters, digits, '-' or '_'")]
    Key(String),
    /// The key that signs is not among the keys.
    #[error("pay.sandbox.kid names {0:?}, which is not in pay.sandbox.keys")]
    Kid(String),
    /// Our number is empty or too long.
    #[error("pay.sandbox.merchant_id must have 1 to 64 characters")]
    Merchant,
    /// The column holds 255 characters.
    #[error("pay.sandbox.pay_url_prefix must have at most 200 characters")]
    PayUrlPrefix,
    /// A key of the configuration of a real channel.
    #[error("pay.{channel}.{key}: {why}")]
    Channel {
        /// The channel's name.
        channel: &'static str,
        /// Which key.
        key: &'static str,
        /// What is wrong with it; holds nothing secret.
        why: String,
    },
    /// Two channels of one name.
    #[error("the payment channel {0:?} is there twice")]
    ChannelTwice(String),
}

impl Config {
    /// Whether a service could be made of it: all that [`crate::Pay::new`] refuses, with nothing opened.
    ///
    /// # Errors
    /// [`BadConfig`].
    pub fn check(&self) -> Result<(), BadConfig> {
        self.query_after()?;
        if self.sandbox.enabled {
            Sandbox::check(&self.sandbox)?;
        }
        if self.alipay.enabled {
            Alipay::new(&self.alipay, Clock::system())?;
        }
        if self.wechat.enabled {
            Wechat::new(&self.wechat, Clock::system())?;
        }
        Ok(())
    }

    /// How long a payment may be silent before its channel is asked.
    pub(crate) fn query_after(&self) -> Result<Duration, BadConfig> {
        match self.query_after_s {
            1..=86_400 => Ok(Duration::from_secs(self.query_after_s)),
            wrong => Err(BadConfig::QueryAfter(wrong)),
        }
    }
}

impl SandboxConfig {
    /// Whether the built-in key would be believed: only while every listener is loopback.
    pub fn has_demo_key(&self) -> bool {
        self.enabled && self.keys.values().any(|key| key.reveal() == DEMO_KEY)
    }
}
