//! All SQL of the coupon service: loads the view of a batch under lock, saves its difference.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Value};
use shop_common::{
    db::{Result, Row, Tx},
    hold::HoldTable,
    hold_table,
    id::{CouponId, OrderId, UserId},
    money::Fen,
    sql::{self, Update},
    time::Millis,
};

use crate::{
    coupon::{Coupon, Coupons},
    entity::coupon,
};

const HOLDS: HoldTable = hold_table!("trade_coupon_hold", "order_id", Some("coupon_id"));

const FREED: Update = Update {
    table: "trade_coupon",
    values: &["k", "spender"],
    set: "order_id = NULL, is_used = 0, used_ms = NULL",
    guard: "t.coupon_id = v.k AND t.order_id = v.spender",
};

const SPENT: Update = Update {
    table: "trade_coupon",
    values: &["k", "spender", "moment"],
    set: "order_id = v.spender, is_used = 1, used_ms = v.moment",
    guard: "t.coupon_id = v.k AND t.is_used = 0",
};

/// Loads what spending `coupons` on `orders` touches: holds by order id, then coupons by id.
pub(crate) async fn load_to_redeem(tx: &Tx, orders: Vec<i64>, coupons: Vec<i64>) -> Result<Coupons> {
    let holds = HOLDS.load(tx, orders).await?;
    Ok(Coupons { holds, coupons: load_coupons(tx, coupons).await? })
}

/// Loads what giving the coupons of `orders` back touches: holds, then the coupons they name.
pub(crate) async fn load_to_reinstate(tx: &Tx, orders: Vec<i64>) -> Result<Coupons> {
    let holds = HOLDS.load(tx, orders.clone()).await?;
    let coupons = orders.into_iter().filter_map(|order_id| holds.subject(order_id)).collect();
    Ok(Coupons { holds, coupons: load_coupons(tx, coupons).await? })
}

async fn load_coupons(tx: &Tx, coupons: Vec<i64>) -> Result<BTreeMap<CouponId, Coupon>> {
    let columns = "coupon_id, user_id, coupon_price_fen, minimum_fen, valid_from_ms, valid_until_ms, order_id";
    let rows = sql::locked(tx, columns, "trade_coupon", "coupon_id", coupons).await?;
    rows.iter().map(|row| Ok((CouponId::new(row.get("coupon_id")?), coupon(row)?))).collect()
}

fn coupon(row: &Row) -> Result<Coupon> {
    let spent_by = row.find("order_id")?.map(OrderId::new);
    Ok(Coupon {
        owner: UserId::new(row.get("user_id")?),
        discount: Fen::new(row.get("coupon_price_fen")?),
        minimum: Fen::new(row.get("minimum_fen")?),
        valid_from: row.find("valid_from_ms")?.map(Millis::new),
        valid_until: row.find("valid_until_ms")?.map(Millis::new),
        loaded: spent_by,
        spent_by,
    })
}

/// Saves the difference; what was decided under lock is stated again in the SQL.
pub(crate) async fn save(tx: &Tx, view: &Coupons, now: Millis) -> Result<()> {
    HOLDS.save(tx, &view.holds, now).await?;
    let (mut freed, mut spent) = (Vec::new(), Vec::new());
    for (coupon_id, coupon) in view.coupons.iter().filter(|(_, coupon)| coupon.spent_by != coupon.loaded) {
        let coupon_id = Value::from(coupon_id.get());
        freed.extend(coupon.loaded.map(|order_id| vec![coupon_id.clone(), order_id.get().into()]));
        spent.extend(coupon.spent_by.map(|order_id| vec![coupon_id, order_id.get().into(), now.get().into()]));
    }
    FREED.run(tx, &freed).await?;
    SPENT.run(tx, &spent).await
}

/// Those of `coupon_ids` that exist.
pub(crate) async fn coupons_by_id(
    db: &impl ConnectionTrait,
    coupon_ids: Vec<i64>,
) -> Result<Vec<(i64, coupon::Model)>> {
    let rows = coupon::Entity::find().filter(coupon::Column::CouponId.is_in(sql::padded(coupon_ids))).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.coupon_id, row)).collect())
}

/// Up to `limit` coupons of `user_id`, by id.
pub(crate) async fn coupons(db: &impl ConnectionTrait, user_id: UserId, limit: u64) -> Result<Vec<coupon::Model>> {
    let coupons = coupon::Entity::find().filter(coupon::Column::UserId.eq(user_id.get()));
    Ok(coupons.order_by_asc(coupon::Column::CouponId).limit(limit).all(db).await?)
}

#[cfg(test)]
mod tests {
    use shop_common::db::Failure;
    use shop_testkit::{
        databases, dump,
        participant::{NOW, execute, what_is_decided_on_is_locked},
    };

    use super::*;

    /// Coupon 1 is free, coupon 2 is spent by order 9.
    const ROWS: &str = "INSERT INTO trade_coupon (coupon_id, coupon_price_fen, user_id, order_id, is_used, used_ms)
        VALUES (1, 2000, 70, NULL, 0, NULL), (2, 2000, 70, 9, 1, 5)";

    #[tokio::test]
    async fn what_was_decided_on_stale_rows_is_not_written() {
        let stale = |coupon_id, loaded: Option<i64>, spent_by: Option<i64>| {
            let coupon = Coupon {
                owner: UserId::new(70),
                discount: Fen::new(2_000),
                minimum: Fen::ZERO,
                valid_from: None,
                valid_until: None,
                loaded: loaded.map(OrderId::new),
                spent_by: spent_by.map(OrderId::new),
            };
            Coupons { coupons: [(CouponId::new(coupon_id), coupon)].into(), ..Coupons::default() }
        };
        for test in databases(&crate::SCHEMA).await {
            execute(&test.db, ROWS).await;
            let before = dump(&test.db).await;
            for view in [stale(1, Some(8), None), stale(2, Some(8), None), stale(2, None, Some(8))] {
                let saved = test.db.write_tx(async |tx| save(tx, &view, NOW).await).await;
                assert!(matches!(saved, Err(Failure::Rollback(_))), "{}: {view:?} {saved:?}", test.name);
                assert_eq!(dump(&test.db).await, before, "{}", test.name);
            }
        }
    }

    #[tokio::test]
    async fn rows_that_are_decided_on_are_locked() {
        what_is_decided_on_is_locked(&crate::SCHEMA, ROWS, async |tx| load_to_redeem(tx, vec![], vec![1]).await).await;
    }
}
