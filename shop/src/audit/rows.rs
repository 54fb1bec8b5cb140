//! Rows as the audit needs them: plain numbers, as they stand in the tables.

use sea_orm::{FromQueryResult, Value};
use shop_order::order::Owed as OrderOwes;
use shop_pay::payment::owed::Owed as PayOwes;

/// `order_status`: being confirmed.
pub(super) const UNCONFIRMED: i16 = 0;
/// `order_status`: stock, coupon and balance are taken.
pub(super) const CONFIRMED: i16 = 1;
/// `order_status`: given back.
pub(super) const CANCELLED: i16 = 2;
/// `order_status`: kept for imported rows.
pub(super) const INVALID: i16 = 3;
/// `order_status`: paid, then refunded.
pub(super) const REFUNDED: i16 = 4;
/// `pay_status` and `is_paid`: paid.
pub(super) const PAID: i16 = 2;
/// `log_type`: what was there before anything moved.
pub(super) const OPENING: i16 = 0;
/// `log_type`: taken by an order; for points, credited by a payment.
pub(super) const DONE: i16 = 1;
/// `log_type`: given back; for points, reversed.
pub(super) const UNDONE: i16 = 2;
/// State of a refund: promised.
pub(super) const REFUND_OPEN: i16 = 0;
/// State of a refund: paid back.
pub(super) const REFUND_DONE: i16 = 1;
/// Cause of a refund: not the amount due.
pub(super) const WRONG_AMOUNT: i16 = 3;
/// State of a gate: no payment can be made.
pub(super) const GATE_CLOSED: i16 = 2;

/// Goods with their stock, or a user with balance or score.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub(super) struct Account {
    pub(super) id: i64,
    pub(super) amount: i64,
}

/// A row of a ledger.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub(super) struct Movement {
    /// The order or payment that caused it.
    pub(super) ref_id: i64,
    /// The goods or the user.
    pub(super) account: i64,
    pub(super) log_type: i16,
    pub(super) delta: i64,
}

impl Movement {
    /// The key of its row.
    pub(super) fn key(&self) -> Vec<Value> {
        vec![self.ref_id.into(), self.account.into(), self.log_type.into()]
    }
}

/// A barrier.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub(super) struct Hold {
    /// The order or payment.
    pub(super) id: i64,
    pub(super) state: i16,
    pub(super) coupon_id: Option<i64>,
    pub(super) due_ms: Option<i64>,
}

impl Hold {
    /// Held or final.
    pub(super) const fn is_live(&self) -> bool {
        matches!(self.state, 1 | 2)
    }

    /// Held, and not yet for good.
    pub(super) const fn is_held(&self) -> bool {
        self.state == 1
    }

    /// Held for good.
    pub(super) const fn is_final(&self) -> bool {
        self.state == 2
    }

    /// Undone.
    pub(super) const fn is_undone(&self) -> bool {
        self.state == 3
    }
}

/// `trade_coupon`.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct CouponRow {
    pub(super) coupon_id: i64,
    pub(super) coupon_price_fen: i64,
    pub(super) user_id: i64,
    pub(super) order_id: Option<i64>,
    pub(super) is_used: i16,
    pub(super) used_ms: Option<i64>,
}

/// `trade_order`.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct OrderRow {
    pub(super) order_id: i64,
    pub(super) user_id: i64,
    pub(super) order_status: i16,
    pub(super) pay_status: i16,
    pub(super) goods_amount_fen: i64,
    pub(super) shipping_fee_fen: i64,
    pub(super) order_amount_fen: i64,
    pub(super) coupon_id: Option<i64>,
    pub(super) coupon_paid_fen: i64,
    pub(super) money_paid_fen: i64,
    pub(super) pay_amount_fen: i64,
    pub(super) cancel_cause: Option<i16>,
    pub(super) pay_id: Option<i64>,
    pub(super) confirm_ms: Option<i64>,
    pub(super) pay_ms: Option<i64>,
    pub(super) cancel_ms: Option<i64>,
    pub(super) pay_deadline_ms: Option<i64>,
    pub(super) closing_ms: Option<i64>,
    pub(super) owed: i64,
    pub(super) due_ms: Option<i64>,
    pub(super) attempts: i64,
}

