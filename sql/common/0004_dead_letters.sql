-- Dead letters in the hands of an operator: a message can be discarded for a reason, and a row says who did what last.
-- SQLite changes no CHECK in place, so both tables are built anew.

-- 3 discarded is new. The body is MEDIUMTEXT: what is resent was received, and RocketMQ carries 4 MiB, a TEXT 64 KiB.
CREATE TABLE trade_mq_producer_temp_4 (
    id          VARCHAR(100) NOT NULL PRIMARY KEY,
    group_name  VARCHAR(100) NOT NULL,
    msg_topic   VARCHAR(100) NOT NULL,
    msg_tag     VARCHAR(100) NOT NULL,
    msg_key     VARCHAR(100) NOT NULL,
    msg_body    MEDIUMTEXT   NOT NULL,
    msg_status  SMALLINT     NOT NULL DEFAULT 0,    -- 0 to be sent, 2 parked, 3 discarded by an operator
    traceparent VARCHAR(64)  NOT NULL DEFAULT '',
    create_ms   BIGINT       NOT NULL,
    due_ms      BIGINT       NULL,
    attempts    BIGINT       NOT NULL DEFAULT 0,
    remark      VARCHAR(500) NULL,                  -- why it was parked
    operator    VARCHAR(100) NULL,                  -- who resent or discarded it last, when, and why
    operator_ms BIGINT       NULL,
    note        VARCHAR(500) NULL,
    CHECK (msg_status IN (0, 2, 3)),
    CHECK ((msg_status = 0) = (due_ms IS NOT NULL)),
    CHECK (msg_status <> 3 OR (operator IS NOT NULL AND operator_ms IS NOT NULL AND note IS NOT NULL))
);
INSERT INTO trade_mq_producer_temp_4 (id, group_name, msg_topic, msg_tag, msg_key, msg_body, msg_status, traceparent,
    create_ms, due_ms, attempts, remark)
SELECT id, group_name, msg_topic, msg_tag, msg_key, msg_body, msg_status, traceparent, create_ms, due_ms, attempts,
    remark FROM trade_mq_producer_temp;
DROP TABLE trade_mq_producer_temp;
ALTER TABLE trade_mq_producer_temp_4 RENAME TO trade_mq_producer_temp;
CREATE INDEX ix_producer_due ON trade_mq_producer_temp (due_ms);

-- Besides what cannot be decoded, messages whose handler failed are kept: `retry_ms` is when the broker delivers such
-- a one again (NULL = never by itself), so that what is still being tried is told from what is dead.
CREATE TABLE trade_mq_consumer_log_4 (
    group_name      VARCHAR(100) NOT NULL,
    msg_tag         VARCHAR(100) NOT NULL,
    msg_key         VARCHAR(100) NOT NULL,
    msg_id          VARCHAR(100) NOT NULL,
    msg_topic       VARCHAR(100) NOT NULL,
    msg_body        MEDIUMBLOB   NOT NULL,
    consumer_status SMALLINT     NOT NULL,          -- 1 handled after all, 2 failed, 3 discarded by an operator
    consumer_times  BIGINT       NOT NULL,
    consumer_ms     BIGINT       NOT NULL,
    remark          VARCHAR(500) NOT NULL,
    retry_ms        BIGINT       NULL,
    operator        VARCHAR(100) NULL,
    operator_ms     BIGINT       NULL,
    note            VARCHAR(500) NULL,
    PRIMARY KEY (group_name, msg_tag, msg_key),
    CHECK (consumer_status IN (1, 2, 3)),
    CHECK (consumer_status <> 3 OR (operator IS NOT NULL AND operator_ms IS NOT NULL AND note IS NOT NULL))
);
INSERT INTO trade_mq_consumer_log_4 (group_name, msg_tag, msg_key, msg_id, msg_topic, msg_body, consumer_status,
    consumer_times, consumer_ms, remark)
SELECT group_name, msg_tag, msg_key, msg_id, msg_topic, msg_body, consumer_status, consumer_times, consumer_ms, remark
    FROM trade_mq_consumer_log;
DROP TABLE trade_mq_consumer_log;
ALTER TABLE trade_mq_consumer_log_4 RENAME TO trade_mq_consumer_log;
