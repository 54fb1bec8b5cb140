-- Coupons and what orders hold of them.

CREATE TABLE trade_coupon (
    coupon_id        BIGINT   NOT NULL PRIMARY KEY,
    coupon_price_fen BIGINT   NOT NULL,
    user_id          BIGINT   NOT NULL,                 -- checked by us, not by the tutorial (trap 9)
    order_id         BIGINT   NULL,
    is_used          SMALLINT NOT NULL DEFAULT 0,
    used_ms          BIGINT   NULL,
    minimum_fen      BIGINT   NOT NULL DEFAULT 0,       -- not in the tutorial: smallest items' total
    valid_from_ms    BIGINT   NULL,                     -- not in the tutorial: usable from (inclusive)
    valid_until_ms   BIGINT   NULL,                     -- not in the tutorial: usable until (exclusive)
    CHECK (coupon_price_fen >= 0),
    CHECK (minimum_fen >= 0),
    CHECK ((is_used = 1 AND order_id IS NOT NULL AND used_ms IS NOT NULL)
        OR (is_used = 0 AND order_id IS NULL AND used_ms IS NULL))
);
CREATE INDEX ix_coupon_user ON trade_coupon (user_id, coupon_id);

-- The barrier of one order; see trade_goods_hold. It is the coupon's ledger too: which coupon, and whether it came back.
CREATE TABLE trade_coupon_hold (
    order_id  BIGINT   NOT NULL PRIMARY KEY,
    coupon_id BIGINT   NULL,                            -- NULL in a tombstone
    state     SMALLINT NOT NULL,                        -- 1 held, 2 final, 3 undone, 4 never
    create_ms BIGINT   NOT NULL,
    update_ms BIGINT   NOT NULL,
    due_ms    BIGINT   NULL,
    attempts  BIGINT   NOT NULL DEFAULT 0,
    CHECK (state IN (1, 2, 3, 4)),
    CHECK ((state = 4) = (coupon_id IS NULL))
);
CREATE INDEX ix_coupon_hold_due ON trade_coupon_hold (due_ms);
CREATE INDEX ix_coupon_hold_coupon ON trade_coupon_hold (coupon_id);
