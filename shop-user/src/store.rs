//! All SQL of the user service: loads the view of a batch under lock, saves its difference.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Set, Value};
use shop_common::{
    db::{Reader, Result, Row, Tx},
    hold::HoldTable,
    hold_table,
    id::{OrderId, PayId, UserId},
    money::Fen,
    sql::{self, Update},
    time::Millis,
};
use shop_proto::user::v1::UserBalance;

use crate::{
    balance::{self, Balances, Purse},
    entity::{money_log, score_log, user},
    points::{self, Points, Score},
};

const BALANCE_HOLDS: HoldTable = hold_table!("trade_user_hold", "order_id", None);

const POINTS_HOLDS: HoldTable = hold_table!("trade_user_score_hold", "pay_id", None);

const PURSES: Update = Update {
    table: "trade_user",
    values: &["k", "delta"],
    set: "user_money_fen = t.user_money_fen + v.delta",
    guard: "t.user_id = v.k AND t.user_money_fen + v.delta >= 0",
};

const SCORES: Update = Update {
    table: "trade_user",
    values: &["k", "delta"],
    set: "user_score = t.user_score + v.delta",
    guard: "t.user_id = v.k AND t.user_score + v.delta >= 0",
};

const fn money_log_number(log_type: balance::LogType) -> i16 {
    match log_type {
        balance::LogType::Taken => 1,
        balance::LogType::GivenBack => 2,
    }
}

const fn score_log_number(log_type: points::LogType) -> i16 {
    match log_type {
        points::LogType::Credited => 1,
        points::LogType::Reversed => 2,
    }
}

/// Loads what debiting `users` for `orders` touches: holds by order id, then users by id.
pub(crate) async fn load_to_debit(tx: &Tx, orders: Vec<i64>, users: Vec<i64>) -> Result<Balances> {
    let holds = BALANCE_HOLDS.load(tx, orders).await?;
    Ok(Balances { holds, purses: purses(tx, users).await?, ..Balances::default() })
}

/// Loads what refunding `orders` touches: holds, what the ledger says they took, then those users.
pub(crate) async fn load_to_refund(tx: &Tx, orders: Vec<i64>) -> Result<Balances> {
    let orders = sql::padded(orders);
    let holds = BALANCE_HOLDS.load(tx, orders.clone()).await?;
    let rows = money_log::Entity::find()
        .filter(money_log::Column::RefId.is_in(orders))
        .filter(money_log::Column::LogType.eq(money_log_number(balance::LogType::Taken)))
        .all(tx)
        .await?;
    let users = rows.iter().map(|row| row.user_id).collect();
    let taken = rows.into_iter().map(|row| {
        let amount = Fen::new(row.delta_fen.saturating_neg());
        (OrderId::new(row.ref_id), (UserId::new(row.user_id), amount))
    });
    Ok(Balances { holds, taken: taken.collect(), purses: purses(tx, users).await?, ..Balances::default() })
}

/// Loads what crediting `users` for `payments` touches: holds by payment id, then users by id.
pub(crate) async fn load_to_award(tx: &Tx, payments: Vec<i64>, users: Vec<i64>) -> Result<Points> {
    let holds = POINTS_HOLDS.load(tx, payments).await?;
    Ok(Points { holds, scores: scores(tx, users).await?, ..Points::default() })
}

/// Loads what reversing `payments` touches: holds, what the ledger says they earned, then those users.
pub(crate) async fn load_to_reverse(tx: &Tx, payments: Vec<i64>) -> Result<Points> {
    let payments = sql::padded(payments);
    let holds = POINTS_HOLDS.load(tx, payments.clone()).await?;
    let rows = score_log::Entity::find()
        .filter(score_log::Column::RefId.is_in(payments))
        .filter(score_log::Column::LogType.eq(score_log_number(points::LogType::Credited)))
        .all(tx)
        .await?;
    let users = rows.iter().map(|row| row.user_id).collect();
    let credited = rows.into_iter().map(|row| (PayId::new(row.ref_id), (UserId::new(row.user_id), row.delta)));
    Ok(Points { holds, credited: credited.collect(), scores: scores(tx, users).await?, ..Points::default() })
}

async fn purses(tx: &Tx, users: Vec<i64>) -> Result<BTreeMap<UserId, Purse>> {
    let rows = sql::locked(tx, "user_id, user_money_fen", "trade_user", "user_id", users).await?;
    let purse = |row: &Row| {
        let balance = Fen::new(row.get("user_money_fen")?);
        Ok((UserId::new(row.get("user_id")?), Purse { loaded: balance, balance }))
    };
    rows.iter().map(purse).collect()
}

