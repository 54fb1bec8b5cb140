-- The outbox and the log of parked messages, one pair in every service's schema, so that a message is written in the
-- very transaction that owes it (traps 21, 43, 44).

-- Differences from the tutorial's table: `id` is '<tag>:<key>' (one message of a kind per business key), the row
-- carries its full routing (trap 44: topic was written into the tag, so a row could not be re-sent), the body is TEXT
-- (trap 32: varchar(500) cut long bodies), `due_ms` is lease and backoff in one column, NULL once parked.
CREATE TABLE trade_mq_producer_temp (
    id          VARCHAR(100) NOT NULL PRIMARY KEY,
    group_name  VARCHAR(100) NOT NULL,
    msg_topic   VARCHAR(100) NOT NULL,
    msg_tag     VARCHAR(100) NOT NULL,
    msg_key     VARCHAR(100) NOT NULL,
    msg_body    TEXT         NOT NULL,
    msg_status  SMALLINT     NOT NULL DEFAULT 0,    -- 0 to be sent, 2 parked: a definite rejection of this very row
    traceparent VARCHAR(64)  NOT NULL DEFAULT '',   -- W3C trace context of the request that caused it
    create_ms   BIGINT       NOT NULL,
    due_ms      BIGINT       NULL,
    attempts    BIGINT       NOT NULL DEFAULT 0,
    remark      VARCHAR(500) NULL,                  -- why it was parked
    CHECK (msg_status IN (0, 2)),
    CHECK ((msg_status = 0) = (due_ms IS NOT NULL))
);
CREATE INDEX ix_producer_due ON trade_mq_producer_temp (due_ms);

-- Messages that failed or could not be decoded, with their original bytes. No effect relies on this table: barriers
-- are holds, guarded states and unique ledger rows (traps 23 to 29).
CREATE TABLE trade_mq_consumer_log (
    group_name      VARCHAR(100) NOT NULL,
    msg_tag         VARCHAR(100) NOT NULL,
    msg_key         VARCHAR(100) NOT NULL,          -- the message id where a message has no key
    msg_id          VARCHAR(100) NOT NULL,
    msg_topic       VARCHAR(100) NOT NULL,
    msg_body        MEDIUMBLOB   NOT NULL,          -- RocketMQ takes up to 4 MiB, a BLOB 64 KiB
    consumer_status SMALLINT     NOT NULL,          -- the tutorial's numbers: 1 handled after all, 2 failed
    consumer_times  BIGINT       NOT NULL,
    consumer_ms     BIGINT       NOT NULL,
    remark          VARCHAR(500) NOT NULL,
    PRIMARY KEY (group_name, msg_tag, msg_key),
    CHECK (consumer_status IN (1, 2))
);
