//! Work in flight: what is not done yet and says so.

use sea_orm::{ConnectionTrait, Statement};
use serde::Serialize;
use shop_common::{
    db::{Db, Failure},
    time::Millis,
};
use shop_pay::channel::sandbox::GAPS;

use super::{Options, Schemas, invariants::SLACK_MS};

const ORDERS: &str = "SELECT COUNT(*) AS n FROM trade_order WHERE order_status = 0 OR owed <> 0 OR closing_ms IS NOT NULL OR due_ms <= ?";
const STOCK_HOLDS: &str = "SELECT COUNT(*) AS n FROM trade_goods_hold WHERE due_ms <= ?";
const COUPON_HOLDS: &str = "SELECT COUNT(*) AS n FROM trade_coupon_hold WHERE due_ms <= ?";
/// An open payment waits for its buyer; only the question about it is work, once it is time (32: `Owed::ASK`).
const PAYMENTS: &str = "SELECT COUNT(*) AS n FROM trade_pay WHERE (owed & ~32) <> 0 OR (owed <> 0 AND due_ms <= ?)";
const REFUNDS: &str = "SELECT COUNT(*) AS n FROM trade_refund WHERE state = 0";
/// One that was sent and refused comes again after minutes or hours: nobody waits for that. The first is on its way for
/// some seconds after it was claimed for sending.
const NOTICES: &str = "SELECT COUNT(*) AS n FROM sandbox_trade WHERE due_ms <= ? OR (attempts = 1 AND due_ms >= ?)";
const MESSAGES: &str = "SELECT COUNT(*) AS n FROM trade_mq_producer_temp WHERE msg_status = 0";
const REDELIVERIES: &str = "SELECT COUNT(*) AS n FROM trade_mq_consumer_log WHERE consumer_status = 2 AND retry_ms > ?";

/// How long a notification of the sandbox is on its way at most.
const SENDING_MS: i64 = 5_000;

/// How much is in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// Orders being confirmed, being closed, or owing something.
    pub orders: i64,
    /// Payments owing something, and open ones that it is time to ask about.
    pub payments: i64,
    /// Refunds the channel has not answered.
    pub refunds: i64,
    /// Holds whose time is up.
    pub holds: i64,
    /// Notifications of the sandbox channel that are due or on their way for the first time.
    pub notices: i64,
    /// Messages to be sent, or delivered once more; not counted while there is nobody to take them.
    pub messages: i64,
}

impl Pending {
    /// Whether nothing is.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Counts what is in flight, schema by schema.
pub(super) async fn count(schemas: &Schemas, options: &Options, now: Millis) -> Result<Pending, Failure> {
    let Schemas { goods, coupon, order, pay, .. } = schemas;
    let due = &[now];
    let late = &[Millis::new(now.get().saturating_sub(SLACK_MS))];
    let sent = Millis::new(now.after(GAPS[0]).get().saturating_sub(SENDING_MS));
    let mut messages = 0;
    if options.broker_reachable {
        for (_, db) in schemas.named() {
            messages += one(db, MESSAGES, &[]).await? + one(db, REDELIVERIES, late).await?;
        }
    }
    Ok(Pending {
        orders: one(order, ORDERS, due).await?,
        payments: one(pay, PAYMENTS, due).await?,
        refunds: one(pay, REFUNDS, &[]).await?,
        holds: one(goods, STOCK_HOLDS, due).await? + one(coupon, COUPON_HOLDS, due).await?,
        notices: one(pay, NOTICES, &[now, sent]).await?,
        messages,
    })
}

async fn one(db: &Db, sql: &str, moments: &[Millis]) -> Result<i64, Failure> {
    let db = db.read();
    let values = moments.iter().map(|moment| moment.get().into());
    let counted = db.query_one_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await?;
    Ok(counted.map_or(Ok(0), |row| row.try_get("", "n"))?)
}