impl OrderRow {
    pub(super) fn owes(&self, what: OrderOwes) -> bool {
        OrderOwes::of_bits(self.owed).contains(what)
    }

    /// Whether it may be taking or giving back `what` right now.
    pub(super) fn is_moving(&self, what: OrderOwes) -> bool {
        self.order_status == UNCONFIRMED || self.owes(what)
    }

    pub(super) const fn is_confirmed(&self) -> bool {
        self.order_status == CONFIRMED
    }

    /// Whether it waits for its payment.
    pub(super) const fn is_unpaid(&self) -> bool {
        self.is_confirmed() && self.pay_status != PAID
    }

    /// Whether it was given back, or is to be.
    pub(super) const fn is_given_back(&self) -> bool {
        matches!(self.order_status, CANCELLED | REFUNDED)
    }

    /// What it keeps of the balance.
    pub(super) const fn keeps_fen(&self) -> i64 {
        if self.is_confirmed() { self.money_paid_fen } else { 0 }
    }
}

/// `trade_order_item`.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub(super) struct ItemRow {
    pub(super) order_id: i64,
    pub(super) goods_id: i64,
    pub(super) goods_number: i32,
    pub(super) goods_price_fen: i64,
}

/// `trade_pay`.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct PayRow {
    pub(super) pay_id: i64,
    pub(super) order_id: i64,
    pub(super) user_id: i64,
    pub(super) channel: String,
    pub(super) pay_amount_fen: i64,
    pub(super) is_paid: i16,
    pub(super) open_key: Option<String>,
    pub(super) channel_trade_no: Option<String>,
    pub(super) pay_ms: Option<i64>,
    pub(super) closed_ms: Option<i64>,
    pub(super) refund_fen: i64,
    pub(super) owed: i64,
    pub(super) due_ms: Option<i64>,
    pub(super) attempts: i64,
}

impl PayRow {
    pub(super) const fn owes(&self, what: PayOwes) -> bool {
        PayOwes::of(self.owed).has(what)
    }

    pub(super) const fn is_paid(&self) -> bool {
        self.is_paid == PAID
    }

    /// Paid, and not all of it promised back.
    pub(super) const fn is_kept(&self) -> bool {
        self.is_paid() && self.refund_fen < self.pay_amount_fen
    }
}

/// `trade_pay_order`.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub(super) struct GateRow {
    pub(super) order_id: i64,
    pub(super) state: i16,
}

/// `trade_pay_log`.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct PayLogRow {
    pub(super) pay_id: i64,
    pub(super) order_id: i64,
    pub(super) pay_amount_fen: i64,
    pub(super) channel_trade_no: String,
}

/// `trade_refund`.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct RefundRow {
    pub(super) refund_id: i64,
    pub(super) pay_id: i64,
    pub(super) order_id: i64,
    pub(super) cause: i16,
    pub(super) amount_fen: i64,
    pub(super) state: i16,
    pub(super) remark: Option<String>,
}

/// `sandbox_trade`: the provider's side of a payment.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub(super) struct TradeRow {
    pub(super) pay_id: i64,
    pub(super) refund_fen: i64,
}

/// `sandbox_refund`: the provider's side of a refund.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub(super) struct ReturnRow {
    pub(super) refund_id: i64,
    pub(super) pay_id: i64,
    pub(super) amount_fen: i64,
}

/// `trade_mq_producer_temp`.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct OutboxRow {
    pub(super) id: String,
    pub(super) msg_status: i16,
    pub(super) create_ms: i64,
    pub(super) remark: Option<String>,
}

/// `trade_mq_consumer_log`.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct ConsumerRow {
    pub(super) group_name: String,
    pub(super) msg_tag: String,
    pub(super) msg_key: String,
    pub(super) consumer_status: i16,
    pub(super) remark: String,
    pub(super) retry_ms: Option<i64>,
}
