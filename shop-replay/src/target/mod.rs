//! The shop that notifications are sent to: over gRPC or REST, and its database where that is at hand.

mod grpc;
mod rest;
mod slow;

use std::time::Duration;

use shop_common::{db::Db, error::ShopError, link::Link};

use self::{grpc::Grpc, rest::Rest};
use crate::{compose::Message, judge::Answer, notification::PaymentRef, store};

/// Longest wait for an answer, as with Alipay.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for what is no notification.
const PATIENCE: Duration = Duration::from_secs(30);

/// A shop.
#[derive(Clone)]
pub struct Target {
    door: Door,
    slow: Option<String>,
    pay: Option<Db>,
    name: String,
}

/// Two ways in.
#[derive(Clone)]
enum Door {
    Grpc(Grpc),
    Rest(Rest),
}

/// An order to be placed and a payment to be made.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The idempotency key.
    pub request_id: String,
    /// The buyer.
    pub user_id: i64,
    /// One of these.
    pub goods_id: i64,
    /// Through which channel it is paid.
    pub channel: String,
}

/// A target that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadTarget {
    /// The text.
    #[error("{0:?} is no target: HOST:PORT or grpc://HOST:PORT for gRPC, http://HOST:PORT for REST")]
    Address(String),
    /// There is nobody.
    #[error("{address} cannot be reached: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// What was said.
        why: String,
    },
    /// There is somebody else.
    #[error("{address} does not speak {protocol} as a shop does: HOST:PORT is its gRPC, http://HOST:PORT its REST")]
    Foreign {
        /// Where.
        address: String,
        /// What was spoken.
        protocol: &'static str,
    },
    /// It said no to what is no notification.
    #[error("the shop refuses {what}: {error}")]
    Refused {
        /// What was wanted.
        what: String,
        /// Why not.
        error: ShopError,
    },
    /// It needs its database.
    #[error("{0} needs a shop whose database is at hand: the embedded one")]
    NoDatabase(&'static str),
    /// It needs REST.
    #[error("a slow reader needs REST: give the target as http://HOST:PORT")]
    NoRest,
    /// Its database.
    #[error("database: {0}")]
    Database(#[from] shop_common::db::Failure),
}

impl Target {
    /// The shop at `address`.
    ///
    /// # Errors
    /// It is no address, or nobody answers there.
    pub async fn connect(address: &str) -> Result<Self, BadTarget> {
        let bad = || BadTarget::Address(address.to_owned());
        let (scheme, host) = address.split_once("://").unwrap_or(("grpc", address));
        let host = host.trim_end_matches('/');
        let port =
            host.rsplit_once(':').and_then(|(name, port)| Some((!name.is_empty()).then_some(port)?.parse::<u16>()));
        if !matches!(port, Some(Ok(_))) || host.contains(['/', '@', '?', '#']) {
            return Err(bad());
        }
        let (door, slow) = match scheme {
            "grpc" => (Door::Grpc(Grpc::new(Link::remote(&format!("http://{host}")).map_err(|_| bad())?)), None),
            "http" => (Door::Rest(Rest::new(host)), Some(host.to_owned())),
            _ => return Err(bad()),
        };
        let stream = tokio::time::timeout(TIMEOUT, tokio::net::TcpStream::connect(host)).await;
        let unreachable = |why: String| BadTarget::Unreachable { address: address.to_owned(), why };
        stream.map_err(|_| unreachable("no answer".to_owned()))?.map_err(|error| unreachable(error.to_string()))?;
        let (is_spoken, protocol) = match &door {
            Door::Grpc(grpc) => (grpc.is_spoken().await, "gRPC"),
            Door::Rest(rest) => (rest.is_spoken().await, "HTTP/1.1"),
        };
        if !is_spoken {
            return Err(BadTarget::Foreign { address: address.to_owned(), protocol });
        }
        Ok(Self { door, slow, pay: None, name: address.to_owned() })
    }

    /// A fresh shop of our own: where its services and its gateway listen, and the database of its payments.
    ///
    /// # Errors
    /// It is no address.
    pub fn embedded(grpc: &str, rest: String, pay: Db) -> Result<Self, BadTarget> {
        let link = Link::remote(&format!("http://{grpc}")).map_err(|_| BadTarget::Address(grpc.to_owned()))?;
        Ok(Self { door: Door::Grpc(Grpc::new(link)), slow: Some(rest), pay: Some(pay), name: "embedded".to_owned() })
    }

    /// Where it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether an answer can be read byte by byte.
    pub const fn can_be_read_slowly(&self) -> bool {
        self.slow.is_some()
    }

    /// Whether payments can be kept from the shop's eyes.
    pub const fn can_hide(&self) -> bool {
        self.pay.is_some()
    }

    /// Its payments, where they are at hand.
    pub const fn pay(&self) -> Option<&Db> {
        self.pay.as_ref()
    }

    /// Sends a message; reads its answer byte by byte where `slowly`. `ack` is what the channel wants to read.
    pub async fn deliver(&self, message: &Message, ack: &[u8], slowly: bool) -> Answer {
        match (&self.slow, &self.door) {
            (Some(host), _) if slowly => slow::deliver(host, message, ack, TIMEOUT).await,
            (_, Door::Grpc(grpc)) => grpc.deliver(message, ack).await,
            (_, Door::Rest(rest)) => rest.deliver(message, ack).await,
        }
    }

    /// Places an order and makes its payment.
    ///
    /// # Errors
    /// [`BadTarget::Refused`].
    pub async fn place(&self, wanted: &Wanted) -> Result<PaymentRef, BadTarget> {
        let placed = match &self.door {
            Door::Grpc(grpc) => grpc.place(wanted).await,
            Door::Rest(rest) => rest.place(wanted).await,
        };
        placed.map_err(|error| BadTarget::Refused { what: "an order with its payment".to_owned(), error })
    }

    /// Cancels the order of a payment, if it still can be.
    ///
    /// # Errors
    /// The shop could not be asked.
    pub async fn cancel(&self, payment: &PaymentRef) -> Result<(), ShopError> {
        match &self.door {
            Door::Grpc(grpc) => grpc.cancel(payment).await,
            Door::Rest(rest) => rest.cancel(payment).await,
        }
    }

    /// Whether a payment is paid.
    ///
    /// # Errors
    /// The shop could not be asked, or does not know it.
    pub async fn is_paid(&self, payment: &PaymentRef) -> Result<bool, ShopError> {
        match &self.door {
            Door::Grpc(grpc) => grpc.is_paid(payment).await,
            Door::Rest(rest) => rest.is_paid(payment).await,
        }
    }

    /// Keeps a payment that is not paid from the shop's eyes while `seen` is false.
    ///
    /// # Errors
    /// Its database is not at hand or away.
    pub async fn show(&self, pay_id: i64, seen: bool) -> Result<(), BadTarget> {
        let pay = self.pay.as_ref().ok_or(BadTarget::NoDatabase("an early notification"))?;
        Ok(store::show(pay, pay_id, seen).await?)
    }
}
