//! What is only good on loopback, and the keys that allow it elsewhere.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::Config;

/// Section `allow`: each key says yes to something on listeners that are not loopback.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each key is a yes or no of its own")]
pub struct AllowConfig {
    /// The sandbox channel and its buyer's page, and what `shop sim` serves: anybody can mark a payment paid.
    pub sandbox: bool,
    /// The sandbox's built-in key, which everybody knows.
    pub sandbox_demo_key: bool,
    /// Tutorial mode: an unsigned callback pays.
    pub tutorial_mode: bool,
    /// What operators call (refunds) beside what clients call: anybody who comes that far may give money back. Without
    /// it they are not served there.
    pub operator: bool,
}

/// Something would be reachable from outside that nobody has allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{listener} is not loopback: set {key} to say what you want there")]
pub struct NotAllowed {
    listener: SocketAddr,
    key: &'static str,
}

/// Every listener of the process.
pub fn listeners(config: &Config) -> Vec<SocketAddr> {
    config.web.listen.iter().copied().chain([config.grpc.listen]).collect()
}

/// Refuses what is only good on loopback on other listeners, unless its key says yes.
///
/// # Errors
/// [`NotAllowed`] names the listener and the key.
pub fn check(config: &Config, listeners: &[SocketAddr]) -> Result<(), NotAllowed> {
    let Some(listener) = listeners.iter().copied().find(|address| !address.ip().is_loopback()) else { return Ok(()) };
    let refuse = |key| Err(NotAllowed { listener, key });
    let (sandbox, allow) = (&config.pay.sandbox, config.allow);
    if config.web.check(false).is_err() {
        return refuse("web.allow_unauthenticated_user_header");
    }
    if sandbox.enabled && !allow.sandbox {
        return refuse("allow.sandbox");
    }
    if sandbox.has_demo_key() && !allow.sandbox_demo_key {
        return refuse("allow.sandbox_demo_key");
    }
    if sandbox.enabled && sandbox.tutorial_mode && !allow.tutorial_mode {
        return refuse("allow.tutorial_mode");
    }
    Ok(())
}

/// Whether operators are served on these listeners, beside clients.
pub fn serves_operators(config: &Config, listeners: &[SocketAddr]) -> bool {
    config.allow.operator || listeners.iter().all(|address| address.ip().is_loopback())
}

/// Refuses an internal listener that is not loopback unless `internal.allow_public_listen` says yes: internal services
/// take every caller's word.
///
/// # Errors
/// [`NotAllowed`].
pub fn check_internal(config: &Config, listener: SocketAddr) -> Result<(), NotAllowed> {
    if listener.ip().is_loopback() || config.internal.allow_public_listen {
        return Ok(());
    }
    Err(NotAllowed { listener, key: "internal.allow_public_listen" })
}

/// Refuses a simulator of a provider that is not on loopback unless `allow.sandbox` says yes: as at the sandbox, anybody
/// can pay there.
///
/// # Errors
/// [`NotAllowed`].
pub fn check_simulator(config: &Config, listener: SocketAddr) -> Result<(), NotAllowed> {
    if listener.ip().is_loopback() || config.allow.sandbox {
        return Ok(());
    }
    Err(NotAllowed { listener, key: "allow.sandbox" })
}

/// What is open because every listener is loopback; announced at start.
pub fn announce(config: &Config) -> Vec<&'static str> {
    let sandbox = &config.pay.sandbox;
    let mut open = Vec::new();
    if serves_operators(config, &listeners(config)) {
        open.push("operators are served without authentication: refunds");
    }
    if config.web.believes_user_header() {
        open.push("x-user-id is believed without authentication");
    }
    if sandbox.enabled {
        open.push("the sandbox channel and its buyer's page are on");
    }
    if sandbox.has_demo_key() {
        open.push("the sandbox signs with its built-in key");
    }
    if sandbox.enabled && sandbox.tutorial_mode {
        open.push("tutorial mode: an unsigned callback pays");
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(flags: &[(&str, &str)]) -> Config {
        let flags: Vec<(&str, String)> = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        Config::read(None, &flags).unwrap()
    }

    #[test]
    fn on_loopback_everything_is_open_and_announced() {
        let config = config(&[]);
        assert_eq!(check(&config, &listeners(&config)), Ok(()));
        assert_eq!(announce(&config).len(), 5);
    }

    #[test]
    fn elsewhere_each_needs_its_key() {
        let mut flags = vec![("grpc.listen", "0.0.0.0:50051")];
        for (key, value) in [
            ("web.allow_unauthenticated_user_header", "false"),
            ("allow.sandbox", "true"),
            ("allow.sandbox_demo_key", "true"),
            ("allow.tutorial_mode", "true"),
        ] {
            let config = config(&flags);
            assert_eq!(check(&config, &listeners(&config)).unwrap_err().key, key);
            flags.push((key, value));
        }
        let config = config(&flags);
        assert_eq!(check(&config, &listeners(&config)), Ok(()));
    }

    #[test]
    fn operators_are_served_elsewhere_only_if_somebody_says_so() {
        let serves = |flags: &[(&str, &str)]| {
            let config = config(flags);
            serves_operators(&config, &listeners(&config))
        };
        assert!(serves(&[]));
        for listen in ["grpc.listen", "web.listen"] {
            assert!(!serves(&[(listen, "0.0.0.0:0")]), "{listen}");
            assert!(serves(&[(listen, "0.0.0.0:0"), ("allow.operator", "true")]), "{listen}");
        }
    }
}
