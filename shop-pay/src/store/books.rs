//! What reconciliation reads: all that a statement names, and all that was done on its day.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter};
use shop_common::{db::Result, id::PayId, sql, time::Millis};

use super::{numbers, of_payment, of_refund};
use crate::{
    entity::{pay, refund},
    payment::{Payment, Status, refund::State},
    reconcile::gaps::Ours,
};

/// Ids of one query.
const CHUNK: usize = 1024;

/// Our books of `channel`: these payments and refunds, and all that was done from `from` until before `until`.
pub(crate) async fn books(
    db: &impl ConnectionTrait,
    channel: &str,
    (from, until): (Millis, Millis),
    pay_ids: &[i64],
    refund_ids: &[i64],
) -> Result<Ours> {
    let paid = numbers::status_number(Status::Paid);
    let paid_then = then(pay::Column::PayMs, from, until).add(pay::Column::IsPaid.eq(paid));
    let done = numbers::refund_number(State::Done);
    let done_then = then(refund::Column::DoneMs, from, until).add(refund::Column::State.eq(done));
    let mut refunds = Vec::new();
    for condition in any_of(refund::Column::RefundId, refund_ids).chain([done_then]) {
        refunds.extend(refund::Entity::find().filter(condition).all(db).await?);
    }
    let pay_ids: Vec<i64> = pay_ids.iter().copied().chain(refunds.iter().map(|row| row.pay_id)).collect();
    let payments = payments(db, channel, any_of(pay::Column::PayId, &pay_ids).chain([paid_then])).await?;
    let mut ours = Ours { payments, ..Ours::default() };
    for row in refunds {
        let refund = of_refund(row)?;
        if ours.payments.contains_key(&refund.pay_id) {
            ours.refunds.insert(refund.refund_id, refund);
        }
    }
    Ok(ours)
}

async fn payments(
    db: &impl ConnectionTrait,
    channel: &str,
    conditions: impl Iterator<Item = Condition>,
) -> Result<BTreeMap<PayId, Payment>> {
    let mut payments = BTreeMap::new();
    for condition in conditions {
        let rows = pay::Entity::find().filter(pay::Column::Channel.eq(channel)).filter(condition).all(db).await?;
        for row in rows {
            let payment = of_payment(row)?;
            payments.insert(payment.pay_id, payment);
        }
    }
    Ok(payments)
}

fn then(column: impl ColumnTrait, from: Millis, until: Millis) -> Condition {
    Condition::all().add(column.gte(from.get())).add(column.lt(until.get()))
}

fn any_of<'a>(column: impl ColumnTrait + 'a, ids: &'a [i64]) -> impl Iterator<Item = Condition> + 'a {
    ids.chunks(CHUNK).map(move |ids| Condition::all().add(column.is_in(sql::padded(ids.iter().copied()))))
}
