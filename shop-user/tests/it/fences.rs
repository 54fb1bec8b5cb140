//! What the schema itself refuses, should the code above it ever be wrong.

use shop_testkit::participant::the_last_fence_holds;

const ROWS: &str = "INSERT INTO trade_user (user_id, user_name, user_score, user_reg_ms, user_money_fen)
    VALUES (1, 'u', 3, 0, 100)";

#[tokio::test]
async fn nobody_has_less_than_nothing_and_movements_have_a_direction() {
    let wrong = [
        "UPDATE trade_user SET user_money_fen = -1",
        "UPDATE trade_user SET user_score = -1",
        "INSERT INTO trade_user_money_log VALUES (7, 1, 1, 5, 0)",
        "INSERT INTO trade_user_money_log VALUES (7, 1, 2, -5, 0)",
        "INSERT INTO trade_user_money_log VALUES (7, 1, 3, 5, 0)",
        "INSERT INTO trade_user_money_log VALUES (7, 1, 2, 5, 0), (7, 1, 2, 5, 0)",
        "INSERT INTO trade_user_score_log VALUES (7, 1, 1, -5, 0)",
        "INSERT INTO trade_user_score_log VALUES (7, 1, 2, 5, 0)",
        "INSERT INTO trade_user_score_log VALUES (7, 1, 1, 5, 0), (7, 1, 1, 5, 0)",
        "INSERT INTO trade_user_hold (order_id, state, create_ms, update_ms) VALUES (7, 5, 0, 0)",
        "INSERT INTO trade_user_hold (order_id, state, create_ms, update_ms) VALUES (7, 1, 0, 0), (7, 4, 0, 0)",
        "INSERT INTO trade_user_score_hold (pay_id, state, create_ms, update_ms) VALUES (7, 5, 0, 0)",
        "INSERT INTO trade_user_score_hold (pay_id, state, create_ms, update_ms) VALUES (7, 1, 0, 0), (7, 4, 0, 0)",
    ];
    the_last_fence_holds(&shop_user::SCHEMA, ROWS, &wrong).await;
}
