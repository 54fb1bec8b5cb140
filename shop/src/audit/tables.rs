//! The tables the audit reads, and which of their columns.

use super::{
    rows::{
        Account, ConsumerRow, CouponRow, GateRow, Hold, ItemRow, Movement, OrderRow, OutboxRow, PayLogRow, PayRow,
        RefundRow, ReturnRow, TradeRow,
    },
    table::Table,
};

pub(super) const GOODS: Table<Account> = Table {
    name: "trade_goods",
    columns: "goods_id AS id, goods_number AS amount",
    key: &["goods_id"],
    key_of: |row| vec![row.id.into()],
};

pub(super) const STOCK_LEDGER: Table<Movement> = Table {
    name: "trade_goods_number_log",
    columns: "ref_id, goods_id AS account, log_type, goods_number AS delta",
    key: &["ref_id", "goods_id", "log_type"],
    key_of: Movement::key,
};

pub(super) const STOCK_HOLDS: Table<Hold> = Table {
    name: "trade_goods_hold",
    columns: "order_id AS id, state, NULL AS coupon_id, due_ms",
    key: &["order_id"],
    key_of: |row| vec![row.id.into()],
};

pub(super) const COUPONS: Table<CouponRow> = Table {
    name: "trade_coupon",
    columns: "coupon_id, coupon_price_fen, user_id, order_id, is_used, used_ms",
    key: &["coupon_id"],
    key_of: |row| vec![row.coupon_id.into()],
};

pub(super) const COUPON_HOLDS: Table<Hold> = Table {
    name: "trade_coupon_hold",
    columns: "order_id AS id, state, coupon_id, due_ms",
    key: &["order_id"],
    key_of: |row| vec![row.id.into()],
};

pub(super) const BALANCES: Table<Account> = Table {
    name: "trade_user",
    columns: "user_id AS id, user_money_fen AS amount",
    key: &["user_id"],
    key_of: |row| vec![row.id.into()],
};

pub(super) const MONEY_LEDGER: Table<Movement> = Table {
    name: "trade_user_money_log",
    columns: "ref_id, user_id AS account, money_log_type AS log_type, use_money_fen AS delta",
    key: &["ref_id", "user_id", "money_log_type"],
    key_of: Movement::key,
};

pub(super) const MONEY_HOLDS: Table<Hold> = Table {
    name: "trade_user_hold",
    columns: "order_id AS id, state, NULL AS coupon_id, NULL AS due_ms",
    key: &["order_id"],
    key_of: |row| vec![row.id.into()],
};

pub(super) const SCORES: Table<Account> = Table {
    name: "trade_user",
    columns: "user_id AS id, user_score AS amount",
    key: &["user_id"],
    key_of: |row| vec![row.id.into()],
};

pub(super) const POINTS_LEDGER: Table<Movement> = Table {
    name: "trade_user_score_log",
    columns: "ref_id, user_id AS account, log_type, score AS delta",
    key: &["ref_id", "user_id", "log_type"],
    key_of: Movement::key,
};

pub(super) const POINTS_HOLDS: Table<Hold> = Table {
    name: "trade_user_score_hold",
    columns: "pay_id AS id, state, NULL AS coupon_id, NULL AS due_ms",
    key: &["pay_id"],
    key_of: |row| vec![row.id.into()],
};

pub(super) const ORDERS: Table<OrderRow> = Table {
    name: "trade_order",
    columns: "order_id, user_id, order_status, pay_status, goods_amount_fen, shipping_fee_fen, order_amount_fen, \
              coupon_id, coupon_paid_fen, money_paid_fen, pay_amount_fen, cancel_cause, pay_id, confirm_ms, pay_ms, \
              cancel_ms, pay_deadline_ms, closing_ms, owed, due_ms, attempts",
    key: &["order_id"],
    key_of: |row| vec![row.order_id.into()],
};

pub(super) const ITEMS: Table<ItemRow> = Table {
    name: "trade_order_item",
    columns: "order_id, goods_id, goods_number, goods_price_fen",
    key: &["order_id", "goods_id"],
    key_of: |row| vec![row.order_id.into(), row.goods_id.into()],
};

pub(super) const PAYMENTS: Table<PayRow> = Table {
    name: "trade_pay",
    columns: "pay_id, order_id, user_id, channel, pay_amount_fen, is_paid, open_key, channel_trade_no, pay_ms, \
              closed_ms, refund_fen, owed, due_ms, attempts",
    key: &["pay_id"],
    key_of: |row| vec![row.pay_id.into()],
};

pub(super) const GATES: Table<GateRow> = Table {
    name: "trade_pay_order",
    columns: "order_id, state",
    key: &["order_id"],
    key_of: |row| vec![row.order_id.into()],
};

pub(super) const PAY_LOGS: Table<PayLogRow> = Table {
    name: "trade_pay_log",
    columns: "pay_id, order_id, pay_amount_fen, channel_trade_no",
    key: &["pay_id"],
    key_of: |row| vec![row.pay_id.into()],
};

pub(super) const REFUNDS: Table<RefundRow> = Table {
    name: "trade_refund",
    columns: "refund_id, pay_id, order_id, cause, amount_fen, state, remark",
    key: &["refund_id"],
    key_of: |row| vec![row.refund_id.into()],
};

pub(super) const TRADES: Table<TradeRow> = Table {
    name: "sandbox_trade",
    columns: "pay_id, refund_fen",
    key: &["pay_id"],
    key_of: |row| vec![row.pay_id.into()],
};

pub(super) const RETURNS: Table<ReturnRow> = Table {
    name: "sandbox_refund",
    columns: "refund_id, pay_id, amount_fen",
    key: &["refund_id"],
    key_of: |row| vec![row.refund_id.into()],
};

pub(super) const OUTBOX: Table<OutboxRow> = Table {
    name: "trade_mq_producer_temp",
    columns: "id, msg_status, create_ms, remark",
    key: &["id"],
    key_of: |row| vec![row.id.as_str().into()],
};

pub(super) const FAILED: Table<ConsumerRow> = Table {
    name: "trade_mq_consumer_log",
    columns: "group_name, msg_tag, msg_key, consumer_status, remark, retry_ms",
    key: &["group_name", "msg_tag", "msg_key"],
    key_of: |row| vec![row.group_name.as_str().into(), row.msg_tag.as_str().into(), row.msg_key.as_str().into()],
};
