-- Orders and their lines.

CREATE TABLE trade_order (
    order_id         BIGINT       NOT NULL PRIMARY KEY,
    user_id          BIGINT       NOT NULL,
    request_id       VARCHAR(64)  NOT NULL,             -- idempotency key, scoped by user (trap 11)
    request_hash     VARCHAR(64)  NOT NULL,             -- SHA-256 (hex) of the request without the key
    order_status     SMALLINT     NOT NULL,             -- 0 unconfirmed, 1 confirmed, 2 cancelled, 3 invalid, 4 refunded
    pay_status       SMALLINT     NOT NULL,             -- 0 unpaid, 1 paying, 2 paid
    shipping_status  SMALLINT     NULL,
    address          VARCHAR(255) NOT NULL DEFAULT '',
    consignee        VARCHAR(255) NOT NULL DEFAULT '',
    phone            VARCHAR(255) NOT NULL DEFAULT '',
    goods_amount_fen BIGINT       NOT NULL,             -- items' total; the tutorial never wrote it (trap 6)
    shipping_fee_fen BIGINT       NOT NULL,
    order_amount_fen BIGINT       NOT NULL,             -- items' total + shipping (trap 1)
    coupon_id        BIGINT       NULL,
    coupon_paid_fen  BIGINT       NOT NULL,
    money_paid_fen   BIGINT       NOT NULL,
    pay_amount_fen   BIGINT       NOT NULL,             -- what is due
    refuse_code      INT          NULL,                 -- ShopCode the saga was refused by
    refuse_field     VARCHAR(64)  NULL,
    refuse_message   VARCHAR(255) NULL,
    cancel_cause     SMALLINT     NULL,                 -- 1 refused in the saga, 2 recovery, 3 user
    cancel_reason    VARCHAR(255) NULL,
    pay_id           BIGINT       NULL,                 -- the one payment bound to it
    add_ms           BIGINT       NOT NULL,
    confirm_ms       BIGINT       NULL,
    pay_ms           BIGINT       NULL,
    cancel_ms        BIGINT       NULL,
    pay_deadline_ms  BIGINT       NULL,
    owed             BIGINT       NOT NULL DEFAULT 0,   -- bits: 1 stock, 2 coupon, 4 balance, 8 close of payments
    due_ms           BIGINT       NULL,                 -- when the sweeper looks next; NULL = nothing is owed
    attempts         BIGINT       NOT NULL DEFAULT 0,
    CONSTRAINT uq_order_request UNIQUE (user_id, request_id),
    CHECK (order_status IN (0, 1, 2, 3, 4)),
    CHECK (pay_status IN (0, 1, 2)),
    CHECK (goods_amount_fen >= 0 AND shipping_fee_fen >= 0 AND coupon_paid_fen >= 0 AND money_paid_fen >= 0),
    CHECK (order_amount_fen = goods_amount_fen + shipping_fee_fen),
    CHECK (pay_amount_fen >= 0),                        -- trap 8
    CHECK (pay_amount_fen = order_amount_fen - coupon_paid_fen - money_paid_fen),
    CHECK (owed = 0 OR due_ms IS NOT NULL)              -- a row that owes something says until when
);
CREATE INDEX ix_order_due ON trade_order (due_ms);
CREATE INDEX ix_order_user ON trade_order (user_id, order_id);

-- The tutorial has one goods line in the order row; an order here has 1 to 50.
CREATE TABLE trade_order_item (
    order_id        BIGINT   NOT NULL,
    goods_id        BIGINT   NOT NULL,
    line_no         SMALLINT NOT NULL,
    goods_number    INT      NOT NULL,
    goods_price_fen BIGINT   NOT NULL,                  -- the price the order was made at (trap 5)
    PRIMARY KEY (order_id, goods_id),
    CHECK (goods_number > 0),
    CHECK (goods_price_fen >= 0)
);
