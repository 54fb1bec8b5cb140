//! The four transactions of an order's way, as SQL and nothing else.

use sea_orm::{ConnectionTrait, Statement, Value};
use shop_common::{
    db::{Result, Tx},
    hold::HoldTable,
    hold_table,
    money::Fen,
    outbox::{self, Message},
    sql::{self, Update},
    time::Millis,
    trace::TraceParent,
};
use shop_proto::{
    event::{OrderConfirmed, VERSION},
    topic::ORDER_CONFIRM,
};

use crate::bench::rows;

const STOCK_HOLDS: HoldTable = hold_table!("trade_goods_hold", "order_id", None, due);
const BALANCE_HOLDS: HoldTable = hold_table!("trade_user_hold", "order_id", None);

const SHELVES: Update = Update {
    table: "trade_goods",
    values: &["k", "delta"],
    set: "goods_number = t.goods_number + v.delta",
    guard: "t.goods_id = v.k AND t.goods_number + v.delta >= 0",
};

const PURSES: Update = Update {
    table: "trade_user",
    values: &["k", "delta"],
    set: "user_money_fen = t.user_money_fen + v.delta",
    guard: "t.user_id = v.k AND t.user_money_fen + v.delta >= 0",
};

const CONFIRM: Update = Update {
    table: "trade_order",
    values: &["k", "moment", "deadline"],
    set: "order_status = 1, confirm_ms = v.moment, pay_deadline_ms = v.deadline, due_ms = v.deadline",
    guard: "t.order_id = v.k AND t.order_status = 0",
};

const ORDER_COLUMNS: [&str; 19] = [
    "order_id",
    "user_id",
    "request_id",
    "request_hash",
    "order_status",
    "pay_status",
    "address",
    "consignee",
    "phone",
    "goods_amount_fen",
    "shipping_fee_fen",
    "order_amount_fen",
    "coupon_paid_fen",
    "money_paid_fen",
    "pay_amount_fen",
    "add_ms",
    "due_ms",
    "owed",
    "attempts",
];

const BALANCE_USED: i64 = 100;
const DUE: i64 = rows::PRICE - BALANCE_USED;
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(1800);

fn user_of(order: i64) -> i64 {
    rows::user(order.unsigned_abs())
}

fn goods_of(order: i64) -> i64 {
    rows::goods(order.unsigned_abs())
}

fn key_of(order: i64) -> String {
    format!("bench-{order:016x}-{order}")
}

/// Looks for the request ids, writes the orders and their lines.
pub(super) async fn create(tx: &Tx, orders: &[i64], now: Millis) -> Result<()> {
    let keys = sql::padded(orders.iter().map(|order| (user_of(*order), key_of(*order))));
    let either = vec!["(user_id = ? AND request_id = ?)"; keys.len()].join(" OR ");
    let values = keys.into_iter().flat_map(|(user, key)| [Value::from(user), Value::from(key)]);
    select(tx, &format!("SELECT * FROM trade_order WHERE {either} ORDER BY order_id"), values).await?;
    let row = |order: &i64| {
        vec![
            (*order).into(),
            user_of(*order).into(),
            key_of(*order).into(),
            format!("{order:064x}").into(),
            0_i16.into(),
            0_i16.into(),
            "1 Bench Road".into(),
            "bench".into(),
            "13800000000".into(),
            rows::PRICE.into(),
            0_i64.into(),
            rows::PRICE.into(),
            0_i64.into(),
            BALANCE_USED.into(),
            DUE.into(),
            now.get().into(),
            now.after(DEADLINE).get().into(),
            0_i64.into(),
            0_i64.into(),
        ]
    };
    let line =
        |order: &i64| vec![(*order).into(), goods_of(*order).into(), 1_i16.into(), 1_i32.into(), rows::PRICE.into()];
    let (rows, lines): (Vec<_>, Vec<_>) = orders.iter().map(|order| (row(order), line(order))).unzip();
    sql::insert_rows(tx, "trade_order", &ORDER_COLUMNS, &rows).await?;
    let columns = ["order_id", "goods_id", "line_no", "goods_number", "goods_price_fen"];
    sql::insert_rows(tx, "trade_order_item", &columns, &lines).await
}

