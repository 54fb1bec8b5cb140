//! What the audit looks at: the rows of each schema as they stood at one moment of that schema.

use std::collections::BTreeMap;

use shop_common::{
    db::{Db, Result, Tx},
    time::Millis,
};

use super::{
    Schemas,
    rows::{
        Account, ConsumerRow, CouponRow, GateRow, Hold, ItemRow, Movement, OPENING, OrderRow, OutboxRow, PayLogRow,
        PayRow, RefundRow, ReturnRow, TradeRow,
    },
    table::Table,
    tables::{
        BALANCES, COUPON_HOLDS, COUPONS, FAILED, GATES, GOODS, ITEMS, MONEY_HOLDS, MONEY_LEDGER, ORDERS, OUTBOX,
        PAY_LOGS, PAYMENTS, POINTS_HOLDS, POINTS_LEDGER, REFUNDS, RETURNS, SCORES, STOCK_HOLDS, STOCK_LEDGER, TRADES,
    },
};

/// The rows of all schemas.
pub(super) struct Snapshot {
    pub(super) now: Millis,
    pub(super) stock: Books,
    pub(super) coupons: BTreeMap<i64, CouponRow>,
    pub(super) coupon_holds: BTreeMap<i64, Hold>,
    pub(super) money: Books,
    pub(super) points: Books,
    pub(super) orders: BTreeMap<i64, OrderRow>,
    pub(super) items: BTreeMap<i64, Vec<ItemRow>>,
    pub(super) pay: Pay,
    /// By service.
    pub(super) messages: Vec<(&'static str, Messages)>,
}

/// Accounts, the ledger of what moved them, and the barriers of what caused it.
pub(super) struct Books {
    /// Stock by goods; balance or score by user.
    pub(super) accounts: BTreeMap<i64, i64>,
    /// By what caused it: an order or a payment.
    pub(super) ledger: BTreeMap<i64, Vec<Movement>>,
    pub(super) holds: BTreeMap<i64, Hold>,
}

/// The rows of the pay schema.
pub(super) struct Pay {
    pub(super) payments: BTreeMap<i64, PayRow>,
    pub(super) gates: BTreeMap<i64, GateRow>,
    pub(super) logs: BTreeMap<i64, PayLogRow>,
    pub(super) refunds: BTreeMap<i64, RefundRow>,
    pub(super) trades: BTreeMap<i64, TradeRow>,
    pub(super) returns: BTreeMap<i64, ReturnRow>,
}

/// The outbox and the log of failed messages of one schema.
pub(super) struct Messages {
    pub(super) outbox: Vec<OutboxRow>,
    pub(super) failed: Vec<ConsumerRow>,
}

impl Books {
    /// What `ref_id` moved.
    pub(super) fn movements(&self, ref_id: i64) -> impl Iterator<Item = &Movement> {
        self.ledger.get(&ref_id).into_iter().flatten().filter(|movement| movement.log_type != OPENING)
    }

    /// What `ref_id` moved in sum, by account; accounts that stand as before are left out.
    pub(super) fn net_by_account(&self, ref_id: i64) -> BTreeMap<i64, i128> {
        let mut net: BTreeMap<i64, i128> = BTreeMap::new();
        for movement in self.movements(ref_id) {
            *net.entry(movement.account).or_default() += i128::from(movement.delta);
        }
        net.retain(|_, delta| *delta != 0);
        net
    }

    /// What `ref_id` moved in sum.
    pub(super) fn net(&self, ref_id: i64) -> i128 {
        self.movements(ref_id).map(|movement| i128::from(movement.delta)).sum()
    }
}

impl Snapshot {
    /// Reads all schemas at once, each in a transaction of its own.
    pub(super) async fn read(schemas: &Schemas, now: Millis) -> Result<Self> {
        let (goods, coupon, user, order, pay) = futures::try_join!(
            in_schema(&schemas.goods, async |tx| books(tx, &GOODS, &STOCK_LEDGER, &STOCK_HOLDS).await),
            in_schema(&schemas.coupon, async |tx| {
                let coupons = by(COUPONS.read(tx).await?, |row| row.coupon_id);
                Ok((coupons, by(COUPON_HOLDS.read(tx).await?, |row| row.id)))
            }),
            in_schema(&schemas.user, async |tx| {
                let money = books(tx, &BALANCES, &MONEY_LEDGER, &MONEY_HOLDS).await?;
                Ok((money, books(tx, &SCORES, &POINTS_LEDGER, &POINTS_HOLDS).await?))
            }),
            in_schema(&schemas.order, async |tx| {
                let orders = by(ORDERS.read(tx).await?, |row| row.order_id);
                Ok((orders, grouped(ITEMS.read(tx).await?, |row| row.order_id)))
            }),
            in_schema(&schemas.pay, async |tx| Pay::read(tx).await),
        )?;
        let messages = schemas.named().map(|(name, _)| name).into_iter();
        Ok(Self {
            now,
            stock: goods.0,
            coupons: coupon.0.0,
            coupon_holds: coupon.0.1,
            money: user.0.0,
            points: user.0.1,
            orders: order.0.0,
            items: order.0.1,
            pay: pay.0,
            messages: messages.zip([goods.1, coupon.1, user.1, order.1, pay.1]).collect(),
        })
    }
}

impl Pay {
    async fn read(tx: &Tx) -> Result<Self> {
        Ok(Self {
            payments: by(PAYMENTS.read(tx).await?, |row| row.pay_id),
            gates: by(GATES.read(tx).await?, |row| row.order_id),
            logs: by(PAY_LOGS.read(tx).await?, |row| row.pay_id),
            refunds: by(REFUNDS.read(tx).await?, |row| row.refund_id),
            trades: by(TRADES.read(tx).await?, |row| row.pay_id),
            returns: by(RETURNS.read(tx).await?, |row| row.refund_id),
        })
    }
}

/// Reads a schema's own tables and its messages, all at one moment.
async fn in_schema<T>(db: &Db, read: impl AsyncFnOnce(&Tx) -> Result<T>) -> Result<(T, Messages)> {
    db.read_tx(async |tx| {
        let rows = read(tx).await?;
        Ok((rows, Messages { outbox: OUTBOX.read(tx).await?, failed: FAILED.read(tx).await? }))
    })
    .await
}

async fn books(tx: &Tx, accounts: &Table<Account>, ledger: &Table<Movement>, holds: &Table<Hold>) -> Result<Books> {
    Ok(Books {
        accounts: accounts.read(tx).await?.into_iter().map(|row| (row.id, row.amount)).collect(),
        ledger: grouped(ledger.read(tx).await?, |row| row.ref_id),
        holds: by(holds.read(tx).await?, |row| row.id),
    })
}

fn by<R>(rows: Vec<R>, key: impl Fn(&R) -> i64) -> BTreeMap<i64, R> {
    rows.into_iter().map(|row| (key(&row), row)).collect()
}

fn grouped<R>(rows: Vec<R>, key: impl Fn(&R) -> i64) -> BTreeMap<i64, Vec<R>> {
    let mut groups: BTreeMap<i64, Vec<R>> = BTreeMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}
