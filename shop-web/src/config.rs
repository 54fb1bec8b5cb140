//! Configuration of the gateway.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use serde::{Deserialize, Deserializer, Serialize, de};
use shop_common::config::at_least_one;

/// Section `web`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Addresses to listen on; all serve the same. A list, or one text with commas.
    #[serde(deserialize_with = "addresses")]
    pub listen: Vec<SocketAddr>,
    /// Largest body of a request.
    #[serde(deserialize_with = "at_least_one")]
    pub body_limit_bytes: usize,
    /// Longest time a body may take to arrive, in milliseconds.
    #[serde(deserialize_with = "at_least_one")]
    pub body_timeout_ms: u64,
    /// Deadline of each call to a service, in milliseconds.
    #[serde(deserialize_with = "at_least_one")]
    pub call_timeout_ms: u64,
    /// Most requests at work at once; one more is answered 429.
    #[serde(deserialize_with = "at_least_one")]
    pub max_in_flight: usize,
    /// Most event streams at once; one more is answered 429.
    pub max_event_streams: usize,
    /// Most connections at once over all addresses; more wait to be accepted.
    #[serde(deserialize_with = "at_least_one")]
    pub max_connections: usize,
    /// Most calls under way to one service; one more is answered as busy and certainly not run.
    #[serde(deserialize_with = "at_least_one")]
    pub max_calls: usize,
    /// Whether `x-user-id` is believed without authentication. Not said: yes while every listener is loopback.
    pub allow_unauthenticated_user_header: Option<bool>,
}

/// A listener is reachable from outside and nobody said whether `x-user-id` may be believed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a listener is not loopback: set web.allow_unauthenticated_user_header to true or false")]
pub struct NotAllowed;

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: [8080, 9090].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).to_vec(),
            body_limit_bytes: 64 << 10,
            body_timeout_ms: 10_000,
            call_timeout_ms: 10_000,
            max_in_flight: 1024,
            max_event_streams: 1024,
            max_connections: 4096,
            max_calls: 512,
            allow_unauthenticated_user_header: None,
        }
    }
}

impl Config {
    /// Whether the process may start; `every_listener_is_loopback` speaks of all its listeners, not only of these.
    ///
    /// # Errors
    /// [`NotAllowed`].
    pub const fn check(&self, every_listener_is_loopback: bool) -> Result<(), NotAllowed> {
        if every_listener_is_loopback || self.allow_unauthenticated_user_header.is_some() {
            Ok(())
        } else {
            Err(NotAllowed)
        }
    }

    /// Whether `x-user-id` is believed.
    pub fn believes_user_header(&self) -> bool {
        let loopback = self.listen.iter().all(|address| address.ip().is_loopback());
        self.allow_unauthenticated_user_header.unwrap_or(loopback)
    }

    pub(crate) const fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    /// Deadline of each call to a service.
    pub const fn call_timeout(&self) -> Duration {
        Duration::from_millis(self.call_timeout_ms)
    }
}

/// Variables of the environment and flags bring one text, files a list.
fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SocketAddr>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Addresses {
        Text(String),
        List(Vec<SocketAddr>),
    }
    match Addresses::deserialize(deserializer)? {
        Addresses::List(list) => Ok(list),
        Addresses::Text(text) => {
            let parse = |part: &str| part.trim().parse().map_err(|_| de::Error::custom(format!("no address: {part}")));
            text.split(',').map(parse).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct All {
            web: Config,
        }
        shop_common::config::load::<All>(text, None, &[]).map(|all| all.web).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_the_ports_of_the_course_on_loopback() {
        let config = load("[web]").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.listen, ["127.0.0.1:8080".parse().unwrap(), "127.0.0.1:9090".parse().unwrap()]);
        assert!(config.believes_user_header());
    }

    #[test]
    fn addresses_are_a_list_or_one_text() {
        let expected: Vec<SocketAddr> = vec!["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()];
        assert_eq!(load("[web]\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]").unwrap().listen, expected);
        assert_eq!(load("[web]\nlisten = \"127.0.0.1:1, [::1]:2\"").unwrap().listen, expected);
        assert!(load("[web]\nlisten = \"localhost\"").is_err());
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(load("[web]\nlissen = []").unwrap_err().contains("lissen"));
    }

    #[test]
    fn outside_of_loopback_somebody_must_have_said_so() {
        let mut config = Config { listen: vec!["0.0.0.0:8080".parse().unwrap()], ..Config::default() };
        assert_eq!((config.check(false), config.believes_user_header()), (Err(NotAllowed), false));
        config.allow_unauthenticated_user_header = Some(false);
        assert_eq!((config.check(false), config.believes_user_header()), (Ok(()), false));
        config.allow_unauthenticated_user_header = Some(true);
        assert_eq!((config.check(false), config.believes_user_header()), (Ok(()), true));
        assert_eq!(Config::default().check(true), Ok(()));
        assert_eq!(Config::default().check(false), Err(NotAllowed));
    }
}
