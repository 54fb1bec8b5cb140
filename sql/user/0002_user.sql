-- Users, their balance and their points, what orders and payments hold of them, and both ledgers.

CREATE TABLE trade_user (
    user_id        BIGINT       NOT NULL PRIMARY KEY,
    user_name      VARCHAR(255) NOT NULL,
    user_password  VARCHAR(255) NULL,                   -- never the tutorial's clear text; NULL = cannot log in
    user_mobile    VARCHAR(255) NOT NULL DEFAULT '',
    user_score     BIGINT       NOT NULL,
    user_reg_ms    BIGINT       NOT NULL,
    user_money_fen BIGINT       NOT NULL,               -- the tutorial's decimal(10,0) lost the cents (trap 6)
    CHECK (user_score >= 0),
    CHECK (user_money_fen >= 0)                         -- the last fence against spending twice (trap 14)
);

-- The barrier of one order on the balance; see trade_goods_hold.
CREATE TABLE trade_user_hold (
    order_id  BIGINT   NOT NULL PRIMARY KEY,
    state     SMALLINT NOT NULL,                        -- 1 held, 2 final, 3 undone, 4 never
    create_ms BIGINT   NOT NULL,
    update_ms BIGINT   NOT NULL,
    CHECK (state IN (1, 2, 3, 4))
);

-- The barrier of one payment on the points (traps 36, 49).
CREATE TABLE trade_user_score_hold (
    pay_id    BIGINT   NOT NULL PRIMARY KEY,
    state     SMALLINT NOT NULL,                        -- 1 held, 2 final, 3 undone, 4 never
    create_ms BIGINT   NOT NULL,
    update_ms BIGINT   NOT NULL,
    CHECK (state IN (1, 2, 3, 4))
);

-- The balance ledger; its sum per user is the balance at any moment. Amounts are signed (the tutorial's were not).
CREATE TABLE trade_user_money_log (
    ref_id         BIGINT   NOT NULL,                   -- the order; 0 = opening
    user_id        BIGINT   NOT NULL,
    money_log_type SMALLINT NOT NULL,                   -- 0 opening, 1 paid for an order, 2 given back
    use_money_fen  BIGINT   NOT NULL,
    create_ms      BIGINT   NOT NULL,
    PRIMARY KEY (ref_id, user_id, money_log_type),
    CHECK ((money_log_type = 1 AND use_money_fen < 0) OR (money_log_type IN (0, 2) AND use_money_fen >= 0))
);
CREATE INDEX ix_user_money_log_user ON trade_user_money_log (user_id);

-- The points ledger; the tutorial has none (trap 49). Its sum per user is the score at any moment.
CREATE TABLE trade_user_score_log (
    ref_id    BIGINT   NOT NULL,                        -- the payment; 0 = opening
    user_id   BIGINT   NOT NULL,
    log_type  SMALLINT NOT NULL,                        -- 0 opening, 1 credited, 2 reversed
    score     BIGINT   NOT NULL,
    create_ms BIGINT   NOT NULL,
    PRIMARY KEY (ref_id, user_id, log_type),
    CHECK ((log_type = 2 AND score <= 0) OR (log_type IN (0, 1) AND score >= 0))
);
CREATE INDEX ix_user_score_log_user ON trade_user_score_log (user_id);
