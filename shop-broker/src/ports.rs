//! Free ports on loopback. Neither server can be told "any": both must be given numbers that they then advertise.

use std::{io, net::TcpListener};

use crate::BrokerConfig;

/// Searches for a broker port whose neighbour is free too.
const SEARCH_MAX: u32 = 64;

/// The ports of one stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// The name server.
    pub(crate) name_server: u16,
    /// The broker; it binds `broker - 2` as well.
    pub(crate) broker: u16,
    /// Replication: bound though nobody replicates.
    pub(crate) replication: u16,
}

/// The ports that `config` names, and free ones for the others. Free only at this moment: another process may be faster.
pub(crate) fn choose(config: &BrokerConfig) -> io::Result<Ports> {
    // All are held until all are chosen, so that no number comes twice.
    let name_server = hold(config.name_server_port.unwrap_or(0))?;
    let replication = hold(0)?;
    let broker = match config.broker_port {
        Some(port) => hold_pair(port)?,
        None => free_pair()?,
    };
    let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
    Ok(Ports { name_server: port(&name_server)?, broker: port(&broker)?, replication: port(&replication)? })
}

/// Holds `port`, 0 = any.
fn hold(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port))
        .map_err(|error| io::Error::new(error.kind(), format!("127.0.0.1:{port}: {error}")))
}

/// Holds `port`, having seen that its neighbour is free.
fn hold_pair(port: u16) -> io::Result<TcpListener> {
    let listener = hold(port)?;
    let neighbour = listener.local_addr()?.port().saturating_sub(2);
    hold(neighbour).map(|_| listener)
}

fn free_pair() -> io::Result<TcpListener> {
    for _ in 0..SEARCH_MAX {
        if let Ok(listener) = hold_pair(0) {
            return Ok(listener);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no two free ports two apart"))
}