async fn scores(tx: &Tx, users: Vec<i64>) -> Result<BTreeMap<UserId, Score>> {
    let rows = sql::locked(tx, "user_id, user_score", "trade_user", "user_id", users).await?;
    let score = |row: &Row| {
        let points = row.get("user_score")?;
        Ok((UserId::new(row.get("user_id")?), Score { loaded: points, points }))
    };
    rows.iter().map(score).collect()
}

/// Saves the difference; what was decided under lock is stated again in the SQL.
pub(crate) async fn save_balances(tx: &Tx, view: &Balances, now: Millis) -> Result<()> {
    BALANCE_HOLDS.save(tx, &view.holds, now).await?;
    let purses = view.purses.iter().map(|(user_id, purse)| (*user_id, purse.loaded.get(), purse.balance.get()));
    PURSES.run(tx, &deltas(purses)).await?;
    let movements = view.movements.iter().map(|movement| money_log::ActiveModel {
        ref_id: Set(movement.order_id.get()),
        user_id: Set(movement.user_id.get()),
        log_type: Set(money_log_number(movement.log_type)),
        delta_fen: Set(movement.delta.get()),
        create_ms: Set(now.get()),
    });
    sql::insert_many(tx, movements.collect()).await
}

/// Saves the difference; what was decided under lock is stated again in the SQL.
pub(crate) async fn save_points(tx: &Tx, view: &Points, now: Millis) -> Result<()> {
    POINTS_HOLDS.save(tx, &view.holds, now).await?;
    let scores = view.scores.iter().map(|(user_id, score)| (*user_id, score.loaded, score.points));
    SCORES.run(tx, &deltas(scores)).await?;
    let movements = view.movements.iter().map(|movement| score_log::ActiveModel {
        ref_id: Set(movement.pay_id.get()),
        user_id: Set(movement.user_id.get()),
        log_type: Set(score_log_number(movement.log_type)),
        delta: Set(movement.delta),
        create_ms: Set(now.get()),
    });
    sql::insert_many(tx, movements.collect()).await
}

/// The rows of an [`Update`] by delta, for those that changed from the second to the third.
fn deltas(users: impl Iterator<Item = (UserId, i64, i64)>) -> Vec<Vec<Value>> {
    let changed = users.filter(|(_, loaded, current)| loaded != current);
    changed
        .map(|(user_id, loaded, current)| vec![user_id.get().into(), current.saturating_sub(loaded).into()])
        .collect()
}

/// One user.
pub(crate) async fn users(db: &impl ConnectionTrait, user_ids: Vec<i64>) -> Result<Vec<(i64, user::Model)>> {
    let rows = user::Entity::find().filter(user::Column::UserId.is_in(sql::padded(user_ids))).all(db).await?;
    Ok(rows.into_iter().map(|row| (row.user_id, row)).collect())
}

/// The balances of those of `user_ids` that exist.
pub(crate) async fn balances(db: &Reader, user_ids: Vec<i64>) -> Result<Vec<UserBalance>> {
    let rows = sql::found(db, "user_id, user_money_fen", "trade_user", "user_id", user_ids).await?;
    let balance = |row: &Row| Ok(UserBalance { user_id: row.get("user_id")?, balance_fen: row.get("user_money_fen")? });
    rows.iter().map(balance).collect()
}

#[cfg(test)]
mod tests {
    use shop_common::db::Failure;
    use shop_testkit::{
        databases, dump,
        participant::{NOW, execute, what_is_decided_on_is_locked},
    };

    use super::*;

    const ROWS: &str = "INSERT INTO trade_user (user_id, user_name, user_score, user_reg_ms, user_money_fen)
        VALUES (1, 'user 1', 100, 1, 100)";

    #[tokio::test]
    async fn what_was_decided_on_stale_rows_is_not_written() {
        let user = UserId::new(1);
        let purse = Purse { loaded: Fen::new(200), balance: Fen::new(99) };
        let balances = Balances { purses: [(user, purse)].into(), ..Balances::default() };
        let points = Points { scores: [(user, Score { loaded: 200, points: 99 })].into(), ..Points::default() };
        for test in databases(&crate::SCHEMA).await {
            execute(&test.db, ROWS).await;
            let before = dump(&test.db).await;
            let saved = test.db.write_tx(async |tx| save_balances(tx, &balances, NOW).await).await;
            assert!(matches!(&saved, Err(Failure::Rollback(why)) if why.contains("guard")), "{}: {saved:?}", test.name);
            let saved = test.db.write_tx(async |tx| save_points(tx, &points, NOW).await).await;
            assert!(matches!(&saved, Err(Failure::Rollback(why)) if why.contains("guard")), "{}: {saved:?}", test.name);
            assert_eq!(dump(&test.db).await, before, "{}", test.name);
        }
    }

    #[tokio::test]
    async fn rows_that_are_decided_on_are_locked() {
        what_is_decided_on_is_locked(&crate::SCHEMA, ROWS, async |tx| load_to_debit(tx, vec![], vec![1]).await).await;
    }
}
