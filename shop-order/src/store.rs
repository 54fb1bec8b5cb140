//! All SQL of the order service: loads orders under lock, saves their difference.

use std::collections::BTreeMap;

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, NotSet, QueryFilter, QueryOrder, QuerySelect,
    Statement, Value,
};
use shop_common::{
    db::{Failure, Reader, Result, Row, Tx},
    due::{Debt, Due, Owing},
    due_table,
    id::{OrderId, PayId, UserId},
    money::Fen,
    sql::{self, Update, cut},
    time::Millis,
};

use crate::{
    entity::{item, order},
    order::{Cause, Order, Owed, Status},
    view::{Stored, pay_status_number, pay_status_of, refusal, status_number, status_of},
};

/// Orders that owe something or were not confirmed in time.
pub(crate) const DUE: Due = due_table!(
    "trade_order",
    "order_id",
    "order_id, attempts, order_status, owed, \
     COALESCE(cancel_ms, closing_ms, pay_ms, confirm_ms, add_ms) AS since_ms",
    owing
);

/// What has no bit is for us to do.
const RECOVERY: Debt = Debt::new("recovery", "order");
const TIME_OUT: Debt = Debt::new("time-out", "order");

/// The user and the request id of an order.
pub(crate) type Key = (i64, String);

const CHANGE: Update = Update {
    table: "trade_order",
    values: &[
        "k",
        "was_status",
        "was_pay",
        "was_owed",
        "was_closing",
        "new_status",
        "new_pay",
        "new_owed",
        "due",
        "deadline",
        "closing_since",
        "confirmed",
        "paid",
        "cancelled",
        "payment",
        "cause",
        "reason",
        "code",
        "field",
        "message",
    ],
    set: "order_status = v.new_status, pay_status = v.new_pay, owed = v.new_owed, due_ms = v.due, attempts = 0, \
          pay_deadline_ms = v.deadline, closing_ms = v.closing_since, confirm_ms = v.confirmed, pay_ms = v.paid, cancel_ms = v.cancelled, pay_id = v.payment, \
          cancel_cause = v.cause, cancel_reason = v.reason, refuse_code = v.code, refuse_field = v.field, refuse_message = v.message",
    guard: "t.order_id = v.k AND t.order_status = v.was_status AND t.pay_status = v.was_pay AND t.owed = v.was_owed \
            AND COALESCE(t.closing_ms, -1) = v.was_closing",
};

/// The orders of a batch, as loaded and as they are now.
#[derive(Debug, Default)]
pub(crate) struct Orders(BTreeMap<OrderId, (Order, Order)>);

impl Orders {
    pub(crate) fn get_mut(&mut self, order_id: OrderId) -> Option<&mut Order> {
        self.0.get_mut(&order_id).map(|(_, now)| now)
    }
}

/// What decisions need of an order.
const COLUMNS: &str = "order_id, user_id, pay_amount_fen, money_paid_fen, coupon_id, order_status, pay_status, pay_id, \
                       pay_deadline_ms, closing_ms, confirm_ms, pay_ms, cancel_ms, cancel_cause, cancel_reason, \
                       refuse_code, refuse_field, refuse_message, owed, due_ms";

fn owing(row: &Row) -> Result<Owing> {
    let (order_id, status): (i64, i16) = (row.get("order_id")?, row.get("order_status")?);
    let owed = Owed::of_bits(row.get("owed")?);
    let debts = if owed != Owed::NOTHING {
        owed.debts()
    } else if status == status_number(Status::Unconfirmed) {
        vec![RECOVERY]
    } else {
        vec![TIME_OUT]
    };
    Ok(Owing { row: format!("order {order_id}"), since: Millis::new(row.get("since_ms")?), debts })
}

/// Loads and locks orders, in id order.
pub(crate) async fn load(tx: &Tx, order_ids: Vec<i64>) -> Result<Orders> {
    let mut orders = Orders::default();
    for row in &sql::locked(tx, COLUMNS, "trade_order", "order_id", order_ids).await? {
        let (order_id, order) = order(row)?;
        orders.0.insert(order_id, (order.clone(), order));
    }
    Ok(orders)
}