/// Takes one unit for each order.
pub(super) async fn reserve(tx: &Tx, orders: &[i64], now: Millis) -> Result<()> {
    hold(tx, &STOCK_HOLDS, orders, now).await?;
    take(tx, "trade_goods", "goods_id", &SHELVES, orders.iter().map(|order| (goods_of(*order), -1))).await?;
    let movement =
        |order: &i64| vec![(*order).into(), goods_of(*order).into(), 1_i16.into(), (-1_i64).into(), now.get().into()];
    let movements: Vec<Vec<Value>> = orders.iter().map(movement).collect();
    let columns = ["ref_id", "goods_id", "log_type", "goods_number", "log_ms"];
    sql::insert_rows(tx, "trade_goods_number_log", &columns, &movements).await
}

/// Takes the balance each order uses.
pub(super) async fn debit(tx: &Tx, orders: &[i64], now: Millis) -> Result<()> {
    hold(tx, &BALANCE_HOLDS, orders, now).await?;
    take(tx, "trade_user", "user_id", &PURSES, orders.iter().map(|order| (user_of(*order), -BALANCE_USED))).await?;
    let movement = |order: &i64| {
        vec![(*order).into(), user_of(*order).into(), 1_i16.into(), (-BALANCE_USED).into(), now.get().into()]
    };
    let movements: Vec<Vec<Value>> = orders.iter().map(movement).collect();
    let columns = ["ref_id", "user_id", "money_log_type", "use_money_fen", "create_ms"];
    sql::insert_rows(tx, "trade_user_money_log", &columns, &movements).await
}

/// Confirms the orders and owes the messages that say so.
pub(super) async fn confirm(tx: &Tx, orders: &[i64], now: Millis) -> Result<()> {
    read(tx, "trade_order", "order_id", orders.iter().copied()).await?;
    let moves: Vec<Vec<Value>> =
        orders.iter().map(|order| vec![(*order).into(), now.get().into(), now.after(DEADLINE).get().into()]).collect();
    CONFIRM.run(tx, &moves).await?;
    let message = |order: &i64| {
        let pay_amount = Fen::new(DUE).to_string();
        let body = OrderConfirmed { version: VERSION, order_id: *order, user_id: user_of(*order), pay_amount };
        Message::new(ORDER_CONFIRM, *order, &body, TraceParent::start())
    };
    let messages: Vec<Message> = orders.iter().map(message).collect::<Result<_>>()?;
    outbox::append(tx, &messages, now).await
}

async fn hold(tx: &Tx, table: &HoldTable, orders: &[i64], now: Millis) -> Result<()> {
    let mut holds = table.load(tx, orders.to_vec()).await?;
    for order in orders {
        if table.is_due {
            holds.hold_until(*order, now.after(DEADLINE));
        } else {
            holds.hold(*order, None);
        }
    }
    table.save(tx, &holds, now).await
}

/// Reads the rows that are taken from and takes: each row once, by the sum of what is taken.
async fn take(tx: &Tx, table: &str, key: &str, update: &Update, taken: impl Iterator<Item = (i64, i64)>) -> Result<()> {
    let mut sums = std::collections::BTreeMap::<i64, i64>::new();
    for (id, delta) in taken {
        let sum = sums.entry(id).or_default();
        *sum = sum.saturating_add(delta);
    }
    read(tx, table, key, sums.keys().copied()).await?;
    let deltas: Vec<Vec<Value>> = sums.iter().map(|(id, delta)| vec![(*id).into(), (*delta).into()]).collect();
    update.run(tx, &deltas).await
}

async fn read(tx: &Tx, table: &str, key: &str, ids: impl Iterator<Item = i64>) -> Result<()> {
    let ids = sql::padded(ids);
    let marks = vec!["?"; ids.len()].join(", ");
    let text = format!("SELECT * FROM {table} WHERE {key} IN ({marks}) ORDER BY {key}");
    select(tx, &text, ids.into_iter().map(Value::from)).await
}

async fn select(tx: &Tx, text: &str, values: impl Iterator<Item = Value>) -> Result<()> {
    tx.query_all_raw(Statement::from_sql_and_values(tx.get_database_backend(), text, values)).await?;
    Ok(())
}
