-- Notifications that were not believed: evidence for an operator, up to a rate for each channel and for some days. Nothing
-- is decided by them. And notifications that never come: an open payment owes the question whether it was paid.

CREATE TABLE trade_pay_rejected (
    channel    VARCHAR(32) NOT NULL,
    create_ms  BIGINT      NOT NULL,
    body_hash  VARCHAR(64) NOT NULL,                    -- SHA-256 (hex) of the whole body
    reason     VARCHAR(64) NOT NULL,                    -- SHOP_SIGN_INVALID, SHOP_NOTIFY_REPLAY, ...
    field      VARCHAR(64) NOT NULL,
    body_bytes BIGINT      NOT NULL,                    -- how long it was
    body       BLOB        NOT NULL,                    -- its beginning
    headers    TEXT        NOT NULL,                    -- JSON object: those a signature lies in
    PRIMARY KEY (channel, create_ms, body_hash)
);
CREATE INDEX ix_pay_rejected_age ON trade_pay_rejected (create_ms);

-- Another bit of `owed`: 32, the channel has to be asked. What is open already is asked at once.
UPDATE trade_pay SET owed = 32, due_ms = add_ms WHERE is_paid = 1 AND open_key IS NOT NULL AND owed = 0;
