//! Work in flight: what is not done yet and says so.

use sea_orm::{ConnectionTrait, Statement};
use serde::Serialize;
use shop_common::{
    db::{Db, Failure},
    time::Millis,
};

use super::{Options, Schemas, invariants::SLACK_MS};

const ORDERS: &str = "SELECT COUNT(*) AS n FROM trade_order WHERE order_status = 0 OR owed <> 0 OR closing_ms IS NOT NULL OR due_ms <= ?";
const STOCK_HOLDS: &str = "SELECT COUNT(*) AS n FROM trade_goods_hold WHERE due_ms <= ?";
const COUPON_HOLDS: &str = "SELECT COUNT(*) AS n FROM trade_coupon_hold WHERE due_ms <= ?";
const PAYMENTS: &str = "SELECT COUNT(*) AS n FROM trade_pay WHERE owed <> 0";
const REFUNDS: &str = "SELECT COUNT(*) AS n FROM trade_refund WHERE state = 0";
const NOTICES: &str = "SELECT COUNT(*) AS n FROM sandbox_trade WHERE due_ms IS NOT NULL";
const MESSAGES: &str = "SELECT COUNT(*) AS n FROM trade_mq_producer_temp WHERE msg_status = 0";
const REDELIVERIES: &str = "SELECT COUNT(*) AS n FROM trade_mq_consumer_log WHERE consumer_status = 2 AND retry_ms > ?";

/// How much is in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pending {
    /// Orders being confirmed, being closed, or owing something.
    pub orders: i64,
    /// Payments owing something.
    pub payments: i64,
    /// Refunds the channel has not answered.
    pub refunds: i64,
    /// Holds whose time is up.
    pub holds: i64,
    /// Notifications of the sandbox channel that were not acknowledged.
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
    let due = Some(now);
    let late = Some(Millis::new(now.get().saturating_sub(SLACK_MS)));
    let mut messages = 0;
    if options.broker_reachable {
        for (_, db) in schemas.named() {
            messages += one(db, MESSAGES, None).await? + one(db, REDELIVERIES, late).await?;
        }
    }
    Ok(Pending {
        orders: one(order, ORDERS, due).await?,
        payments: one(pay, PAYMENTS, None).await?,
        refunds: one(pay, REFUNDS, None).await?,
        holds: one(goods, STOCK_HOLDS, due).await? + one(coupon, COUPON_HOLDS, due).await?,
        notices: one(pay, NOTICES, None).await?,
        messages,
    })
}

async fn one(db: &Db, sql: &str, due: Option<Millis>) -> Result<i64, Failure> {
    let db = db.read();
    let values = due.map(|due| due.get().into());
    let counted = db.query_one_raw(Statement::from_sql_and_values(db.get_database_backend(), sql, values)).await?;
    Ok(counted.map_or(Ok(0), |row| row.try_get("", "n"))?)
}
