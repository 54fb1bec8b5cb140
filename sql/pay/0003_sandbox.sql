-- The sandbox channel's own books: the provider's side of a payment, which stands in for Alipay or WeChat Pay.
-- Nothing of the shop reads them except through the channel, and the audit.

CREATE TABLE sandbox_trade (
    pay_id     BIGINT      NOT NULL PRIMARY KEY,
    amount_fen BIGINT      NOT NULL,
    state      SMALLINT    NOT NULL,                    -- 0 waiting for the buyer, 1 success, 2 closed
    trade_no   VARCHAR(64) NOT NULL,
    notify_id  VARCHAR(64) NULL,
    create_ms  BIGINT      NOT NULL,
    paid_ms    BIGINT      NULL,
    refund_fen BIGINT      NOT NULL DEFAULT 0,
    due_ms     BIGINT      NULL,                        -- next notification; NULL = acknowledged or given up
    attempts   BIGINT      NOT NULL DEFAULT 0,
    CHECK (amount_fen > 0),
    CHECK (state IN (0, 1, 2)),
    CHECK (refund_fen >= 0 AND refund_fen <= amount_fen)
);
CREATE INDEX ix_sandbox_trade_due ON sandbox_trade (due_ms);

CREATE TABLE sandbox_refund (
    refund_id  BIGINT NOT NULL PRIMARY KEY,
    pay_id     BIGINT NOT NULL,
    amount_fen BIGINT NOT NULL,
    create_ms  BIGINT NOT NULL,
    CHECK (amount_fen > 0)
);
