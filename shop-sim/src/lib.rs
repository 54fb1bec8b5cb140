//! Payment providers to test against: what Alipay and WeChat Pay do on their side, over HTTP, with faults.
//!
//! Common to both are the [`books`] (trades and refunds, each once by its number), the notifications and their
//! schedule ([`Sim::run_once`]), the [`faults`] and the statement of a day. A provider adds its wire: [`Provider`].
//! Nothing here shares code with the channels of the shop: what both sides must agree on is written down twice, or a
//! mistake would agree with itself.

pub mod alipay;
pub mod books;
mod buyer;
pub mod faults;
pub mod keys;
mod notify;
mod serve;
pub mod time;
pub mod wechat;

pub use notify::Outgoing;
pub use serve::{Served, serve};

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::Router;
use shop_common::time::{Clock, Millis};

use self::{
    books::{Booked, Books, Due, Refused},
    faults::Faults,
};

/// What one provider does its own way.
pub trait Provider: Sized + Send + Sync + 'static {
    /// Its name, for people.
    const NAME: &'static str;

    /// What lies between one notification and the next; after the last the provider gives up.
    const GAPS: &'static [Duration];

    /// What it serves: its interface, and the buyer's page under what [`Sim::buyer_url`] gives.
    fn routes(sim: Arc<Sim<Self>>) -> Router;

    /// A notification as it goes over the wire at `now`, signed; none where the provider sends none about this.
    fn notification(&self, due: &Due, now: Millis) -> Option<Outgoing>;

    /// Whether the merchant's answer ends the notifications.
    fn is_acknowledged(&self, status: u16, body: &[u8]) -> bool;

    /// Content type of the bill.
    const BILL: &'static str;

    /// What was booked on a day, as the merchant downloads it.
    fn bill(&self, booked: &[Booked]) -> Vec<u8>;
}

/// A provider with its books; they live in memory and end with it.
pub struct Sim<P> {
    /// What is its own.
    pub provider: P,
    /// What goes wrong.
    pub faults: Faults,
    clock: Clock,
    base: String,
    notify_url: Option<String>,
    books: Mutex<Books>,
    http: reqwest::Client,
}

impl<P: Provider> Sim<P> {
    /// A provider with empty books that is reached at `base` (no slash at its end). Its notifications go to
    /// `notify_url`, whatever the merchant names; where it is none, to what the merchant names.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn new(
        provider: P,
        clock: Clock,
        faults: Faults,
        base: &str,
        notify_url: Option<String>,
    ) -> Result<Arc<Self>, reqwest::Error> {
        let http = notify::client()?;
        let base = base.to_owned();
        Ok(Arc::new(Self { provider, faults, clock, base, notify_url, books: Mutex::default(), http }))
    }

    /// The books; for a moment only.
    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The provider's time.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Where the buyer of a trade pays: a POST there pays it.
    pub fn buyer_url(&self, out_trade_no: &str) -> String {
        format!("{}/buyer/{out_trade_no}", self.base)
    }

    /// Pays like a buyer would.
    ///
    /// # Errors
    /// [`Refused`] once the trade is closed, or where there is none.
    pub fn pay(&self, out_trade_no: &str) -> Result<(), Refused> {
        let now = self.now();
        self.books().pay(out_trade_no, now).map(|_| ())
    }

    /// What was booked from `from` until before `until`, as the merchant downloads it.
    pub fn bill(&self, (from, until): (Millis, Millis)) -> Vec<u8> {
        let booked = self.books().booked(from, until);
        self.provider.bill(&booked)
    }

    /// Sends every notification that is due at `now`, once each; how many that were.
    pub async fn run_once(&self, now: Millis) -> usize {
        let due = self.books().claim_due(P::GAPS, now);
        for notice in &due {
            self.notify(notice, now).await;
        }
        due.len()
    }
}
