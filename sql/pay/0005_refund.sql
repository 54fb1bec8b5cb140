-- Refunds of orders that were paid and then given back: `cause` 4. A CHECK cannot be altered in SQLite, so the table is
-- built anew under its name.
CREATE TABLE trade_refund_new (
    refund_id  BIGINT       NOT NULL PRIMARY KEY,
    pay_id     BIGINT       NOT NULL,
    order_id   BIGINT       NOT NULL,
    cause      SMALLINT     NOT NULL,                   -- 1 order cancelled, 2 paid by another payment, 3 wrong amount, 4 order refunded
    cause_id   BIGINT       NOT NULL,                   -- the order
    amount_fen BIGINT       NOT NULL,
    state      SMALLINT     NOT NULL,                   -- 0 open, 1 done, 2 refused by the channel
    create_ms  BIGINT       NOT NULL,
    done_ms    BIGINT       NULL,
    remark     VARCHAR(255) NULL,
    CONSTRAINT uq_refund_cause UNIQUE (pay_id, cause, cause_id),
    CHECK (cause IN (1, 2, 3, 4)),
    CHECK (state IN (0, 1, 2)),
    CHECK (amount_fen > 0)
);

INSERT INTO trade_refund_new (refund_id, pay_id, order_id, cause, cause_id, amount_fen, state, create_ms, done_ms, remark)
SELECT refund_id, pay_id, order_id, cause, cause_id, amount_fen, state, create_ms, done_ms, remark FROM trade_refund;

DROP TABLE trade_refund;

ALTER TABLE trade_refund_new RENAME TO trade_refund;
