-- Refunds that an operator asks for: `cause` 5, any number of them for one payment, each once by its key. A CHECK cannot
-- be altered in SQLite, so the table is built anew under its name.
CREATE TABLE trade_refund_new (
    refund_id  BIGINT       NOT NULL PRIMARY KEY,
    pay_id     BIGINT       NOT NULL,
    order_id   BIGINT       NOT NULL,
    cause      SMALLINT     NOT NULL,                   -- 1 order cancelled, 2 paid by another payment, 3 wrong amount, 4 order refunded, 5 operator
    cause_id   BIGINT       NOT NULL,                   -- the order; of cause 5 the refund itself
    request_id VARCHAR(64)  NULL,                       -- the operator's key of idempotency
    reason     VARCHAR(255) NULL,                       -- why, in the operator's words
    operator   VARCHAR(64)  NULL,                       -- who said so
    amount_fen BIGINT       NOT NULL,
    state      SMALLINT     NOT NULL,                   -- 0 open, 1 done, 2 refused by the channel
    create_ms  BIGINT       NOT NULL,
    done_ms    BIGINT       NULL,
    remark     VARCHAR(255) NULL,
    CONSTRAINT uq_refund_cause UNIQUE (pay_id, cause, cause_id),
    CONSTRAINT uq_refund_request UNIQUE (pay_id, request_id),
    CHECK (cause IN (1, 2, 3, 4, 5)),
    CHECK ((cause = 5) = (request_id IS NOT NULL)),
    CHECK ((cause = 5) = (reason IS NOT NULL)),
    CHECK (state IN (0, 1, 2)),
    CHECK (amount_fen > 0)
);

INSERT INTO trade_refund_new (refund_id, pay_id, order_id, cause, cause_id, amount_fen, state, create_ms, done_ms, remark)
SELECT refund_id, pay_id, order_id, cause, cause_id, amount_fen, state, create_ms, done_ms, remark FROM trade_refund;

DROP TABLE trade_refund;

ALTER TABLE trade_refund_new RENAME TO trade_refund;
CREATE INDEX ix_refund_state ON trade_refund (state);
