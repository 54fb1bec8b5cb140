-- Goods, their stock, what orders hold of it, and the ledger of every movement.

-- Money is BIGINT fen (the tutorial's decimal(10,2) reads back as a float on SQLite); times are milliseconds.
CREATE TABLE trade_goods (
    goods_id        BIGINT       NOT NULL PRIMARY KEY,  -- a snowflake id, so no AUTO_INCREMENT
    goods_name      VARCHAR(255) NOT NULL,
    goods_number    BIGINT       NOT NULL,              -- units on the shelf
    goods_price_fen BIGINT       NOT NULL,
    goods_desc      VARCHAR(255) NOT NULL DEFAULT '',
    add_ms          BIGINT       NOT NULL,
    CHECK (goods_number >= 0),                          -- the last fence against overselling (traps 3, 12)
    CHECK (goods_price_fen >= 0)
);

-- The barrier of one order: do inserts it as held, undo without a do inserts it as never, so the two meet on the
-- primary key (traps 16, 20, 33).
CREATE TABLE trade_goods_hold (
    order_id  BIGINT   NOT NULL PRIMARY KEY,
    state     SMALLINT NOT NULL,                        -- 1 held, 2 final, 3 undone, 4 never
    create_ms BIGINT   NOT NULL,
    update_ms BIGINT   NOT NULL,
    due_ms    BIGINT   NULL,
    attempts  BIGINT   NOT NULL DEFAULT 0,
    CHECK (state IN (1, 2, 3, 4))
);
CREATE INDEX ix_goods_hold_due ON trade_goods_hold (due_ms);

-- The stock ledger; its sum per goods is the stock at any moment. `log_type` is part of the key, so taking and giving
-- back are two rows (trap 24), and `ref_id` is whatever caused the movement (0 = opening).
CREATE TABLE trade_goods_number_log (
    ref_id       BIGINT   NOT NULL,
    goods_id     BIGINT   NOT NULL,
    log_type     SMALLINT NOT NULL,                     -- 0 opening, 1 taken by an order, 2 given back by it
    goods_number BIGINT   NOT NULL,                     -- signed
    log_ms       BIGINT   NOT NULL,
    PRIMARY KEY (ref_id, goods_id, log_type),
    CHECK ((log_type = 1 AND goods_number < 0) OR (log_type IN (0, 2) AND goods_number >= 0))
);
CREATE INDEX ix_goods_number_log_goods ON trade_goods_number_log (goods_id);
