//! What there is to buy and who buys: plenty of everything, so that no request is ever rightly refused.

use shop::audit::Schemas;
use shop_testkit::participant::execute;

/// Buyers, from 1 on; each is one client.
pub(crate) const USERS: i64 = 6;
/// Goods, from 1 on.
pub(crate) const GOODS: i64 = 3;
/// Units of each.
pub(crate) const STOCK: i64 = 1_000_000;
/// What everybody has, in fen.
pub(crate) const BALANCE: i64 = 1_000_000_000;
/// Coupons of each buyer.
pub(crate) const COUPONS: i64 = 500;
/// What each takes off.
pub(crate) const DISCOUNT: i64 = 300;

/// Price of one unit, in fen.
pub(crate) const fn price(goods_id: i64) -> i64 {
    goods_id * 1250
}

/// Number `index` of the coupons of `user_id`.
pub(crate) const fn coupon(user_id: i64, index: i64) -> i64 {
    user_id * COUPONS + index
}

/// Writes it, each with its opening ledger row.
pub(crate) async fn fill(schemas: &Schemas) {
    for goods in 1..=GOODS {
        let columns = "(goods_id, goods_name, goods_number, goods_price_fen, add_ms)";
        let row = format!("({goods}, 'x', {STOCK}, {}, 1)", price(goods));
        execute(&schemas.goods, &format!("INSERT INTO trade_goods {columns} VALUES {row}")).await;
        execute(&schemas.goods, &format!("INSERT INTO trade_goods_number_log VALUES (0, {goods}, 0, {STOCK}, 1)"))
            .await;
    }
    for user in 1..=USERS {
        let columns = "(user_id, user_name, user_score, user_reg_ms, user_money_fen)";
        execute(&schemas.user, &format!("INSERT INTO trade_user {columns} VALUES ({user}, 'u', 0, 1, {BALANCE})"))
            .await;
        execute(&schemas.user, &format!("INSERT INTO trade_user_money_log VALUES (0, {user}, 0, {BALANCE}, 1)")).await;
        execute(&schemas.user, &format!("INSERT INTO trade_user_score_log VALUES (0, {user}, 0, 0, 1)")).await;
        let rows: Vec<String> =
            (0..COUPONS).map(|index| format!("({}, {DISCOUNT}, {user})", coupon(user, index))).collect();
        let columns = "(coupon_id, coupon_price_fen, user_id)";
        execute(&schemas.coupon, &format!("INSERT INTO trade_coupon {columns} VALUES {}", rows.join(", "))).await;
    }
}
