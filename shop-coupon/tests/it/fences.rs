//! What the schema itself refuses, should the code above it ever be wrong.

use shop_testkit::participant::the_last_fence_holds;

const ROWS: &str = "INSERT INTO trade_coupon (coupon_id, coupon_price_fen, user_id) VALUES (1, 2000, 11)";

#[tokio::test]
async fn a_used_coupon_names_its_order_and_a_hold_its_coupon() {
    let wrong = [
        "UPDATE trade_coupon SET is_used = 1, used_ms = 1",
        "UPDATE trade_coupon SET is_used = 1, order_id = 7",
        "UPDATE trade_coupon SET order_id = 7",
        "UPDATE trade_coupon SET is_used = 2, order_id = 7, used_ms = 1",
        "UPDATE trade_coupon SET coupon_price_fen = -1",
        "UPDATE trade_coupon SET minimum_fen = -1",
        "INSERT INTO trade_coupon_hold (order_id, coupon_id, state, create_ms, update_ms) VALUES (7, 1, 5, 0, 0)",
        "INSERT INTO trade_coupon_hold (order_id, coupon_id, state, create_ms, update_ms) VALUES (7, 1, 4, 0, 0)",
        "INSERT INTO trade_coupon_hold (order_id, coupon_id, state, create_ms, update_ms) VALUES (7, NULL, 1, 0, 0)",
        "INSERT INTO trade_coupon_hold (order_id, coupon_id, state, create_ms, update_ms) VALUES (7, 1, 1, 0, 0), (7, 1, 3, 0, 0)",
    ];
    the_last_fence_holds(&shop_coupon::SCHEMA, ROWS, &wrong).await;
}
