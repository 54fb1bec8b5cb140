//! Refunds as text for people, as JSON for programs.

use std::fmt;

use serde::Serialize;
use shop_common::{
    id::{OrderId, PayId, RefundId},
    money::Fen,
    time::Millis,
};
use shop_pay::payment::refund::Refund;
use shop_proto::pay::v1 as wire;

use super::is_refused;

/// What is listed.
#[derive(Default, Serialize)]
pub(super) struct Listed {
    /// How many the channels have refused.
    pub(super) refused: usize,
    refunds: Vec<Row>,
}

/// A refund.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    refund_id: RefundId,
    pay_id: PayId,
    order_id: OrderId,
    amount: Fen,
    status: &'static str,
    cause: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    operator: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    remark: String,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<String>,
    #[serde(skip)]
    is_refused: bool,
}

/// What was done.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Done {
    Refund(Box<Row>),
    #[serde(rename_all = "camelCase")]
    Order {
        order_id: OrderId,
        result: &'static str,
    },
}

impl Listed {
    pub(super) fn extend(&mut self, rows: impl Iterator<Item = Row>) {
        for row in rows {
            self.refused = self.refused.saturating_add(usize::from(row.is_refused));
            self.refunds.push(row);
        }
    }
}

impl Done {
    pub(super) fn refund(refund: Refund) -> Self {
        Self::Refund(Box::new(refund.into()))
    }

    pub(super) const fn order(order_id: i64, now: bool) -> Self {
        let result = if now { "refunded; what it took is on its way back" } else { "refunded or cancelled before" };
        Self::Order { order_id: OrderId::new(order_id), result }
    }
}

impl From<Refund> for Row {
    fn from(refund: Refund) -> Self {
        let is_refused = is_refused(&refund);
        let said = refund.request.clone();
        let (created, done) = (refund.created.rfc3339(), refund.done.map(Millis::rfc3339));
        let (refund_id, pay_id, order_id, amount) = (refund.refund_id, refund.pay_id, refund.order_id, refund.amount);
        // Named as clients know it.
        let wire = wire::Refund::from(refund);
        let (status, cause) = (wire.status().as_str_name(), wire.cause().as_str_name());
        let (operator, key) = said.map(|request| (request.operator, request.request_id)).unwrap_or_default();
        let (reason, remark) = (wire.reason, wire.remark);
        Self {
            refund_id,
            pay_id,
            order_id,
            amount,
            status,
            cause,
            reason,
            operator,
            key,
            remark,
            created,
            done,
            is_refused,
        }
    }
}

/// One line for each refund, then how many are refused.
impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.refunds {
            writeln!(f, "{row}")?;
        }
        write!(f, "{} refused", self.refused)
    }
}

/// `352542415984402433  OPEN  100.00 of payment …  order …  since 2026-01-31T08:00:00Z  OPERATOR: arrived broken (ann)`
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { refund_id, pay_id, order_id, amount, status, cause, created, .. } = self;
        write!(f, "{refund_id}  {status}  {amount} of payment {pay_id}  order {order_id}  since {created}  {cause}")?;
        if !self.reason.is_empty() {
            write!(f, ": {} ({})", self.reason.escape_debug(), self.operator.escape_debug())?;
        }
        if !self.remark.is_empty() {
            write!(f, "  the channel says: {}", self.remark.escape_debug())?;
        }
        Ok(())
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refund(row) => row.fmt(f),
            Self::Order { order_id, result } => write!(f, "order {order_id}: {result}"),
        }
    }
}
