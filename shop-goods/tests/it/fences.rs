//! What the schema itself refuses, should the code above it ever be wrong.

use shop_testkit::participant::the_last_fence_holds;

const ROWS: &str = "INSERT INTO trade_goods (goods_id, goods_name, goods_number, goods_price_fen, add_ms)
    VALUES (1, 'g', 3, 100, 0)";

#[tokio::test]
async fn stock_is_never_negative_and_movements_have_a_direction() {
    let wrong = [
        "UPDATE trade_goods SET goods_number = -1",
        "UPDATE trade_goods SET goods_price_fen = -1",
        "INSERT INTO trade_goods_number_log VALUES (7, 1, 1, 2, 0)",
        "INSERT INTO trade_goods_number_log VALUES (7, 1, 2, -2, 0)",
        "INSERT INTO trade_goods_number_log VALUES (7, 1, 3, 2, 0)",
        "INSERT INTO trade_goods_number_log VALUES (7, 1, 1, -2, 0), (7, 1, 1, -2, 0)",
        "INSERT INTO trade_goods_hold (order_id, state, create_ms, update_ms) VALUES (7, 5, 0, 0)",
        "INSERT INTO trade_goods_hold (order_id, state, create_ms, update_ms) VALUES (7, 1, 0, 0), (7, 4, 0, 0)",
    ];
    the_last_fence_holds(&shop_goods::SCHEMA, ROWS, &wrong).await;
}
