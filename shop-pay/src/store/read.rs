//! Reading outside of bodies, and claiming what is due.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use shop_common::{
    db::{Db, Result, Row},
    due::{Backoff, Due, Owing},
    due_table,
    id::{PayId, RefundId},
    sql,
    time::Millis,
};

use super::{by_ids, numbers, of_payment, of_refund};
use crate::{
    entity::{pay, refund},
    payment::{
        Payment,
        owed::Owed,
        refund::{Refund, State},
    },
};

/// What is owed, since the last thing that made it owe: a refund, the money, its end.
macro_rules! owed_where {
    ($which:literal) => {
        concat!(
            "SELECT pay_id, attempts, order_id, channel, owed, COALESCE(CASE WHEN refund_fen > 0 THEN \
             (SELECT MAX(create_ms) FROM trade_refund WHERE trade_refund.pay_id = trade_pay.pay_id) END, \
             pay_ms, closed_ms, add_ms) AS since_ms FROM trade_pay WHERE due_ms <= ? AND ",
            $which,
            " ORDER BY due_ms LIMIT ?"
        )
    };
}

/// All but what a channel is asked for: to close a trade (4), to pay back (8), and whether it was paid (32 alone), which
/// waits longer.
const DUE: Due = Due {
    select: owed_where!("owed & 12 = 0 AND owed <> 32"),
    ..due_table!("trade_pay", "pay_id", "pay_id, attempts", owing)
};

/// A trade to close or money to pay back, whatever else is owed with it.
const AT_CHANNELS: Due = Due { select: owed_where!("owed & 12 <> 0"), ..DUE };

const SILENT: Due = Due {
    select: "SELECT pay_id, attempts, order_id, channel, owed, add_ms AS since_ms \
             FROM trade_pay WHERE due_ms <= ? AND owed = 32 ORDER BY due_ms LIMIT ?",
    ..DUE
};

fn owing(row: &Row) -> Result<Owing> {
    let (pay_id, order_id): (i64, i64) = (row.get("pay_id")?, row.get("order_id")?);
    let (owed, channel): (i64, String) = (row.get("owed")?, row.get("channel")?);
    Ok(Owing {
        row: format!("payment {pay_id} of order {order_id}"),
        since: Millis::new(row.get("since_ms")?),
        debts: Owed::of(owed).debts(&channel),
    })
}

/// One payment.
pub(crate) async fn payment(db: &impl ConnectionTrait, pay_id: PayId) -> Result<Option<Payment>> {
    pay::Entity::find_by_id(pay_id.get()).one(db).await?.map(of_payment).transpose()
}

/// Those of these payments that there are, by id.
pub(crate) async fn payments(db: &impl ConnectionTrait, pay_ids: Vec<i64>) -> Result<Vec<Payment>> {
    by_ids(pay_ids).order_by_asc(pay::Column::PayId).all(db).await?.into_iter().map(of_payment).collect()
}

/// The payments of these orders, by id.
pub(crate) async fn payments_of(db: &impl ConnectionTrait, order_ids: Vec<i64>) -> Result<Vec<Payment>> {
    let of_orders = pay::Entity::find().filter(pay::Column::OrderId.is_in(sql::padded(order_ids)));
    of_orders.order_by_asc(pay::Column::PayId).all(db).await?.into_iter().map(of_payment).collect()
}

/// The refunds of these payments that the channel has not answered yet.
pub(crate) async fn open_refunds(db: &impl ConnectionTrait, pay_ids: Vec<i64>) -> Result<Vec<Refund>> {
    let open = refund::Entity::find()
        .filter(refund::Column::PayId.is_in(sql::padded(pay_ids)))
        .filter(refund::Column::State.eq(numbers::refund_number(State::Open)));
    open.all(db).await?.into_iter().map(of_refund).collect()
}

/// One refund.
pub(crate) async fn refund(db: &impl ConnectionTrait, refund_id: RefundId) -> Result<Option<Refund>> {
    refund::Entity::find_by_id(refund_id.get()).one(db).await?.map(of_refund).transpose()
}

/// The refunds of a payment, oldest first.
pub(crate) async fn refunds_of(db: &impl ConnectionTrait, pay_id: PayId) -> Result<Vec<Refund>> {
    let of_payment = refund::Entity::find().filter(refund::Column::PayId.eq(pay_id.get()));
    of_payment.order_by_asc(refund::Column::RefundId).all(db).await?.into_iter().map(of_refund).collect()
}

/// What operators said when they last asked for refunds of these payments.
pub(crate) async fn last_reasons(db: &impl ConnectionTrait, payments: &[&Payment]) -> Result<BTreeMap<PayId, String>> {
    let pay_ids = sql::padded(payments.iter().map(|payment| payment.pay_id.get()));
    let asked = refund::Entity::find().filter(refund::Column::PayId.is_in(pay_ids));
    let rows = asked.order_by_asc(refund::Column::RefundId).all(db).await?;
    Ok(rows.into_iter().filter_map(|row| Some((PayId::new(row.pay_id), row.reason?))).collect())
}

/// Which refunds of a list.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    /// Of this payment alone.
    pub(crate) pay_id: Option<PayId>,
    /// Only those that stand there.
    pub(crate) state: Option<State>,
}

/// Up to `limit` refunds before `before`, newest first.
pub(crate) async fn refund_page(
    db: &impl ConnectionTrait,
    Wanted { pay_id, state }: Wanted,
    before: i64,
    limit: u64,
) -> Result<Vec<Refund>> {
    let refunds = refund::Entity::find()
        .filter(refund::Column::RefundId.lt(before))
        .apply_if(pay_id, |refunds, pay_id| refunds.filter(refund::Column::PayId.eq(pay_id.get())))
        .apply_if(state, |refunds, state| refunds.filter(refund::Column::State.eq(numbers::refund_number(state))));
    let page = refunds.order_by_desc(refund::Column::RefundId).limit(limit);
    page.all(db).await?.into_iter().map(of_refund).collect()
}

/// Claims up to `limit` payments that owe something, and nothing a channel is asked for, in due order.
pub(crate) async fn claim_due(db: &Db, limit: u32, now: Millis) -> Result<Vec<Payment>> {
    claim(db, DUE, limit, Backoff::default(), now).await
}

/// Claims up to `limit` payments whose channel has to close a trade or pay back, in due order.
pub(crate) async fn claim_at_channels(db: &Db, limit: u32, now: Millis) -> Result<Vec<Payment>> {
    claim(db, AT_CHANNELS, limit, Backoff::default(), now).await
}

/// Claims up to `limit` payments of which nobody has said anything, in due order.
pub(crate) async fn claim_silent(db: &Db, limit: u32, backoff: Backoff, now: Millis) -> Result<Vec<Payment>> {
    claim(db, SILENT, limit, backoff, now).await
}

async fn claim(db: &Db, due: Due, limit: u32, backoff: Backoff, now: Millis) -> Result<Vec<Payment>> {
    let claimed = due.claim::<i64>(db, limit, backoff, now).await?;
    if claimed.is_empty() {
        return Ok(Vec::new());
    }
    payments(db.read(), claimed.into_iter().map(|(pay_id, _)| pay_id).collect()).await
}
