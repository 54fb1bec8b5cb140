//! What the schema itself refuses, should the code above it ever be wrong.

use shop_testkit::participant::the_last_fence_holds;

/// An open payment of 100 fen.
const ROWS: &str =
    "INSERT INTO trade_pay (pay_id, order_id, user_id, channel, pay_amount_fen, is_paid, open_key, pay_url, add_ms)
    VALUES (1, 7, 11, 'sandbox', 100, 1, '7/sandbox', '', 0)";

#[tokio::test]
async fn one_payment_is_open_and_no_more_goes_back_than_was_paid() {
    let wrong = [
        "INSERT INTO trade_pay (pay_id, order_id, user_id, channel, pay_amount_fen, is_paid, open_key, pay_url, add_ms)
         VALUES (2, 7, 11, 'sandbox', 100, 1, '7/sandbox', '', 0)",
        "UPDATE trade_pay SET is_paid = 3",
        "UPDATE trade_pay SET pay_amount_fen = 0",
        "UPDATE trade_pay SET refund_fen = 101",
        "UPDATE trade_pay SET refund_fen = -1",
        "UPDATE trade_pay SET is_paid = 2, pay_ms = 1",
        "UPDATE trade_pay SET closed_ms = 1",
        "UPDATE trade_pay SET is_paid = 2, open_key = NULL",
        "UPDATE trade_pay SET pay_ms = 1",
        "UPDATE trade_pay SET owed = 1",
        "UPDATE trade_pay SET due_ms = 1",
        "INSERT INTO trade_pay_order VALUES (7, 3, 0, 0)",
        "INSERT INTO trade_pay_order VALUES (7, 1, 0, 0), (7, 2, 0, 0)",
        "INSERT INTO trade_pay_log VALUES (1, 7, 100, 't', 0), (1, 7, 100, 't', 0)",
        "INSERT INTO trade_refund (refund_id, pay_id, order_id, cause, cause_id, amount_fen, state, create_ms)
         VALUES (3, 1, 7, 1, 7, 100, 0, 0), (4, 1, 7, 1, 7, 100, 0, 0)",
        "INSERT INTO trade_refund (refund_id, pay_id, order_id, cause, cause_id, amount_fen, state, create_ms)
         VALUES (3, 1, 7, 1, 7, 0, 0, 0)",
        "INSERT INTO trade_refund (refund_id, pay_id, order_id, cause, cause_id, amount_fen, state, create_ms)
         VALUES (3, 1, 7, 1, 7, 100, 3, 0)",
        "INSERT INTO trade_refund (refund_id, pay_id, order_id, cause, cause_id, request_id, reason, amount_fen, state, create_ms)
         VALUES (3, 1, 7, 5, 3, 'k', 'why', 1, 0, 0), (4, 1, 7, 5, 4, 'k', 'why', 1, 0, 0)",
        "INSERT INTO trade_refund (refund_id, pay_id, order_id, cause, cause_id, reason, amount_fen, state, create_ms)
         VALUES (3, 1, 7, 5, 3, 'why', 1, 0, 0)",
        "INSERT INTO trade_refund (refund_id, pay_id, order_id, cause, cause_id, request_id, amount_fen, state, create_ms)
         VALUES (3, 1, 7, 5, 3, 'k', 1, 0, 0)",
        "INSERT INTO trade_refund (refund_id, pay_id, order_id, cause, cause_id, request_id, reason, amount_fen, state, create_ms)
         VALUES (3, 1, 7, 1, 7, 'k', 'why', 1, 0, 0)",
    ];
    the_last_fence_holds(&shop_pay::SCHEMA, ROWS, &wrong).await;
}
