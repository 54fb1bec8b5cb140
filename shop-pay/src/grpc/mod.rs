//! gRPC of the pay service: protocol in, commands out. No SQL and no rules.

pub(crate) mod pay;
pub(crate) mod refund;
pub(crate) mod rejected;
mod sandbox;
pub(crate) mod state;

use shop_common::time::Millis;
use shop_proto::pay::v1::{self as wire, callback_payment_response::Outcome};

use crate::payment::{Payment, Status, settle::Verdict};

const fn status(status: Status) -> wire::PaymentStatus {
    match status {
        Status::Unpaid => wire::PaymentStatus::Unpaid,
        Status::Paying => wire::PaymentStatus::Paying,
        Status::Paid => wire::PaymentStatus::Paid,
    }
}

/// How an acknowledged notification is answered; the other verdicts are refusals and never come here.
const fn outcome(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Applied | Verdict::RefundAnswered => Outcome::Applied,
        Verdict::AlreadyApplied => Outcome::AlreadyApplied,
        Verdict::RefundStarted => Outcome::RefundStarted,
        Verdict::Ignored
        | Verdict::UnknownPayment
        | Verdict::UnknownRefund
        | Verdict::AmountMismatch
        | Verdict::NotOurs => Outcome::Ignored,
    }
}

impl From<Payment> for wire::Payment {
    fn from(payment: Payment) -> Self {
        Self {
            pay_id: payment.pay_id.get(),
            order_id: payment.order_id.get(),
            amount_fen: payment.amount.get(),
            channel: payment.channel,
            status: status(payment.status).into(),
            pay_url: payment.pay_url,
            channel_trade_no: payment.channel_trade_no.unwrap_or_default(),
            created_ms: payment.created.get(),
            paid_ms: payment.paid.map(Millis::get),
            closed_ms: payment.closed.map(Millis::get),
            refunded_fen: payment.refunded.get(),
            refunds: Vec::new(),
        }
    }
}

impl From<&Payment> for wire::PaymentState {
    fn from(payment: &Payment) -> Self {
        Self {
            pay_id: payment.pay_id.get(),
            found: true,
            order_id: payment.order_id.get(),
            user_id: payment.user_id.get(),
            amount_fen: payment.amount.get(),
            status: status(payment.status).into(),
            refund_fen: payment.refunded.get(),
            channel: payment.channel.clone(),
        }
    }
}
