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
    let name_server = held(config.name_server_port)?;
    let replication = TcpListener::bind(("127.0.0.1", 0))?;
    let broker = match config.broker_port {
        Some(port) => port,
        None => free_pair()?,
    };
    Ok(Ports { name_server: name_server.1, broker, replication: replication.local_addr()?.port() })
}

fn held(port: Option<u16>) -> io::Result<(Option<TcpListener>, u16)> {
    if let Some(port) = port {
        return Ok((None, port));
    }
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port();
    Ok((Some(listener), port))
}

fn free_pair() -> io::Result<u16> {
    for _ in 0..SEARCH_MAX {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        if TcpListener::bind(("127.0.0.1", port.saturating_sub(2))).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no two free ports two apart"))
}
