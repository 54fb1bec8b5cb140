//! The conservation audit: twenty invariants over the schemas of the five services, each read in one transaction.
//!
//! What lies within one schema is exact at any moment. What lies between schemas has no common moment: work in flight
//! is left out, and a violation counts only if a second look finds the same. Nothing here writes, and no query reads
//! more than one schema.

mod invariants;
mod missing;
mod pending;
mod report;
mod rows;
mod snapshot;
mod table;
mod tables;

pub(crate) use missing::Missing;
pub use pending::Pending;
pub use report::{Check, Report, Violation};

use std::{future::Future, time::Duration};

use shop_common::{
    db::{Db, Failure},
    time::{Clock, Millis},
};

use self::snapshot::Snapshot;

/// Pause between two looks at what is in flight.
const POLL: Duration = Duration::from_millis(200);

/// The databases of the five services.
#[derive(Clone, Debug)]
pub struct Schemas {
    /// Goods and stock.
    pub goods: Db,
    /// Coupons.
    pub coupon: Db,
    /// Users, balance, points.
    pub user: Db,
    /// Orders.
    pub order: Db,
    /// Payments.
    pub pay: Db,
}

/// How to look.
#[derive(Clone, Debug)]
pub struct Options {
    /// How far apart the two looks are that a violation between schemas has to survive.
    pub confirm: Duration,
    /// How long to wait for work in flight before the first look; `None` does not wait.
    pub wait: Option<Duration>,
    /// Age from which a message is overdue, in milliseconds.
    pub outbox_age_ms: i64,
    /// How long an order that was not paid in time may wait for the channel, in milliseconds.
    pub close_patience_ms: i64,
    /// Whether messages could have been sent.
    pub broker_reachable: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            confirm: Duration::from_secs(2),
            wait: None,
            outbox_age_ms: 60_000,
            close_patience_ms: 60_000,
            broker_reachable: true,
        }
    }
}

impl Schemas {
    /// Each with the name of its service.
    fn named(&self) -> [(&'static str, &Db); 5] {
        let Self { goods, coupon, user, order, pay } = self;
        [("goods", goods), ("coupon", coupon), ("user", user), ("order", order), ("pay", pay)]
    }

    /// Gives all connections back.
    pub async fn close(self) {
        let Self { goods, coupon, user, order, pay } = self;
        for db in [goods, coupon, user, order, pay] {
            db.close().await;
        }
    }
}

/// Checks all invariants.
///
/// # Errors
/// A schema cannot be read: nothing is known then.
pub async fn audit(schemas: &Schemas, options: &Options, clock: &Clock) -> Result<Report, Failure> {
    audit_paced(schemas, options, clock, tokio::time::sleep).await
}

/// [`audit`] with its pauses in the hands of the caller.
pub async fn audit_paced<P, F>(schemas: &Schemas, options: &Options, clock: &Clock, pause: P) -> Result<Report, Failure>
where
    P: Fn(Duration) -> F,
    F: Future<Output = ()>,
{
    settle(schemas, options, clock, &pause).await?;
    let first = look(schemas, options, clock.now()).await?;
    if first.is_certain() {
        return Ok(first);
    }
    pause(options.confirm).await;
    Ok(look(schemas, options, clock.now()).await?.confirming(&first))
}

/// Lets work in flight finish, as long as `options` say.
///
/// # Errors
/// A schema cannot be read.
pub async fn settle<P, F>(schemas: &Schemas, options: &Options, clock: &Clock, pause: P) -> Result<(), Failure>
where
    P: Fn(Duration) -> F,
    F: Future<Output = ()>,
{
    let Some(limit) = options.wait else { return Ok(()) };
    let end = clock.now().after(limit);
    while clock.now() < end && !pending::count(schemas, options, clock.now()).await?.is_nothing() {
        pause(POLL).await;
    }
    Ok(())
}

/// One look, with what a second one may not find again.
async fn look(schemas: &Schemas, options: &Options, now: Millis) -> Result<Report, Failure> {
    let pending = pending::count(schemas, options, now).await?;
    let view = Snapshot::read(schemas, now).await?;
    Ok(Report { checks: invariants::check_all(&view, options), pending })
}