/// Those of `order_ids` that exist, as they are now.
pub(crate) async fn orders(db: &Reader, order_ids: Vec<i64>) -> Result<BTreeMap<OrderId, Order>> {
    sql::found(db, COLUMNS, "trade_order", "order_id", order_ids).await?.iter().map(order).collect()
}

fn order(row: &Row) -> Result<(OrderId, Order)> {
    let millis = |column| Ok::<_, Failure>(row.find(column)?.map(Millis::new));
    let order = Order {
        user_id: UserId::new(row.get("user_id")?),
        amount_due: Fen::new(row.get("pay_amount_fen")?),
        balance_used: Fen::new(row.get("money_paid_fen")?),
        has_coupon: row.find::<i64>("coupon_id")?.is_some(),
        status: status_of(row.get("order_status")?)?,
        pay_status: pay_status_of(row.get("pay_status")?)?,
        pay_id: row.find("pay_id")?.map(PayId::new),
        pay_deadline: millis("pay_deadline_ms")?,
        closing: millis("closing_ms")?,
        confirmed: millis("confirm_ms")?,
        paid: millis("pay_ms")?,
        cancelled: millis("cancel_ms")?,
        cause: cause(row)?,
        owed: Owed::of_bits(row.get("owed")?),
        due: millis("due_ms")?,
    };
    Ok((OrderId::new(row.get("order_id")?), order))
}

fn cause(row: &Row) -> Result<Option<Cause>> {
    let reason = || Ok::<String, Failure>(row.find("cancel_reason")?.unwrap_or_default());
    Ok(match row.find::<i16>("cancel_cause")? {
        None => None,
        Some(2) => Some(Cause::Recovery),
        Some(3) => Some(Cause::User(reason()?)),
        Some(4) => Some(Cause::TimeOut),
        Some(5) => Some(Cause::Refund(reason()?)),
        Some(_) => {
            let (field, message) = (row.find("refuse_field")?, row.find("refuse_message")?);
            Some(Cause::Refused(refusal(row.find("refuse_code")?, field, message)))
        }
    })
}

/// Saves what changed; what was decided under lock is stated again in the SQL.
pub(crate) async fn save(tx: &Tx, orders: &Orders) -> Result<()> {
    let changed = orders.0.iter().filter(|(_, (was, now))| was != now);
    let rows: Vec<Vec<Value>> = changed.map(|(order_id, (was, now))| change(*order_id, was, now)).collect();
    CHANGE.run(tx, &rows).await
}

fn change(order_id: OrderId, was: &Order, now: &Order) -> Vec<Value> {
    let millis = |moment: Option<Millis>| Value::from(moment.map(Millis::get));
    let refusal = match &now.cause {
        Some(Cause::Refused(refusal)) => Some(refusal),
        _ => None,
    };
    let reason = match &now.cause {
        Some(Cause::User(reason) | Cause::Refund(reason)) => Some(cut(reason, 255)),
        _ => None,
    };
    vec![
        order_id.get().into(),
        status_number(was.status).into(),
        pay_status_number(was.pay_status).into(),
        was.owed.bits().into(),
        was.closing.map_or(-1, Millis::get).into(),
        status_number(now.status).into(),
        pay_status_number(now.pay_status).into(),
        now.owed.bits().into(),
        millis(now.due),
        millis(now.pay_deadline),
        millis(now.closing),
        millis(now.confirmed),
        millis(now.paid),
        millis(now.cancelled),
        Value::from(now.pay_id.map(shop_common::id::PayId::get)),
        Value::from(now.cause.as_ref().map(Cause::number)),
        Value::from(reason),
        Value::from(refusal.map(|refusal| refusal.code.row().number)),
        Value::from(refusal.and_then(|refusal| refusal.field.as_ref()).map(|field| cut(field, 64))),
        Value::from(refusal.map(|refusal| cut(&refusal.message, 255))),
    ]
}

/// The orders of these keys, locked.
pub(crate) async fn by_requests(tx: &Tx, keys: Vec<Key>) -> Result<Vec<(Key, Stored)>> {
    of_keys(tx, keys, &sql::in_order_locked(tx, "order_id")).await
}

