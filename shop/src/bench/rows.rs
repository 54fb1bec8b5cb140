//! The goods, users and coupons of a benchmark: under numbers of their own, each with its opening ledger row, so that
//! the audit holds. What is there already stays as it is.

use sea_orm::{ConnectionTrait, Statement, Value};
use shop_common::{
    db::{Db, Failure, Result, Tx},
    sql,
    time::{Clock, Millis},
};

use crate::audit::Schemas;

/// Above every number the id generator makes in the next centuries.
const FIRST: i64 = 9_100_000_000_000_000_000;
/// Goods an order can be for.
const GOODS: i64 = 100;
/// Users that can order.
const USERS: i64 = 4096;
/// Price of one of the goods, in fen: above it, shipping is free.
pub(super) const PRICE: i64 = 12_000;
/// Discount of a coupon, in fen.
const DISCOUNT: i64 = 1_000;
/// Units of each of the goods, fen of each user: more than any run takes.
const PLENTY: i64 = 100_000_000_000;

/// One of the goods, by turns.
pub(super) fn goods(turn: u64) -> i64 {
    FIRST.saturating_add(i64::try_from(turn).unwrap_or_default().rem_euclid(GOODS))
}

/// The goods of which nothing is left.
pub(super) const SOLD_OUT: i64 = FIRST + GOODS;

/// No goods at all.
pub(super) const NO_GOODS: i64 = FIRST + GOODS + 1;

/// One of the users, by turns.
pub(super) fn user(turn: u64) -> i64 {
    FIRST.saturating_add(i64::try_from(turn).unwrap_or_default().rem_euclid(USERS))
}

/// The users that can order.
pub(super) fn users() -> impl Iterator<Item = i64> {
    (0..USERS).map(|user| FIRST.saturating_add(user))
}

/// The user without a fen.
pub(super) const PENNILESS: i64 = FIRST + USERS;

/// The one coupon of a user.
pub(super) const fn coupon_of(user: i64) -> i64 {
    user
}

/// Writes the rows.
///
/// # Errors
/// A database is away.
pub(super) async fn write(schemas: &Schemas) -> Result<()> {
    let now = Clock::system().now();
    write_once(&schemas.goods, "SELECT 1 AS n FROM trade_goods WHERE goods_id = ?", async |tx| {
        write_goods(tx, now).await
    })
    .await?;
    write_once(&schemas.user, "SELECT 1 AS n FROM trade_user WHERE user_id = ?", async |tx| write_users(tx, now).await)
        .await?;
    write_once(&schemas.coupon, "SELECT 1 AS n FROM trade_coupon WHERE coupon_id = ?", write_coupons).await
}

/// All of a schema's rows are written by one transaction: where the first one is, all are.
async fn write_once(db: &Db, first: &str, write: impl AsyncFnOnce(&Tx) -> Result<()>) -> Result<()> {
    db.write_tx(async |tx| {
        let first = Statement::from_sql_and_values(tx.get_database_backend(), first, [FIRST.into()]);
        if tx.query_one_raw(first).await.map_err(Failure::from)?.is_some() {
            return Ok(());
        }
        write(tx).await
    })
    .await
}

async fn write_goods(tx: &Tx, now: Millis) -> Result<()> {
    let (mut goods, mut opening) = (Vec::new(), Vec::new());
    for goods_id in FIRST..=SOLD_OUT {
        let units = if goods_id == SOLD_OUT { 0 } else { PLENTY };
        goods.push(vec![goods_id.into(), "bench".into(), units.into(), PRICE.into(), "".into(), now.get().into()]);
        opening.push(vec![0_i64.into(), goods_id.into(), 0_i16.into(), units.into(), now.get().into()]);
    }
    let columns = ["goods_id", "goods_name", "goods_number", "goods_price_fen", "goods_desc", "add_ms"];
    sql::insert_rows(tx, "trade_goods", &columns, &goods).await?;
    let columns = ["ref_id", "goods_id", "log_type", "goods_number", "log_ms"];
    sql::insert_rows(tx, "trade_goods_number_log", &columns, &opening).await
}

async fn write_users(tx: &Tx, now: Millis) -> Result<()> {
    let (mut users, mut money, mut score) = (Vec::new(), Vec::new(), Vec::new());
    for user_id in FIRST..=PENNILESS {
        let fen = if user_id == PENNILESS { 0 } else { PLENTY };
        users.push(vec![user_id.into(), "bench".into(), 0_i64.into(), now.get().into(), fen.into()]);
        let opening = |amount: i64| -> Vec<Value> {
            vec![0_i64.into(), user_id.into(), 0_i16.into(), amount.into(), now.get().into()]
        };
        money.push(opening(fen));
        score.push(opening(0));
    }
    let columns = ["user_id", "user_name", "user_score", "user_reg_ms", "user_money_fen"];
    sql::insert_rows(tx, "trade_user", &columns, &users).await?;
    let columns = ["ref_id", "user_id", "money_log_type", "use_money_fen", "create_ms"];
    sql::insert_rows(tx, "trade_user_money_log", &columns, &money).await?;
    let columns = ["ref_id", "user_id", "log_type", "score", "create_ms"];
    sql::insert_rows(tx, "trade_user_score_log", &columns, &score).await
}

async fn write_coupons(tx: &Tx) -> Result<()> {
    let coupon = |user: i64| vec![coupon_of(user).into(), DISCOUNT.into(), user.into(), 0_i16.into(), 0_i64.into()];
    let coupons: Vec<Vec<Value>> = users().map(coupon).collect();
    let columns = ["coupon_id", "coupon_price_fen", "user_id", "is_used", "minimum_fen"];
    sql::insert_rows(tx, "trade_coupon", &columns, &coupons).await
}
