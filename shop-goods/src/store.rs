//! All SQL of the goods service: loads the view of a batch under lock, saves its difference.

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set, Value};
use shop_common::{
    db::{Result, Tx},
    due::{Debt, Due, Owing},
    due_table,
    hold::HoldTable,
    hold_table,
    id::{GoodsId, OrderId},
    sql::{self, Update},
    time::Millis,
};

use crate::{
    entity::{goods, number_log},
    stock::{LogType, Shelf, Stock},
};

const HOLDS: HoldTable = hold_table!("trade_goods_hold", "order_id", None, due);

/// Holds past their time: only what is *held* is due.
pub(crate) const DUE: Due = due_table!("trade_goods_hold", "order_id", "order_id, attempts, create_ms", |row| {
    let order_id: i64 = row.get("order_id")?;
    let since = Millis::new(row.get("create_ms")?);
    Ok(Owing { row: format!("order {order_id}"), since, debts: vec![Debt::new("the fate of held stock", "order")] })
});

const SHELVES: Update = Update {
    table: "trade_goods",
    values: &["k", "delta"],
    set: "goods_number = t.goods_number + v.delta",
    guard: "t.goods_id = v.k AND t.goods_number + v.delta >= 0",
};

const fn log_type_number(log_type: LogType) -> i16 {
    match log_type {
        LogType::Taken => 1,
        LogType::GivenBack => 2,
    }
}

/// Loads what reserving `goods` for `orders` touches: holds by order id, then goods by id.
pub(crate) async fn load_to_reserve(tx: &Tx, orders: Vec<i64>, goods: Vec<i64>) -> Result<Stock> {
    let mut stock = Stock { holds: HOLDS.load(tx, orders).await?, ..Stock::default() };
    load_shelves(tx, &mut stock, goods).await?;
    Ok(stock)
}

/// Loads what releasing `orders` touches: holds, what the ledger says they took, then those goods.
pub(crate) async fn load_to_release(tx: &Tx, orders: Vec<i64>) -> Result<Stock> {
    let orders = sql::padded(orders);
    let mut stock = Stock { holds: HOLDS.load(tx, orders.clone()).await?, ..Stock::default() };
    let taken = number_log::Entity::find()
        .filter(number_log::Column::RefId.is_in(orders))
        .filter(number_log::Column::LogType.eq(log_type_number(LogType::Taken)))
        .all(tx)
        .await?;
    for row in &taken {
        let lines = stock.taken.entry(OrderId::new(row.ref_id)).or_default();
        lines.push((GoodsId::new(row.goods_id), row.delta.saturating_neg()));
    }
    load_shelves(tx, &mut stock, taken.into_iter().map(|row| row.goods_id).collect()).await?;
    Ok(stock)
}

/// Loads what keeping the stock of `orders` touches: holds alone.
pub(crate) async fn load_to_keep(tx: &Tx, orders: Vec<i64>) -> Result<Stock> {
    Ok(Stock { holds: HOLDS.load(tx, orders).await?, ..Stock::default() })
}

async fn load_shelves(tx: &Tx, stock: &mut Stock, goods: Vec<i64>) -> Result<()> {
    for row in sql::locked(tx, "goods_id, goods_number", "trade_goods", "goods_id", goods).await? {
        let on_hand = row.get("goods_number")?;
        stock.shelves.insert(GoodsId::new(row.get("goods_id")?), Shelf { loaded: on_hand, on_hand });
    }
    Ok(())
}

/// Saves the difference; what was decided under lock is stated again in the SQL.
pub(crate) async fn save(tx: &Tx, stock: &Stock, now: Millis) -> Result<()> {
    HOLDS.save(tx, &stock.holds, now).await?;
    let changed = stock.shelves.iter().filter(|(_, shelf)| shelf.on_hand != shelf.loaded);
    let deltas: Vec<Vec<Value>> = changed
        .map(|(goods_id, shelf)| vec![goods_id.get().into(), shelf.on_hand.saturating_sub(shelf.loaded).into()])
        .collect();
    SHELVES.run(tx, &deltas).await?;
    let movements = stock.movements.iter().map(|movement| number_log::ActiveModel {
        ref_id: Set(movement.order_id.get()),
        goods_id: Set(movement.goods_id.get()),
        log_type: Set(log_type_number(movement.log_type)),
        delta: Set(movement.delta),
        log_ms: Set(now.get()),
    });
    sql::insert_many(tx, movements.collect()).await
}

/// Those of `goods_ids` that exist.
pub(crate) async fn goods(db: &impl ConnectionTrait, goods_ids: Vec<i64>) -> Result<Vec<(i64, goods::Model)>> {
    let rows = goods::Entity::find().filter(goods::Column::GoodsId.is_in(sql::padded(goods_ids))).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.goods_id, row)).collect())
}

/// Up to `limit` goods with an id above `after`, by id.
pub(crate) async fn page(db: &impl ConnectionTrait, after: i64, limit: u64) -> Result<Vec<goods::Model>> {
    let page = goods::Entity::find().filter(goods::Column::GoodsId.gt(after)).order_by_asc(goods::Column::GoodsId);
    Ok(page.limit(limit).all(db).await?)
}

#[cfg(test)]
mod tests {
    use shop_common::db::Failure;
    use shop_testkit::{
        databases, dump,
        participant::{NOW, execute, what_is_decided_on_is_locked},
    };

    use super::*;

    /// Goods 1 have 3 units on the shelf.
    const ROWS: &str =
        "INSERT INTO trade_goods (goods_id, goods_name, goods_number, goods_price_fen, goods_desc, add_ms)
        VALUES (1, 'g', 3, 100, '', 0)";

    #[tokio::test]
    async fn what_was_decided_on_stale_rows_is_not_written() {
        let stale = |goods_id| Stock {
            shelves: [(GoodsId::new(goods_id), Shelf { loaded: 9, on_hand: 5 })].into(),
            ..Stock::default()
        };
        for test in databases(&crate::SCHEMA).await {
            execute(&test.db, ROWS).await;
            let before = dump(&test.db).await;
            for view in [stale(1), stale(2)] {
                let saved = test.db.write_tx(async |tx| save(tx, &view, NOW).await).await;
                let guarded = matches!(&saved, Err(Failure::Rollback(why)) if why.contains("guard"));
                assert!(guarded, "{}: {view:?} {saved:?}", test.name);
                assert_eq!(dump(&test.db).await, before, "{}", test.name);
            }
        }
    }

    #[tokio::test]
    async fn rows_that_are_decided_on_are_locked() {
        what_is_decided_on_is_locked(&crate::SCHEMA, ROWS, async |tx| load_to_reserve(tx, vec![], vec![1]).await).await;
    }
}