/// The orders of these keys.
pub(crate) async fn known(db: &Reader, keys: Vec<Key>) -> Result<Vec<(Key, Stored)>> {
    of_keys(db, keys, "").await
}

/// One condition for each key: MariaDB reads the whole table for a list of pairs.
async fn of_keys(db: &impl ConnectionTrait, keys: Vec<Key>, tail: &str) -> Result<Vec<(Key, Stored)>> {
    let keys = sql::padded(keys);
    let is_one = vec!["user_id = ? AND request_id = ?"; keys.len()].join(" OR ");
    let text = format!("SELECT * FROM trade_order WHERE {is_one}{tail}");
    let values = keys.into_iter().flat_map(|(user_id, request_id)| [Value::from(user_id), request_id.into()]);
    let select = Statement::from_sql_and_values(db.get_database_backend(), text, values);
    let rows = order::Entity::find().from_raw_sql(select).all(db).await?;
    Ok(keyed(with_items(db, rows).await?))
}

fn keyed(orders: Vec<Stored>) -> Vec<(Key, Stored)> {
    orders.into_iter().map(|order| ((order.row.user_id, order.row.request_id.clone()), order)).collect()
}

/// Orders with their lines, by id.
pub(crate) async fn by_ids(db: &impl ConnectionTrait, order_ids: Vec<i64>) -> Result<Vec<Stored>> {
    let ids = order::Column::OrderId.is_in(sql::padded(order_ids));
    let rows = order::Entity::find().filter(ids).order_by_asc(order::Column::OrderId).all(db).await?;
    with_items(db, rows).await
}

/// Up to `limit` orders of a user older than `before`, newest first; those in status 0 are left out.
pub(crate) async fn page(db: &impl ConnectionTrait, user_id: UserId, before: i64, limit: u64) -> Result<Vec<Stored>> {
    let rows = order::Entity::find()
        .filter(order::Column::UserId.eq(user_id.get()))
        .filter(order::Column::OrderId.lt(before))
        .filter(order::Column::OrderStatus.ne(0))
        .order_by_desc(order::Column::OrderId)
        .limit(limit)
        .all(db)
        .await?;
    with_items(db, rows).await
}

/// Inserts new orders and their lines.
pub(crate) async fn insert(tx: &Tx, orders: Vec<Stored>) -> Result<()> {
    let items: Vec<_> = orders.iter().flat_map(|order| order.items.iter().cloned()).collect();
    sql::insert_many(tx, orders.into_iter().map(|order| newborn(order.row)).collect()).await?;
    sql::insert_many(tx, items.into_iter().map(IntoActiveModel::into_active_model).collect()).await
}

/// A row without what no order has when it is written first: a third less to write.
fn newborn(row: order::Model) -> order::ActiveModel {
    order::ActiveModel {
        shipping_status: NotSet,
        refuse_code: NotSet,
        refuse_field: NotSet,
        refuse_message: NotSet,
        cancel_cause: NotSet,
        cancel_reason: NotSet,
        pay_id: NotSet,
        confirm_ms: NotSet,
        pay_ms: NotSet,
        cancel_ms: NotSet,
        pay_deadline_ms: NotSet,
        closing_ms: NotSet,
        ..row.into_active_model()
    }
}

async fn with_items(db: &impl ConnectionTrait, rows: Vec<order::Model>) -> Result<Vec<Stored>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids = sql::padded(rows.iter().map(|row| row.order_id));
    let items = item::Entity::find()
        .filter(item::Column::OrderId.is_in(ids))
        .order_by_asc(item::Column::OrderId)
        .order_by_asc(item::Column::LineNo)
        .all(db)
        .await?;
    let mut by_order: BTreeMap<i64, Vec<item::Model>> = BTreeMap::new();
    for item in items {
        by_order.entry(item.order_id).or_default().push(item);
    }
    let stored = rows.into_iter().map(|row| {
        let items = by_order.remove(&row.order_id).unwrap_or_default();
        Stored { row, items }
    });
    Ok(stored.collect())
}

#[cfg(test)]
mod tests;
