-- Payments, refunds, and what the channels told us.

CREATE TABLE trade_pay (
    pay_id           BIGINT       NOT NULL PRIMARY KEY,
    order_id         BIGINT       NOT NULL,
    user_id          BIGINT       NOT NULL,
    channel          VARCHAR(32)  NOT NULL,
    pay_amount_fen   BIGINT       NOT NULL,
    is_paid          SMALLINT     NOT NULL,             -- 0 unpaid, 1 paying, 2 paid (the DDL's numbers; trap 50)
    open_key         VARCHAR(64)  NULL,                 -- '<order>/<channel>' while open: one open payment each (trap 39)
    pay_url          VARCHAR(255) NOT NULL,
    channel_trade_no VARCHAR(64)  NULL,
    add_ms           BIGINT       NOT NULL,
    pay_ms           BIGINT       NULL,
    closed_ms        BIGINT       NULL,
    refund_fen       BIGINT       NOT NULL DEFAULT 0,   -- promised back
    owed             BIGINT       NOT NULL DEFAULT 0,   -- bits: 1 order, 2 points, 4 close at the channel, 8 refund, 16 reverse points
    due_ms           BIGINT       NULL,
    attempts         BIGINT       NOT NULL DEFAULT 0,
    CONSTRAINT uq_pay_open UNIQUE (open_key),
    CHECK (is_paid IN (0, 1, 2)),
    CHECK (pay_amount_fen > 0),
    CHECK (refund_fen >= 0 AND refund_fen <= pay_amount_fen),   -- never more than was paid
    CHECK (open_key IS NULL OR (is_paid <> 2 AND closed_ms IS NULL)),
    CHECK ((is_paid = 2) = (pay_ms IS NOT NULL)),
    CHECK ((owed <> 0) = (due_ms IS NOT NULL))
);
CREATE INDEX ix_pay_order ON trade_pay (order_id);
CREATE INDEX ix_pay_due ON trade_pay (due_ms);

-- Where CreatePayment and ClosePayments of one order meet; not in the tutorial (traps 38, 46).
CREATE TABLE trade_pay_order (
    order_id  BIGINT   NOT NULL PRIMARY KEY,
    state     SMALLINT NOT NULL,                        -- 1 open, 2 closed
    create_ms BIGINT   NOT NULL,
    update_ms BIGINT   NOT NULL,
    CHECK (state IN (1, 2))
);

-- One row per payment that was paid; not in the tutorial.
CREATE TABLE trade_pay_log (
    pay_id           BIGINT      NOT NULL PRIMARY KEY,
    order_id         BIGINT      NOT NULL,
    pay_amount_fen   BIGINT      NOT NULL,
    channel_trade_no VARCHAR(64) NOT NULL,
    log_ms           BIGINT      NOT NULL
);

-- Money on its way back; not in the tutorial (traps 39, 46).
CREATE TABLE trade_refund (
    refund_id  BIGINT       NOT NULL PRIMARY KEY,
    pay_id     BIGINT       NOT NULL,
    order_id   BIGINT       NOT NULL,
    cause      SMALLINT     NOT NULL,                   -- 1 order cancelled, 2 paid by another payment, 3 wrong amount
    cause_id   BIGINT       NOT NULL,                   -- the order
    amount_fen BIGINT       NOT NULL,
    state      SMALLINT     NOT NULL,                   -- 0 open, 1 done, 2 refused by the channel
    create_ms  BIGINT       NOT NULL,
    done_ms    BIGINT       NULL,
    remark     VARCHAR(255) NULL,
    CONSTRAINT uq_refund_cause UNIQUE (pay_id, cause, cause_id),
    CHECK (cause IN (1, 2, 3)),
    CHECK (state IN (0, 1, 2)),
    CHECK (amount_fen > 0)
);

-- Every genuine notification with its verdict: for audit and replay; not in the tutorial (traps 40, 41, 42).
CREATE TABLE trade_pay_notify (
    channel    VARCHAR(32)  NOT NULL,
    notify_id  VARCHAR(64)  NOT NULL,
    pay_id     BIGINT       NOT NULL,
    body_hash  VARCHAR(64)  NOT NULL,                   -- SHA-256 (hex) of the body
    body       BLOB         NOT NULL,
    headers    TEXT         NOT NULL,                   -- JSON object
    verdict    VARCHAR(32)  NOT NULL,
    times      BIGINT       NOT NULL,
    create_ms  BIGINT       NOT NULL,
    last_ms    BIGINT       NOT NULL,
    PRIMARY KEY (channel, notify_id)
);
CREATE INDEX ix_pay_notify_pay ON trade_pay_notify (pay_id);
