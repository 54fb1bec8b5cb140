//! All SQL of the pay service: loads the view of a batch under lock, saves its difference.
//!
//! Lock order in every body: pay orders by order id, then payments by payment id, then their refunds, then notifications.

mod books;
mod numbers;
mod read;
mod rejected;
mod save;

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use shop_common::{
    db::{Failure, Result, Tx},
    id::{OrderId, PayId, RefundId, UserId},
    money::Fen,
    sql,
    time::Millis,
};

pub(crate) use self::{
    books::books,
    read::{
        Wanted, claim_at_channels, claim_due, claim_silent, last_reasons, open_refunds, payment, payments, payments_of,
        refund, refund_page, refunds_of,
    },
    rejected::reject,
    save::save,
};
use crate::{
    entity::{pay, pay_notify, pay_order, refund},
    payment::{
        Gate, Payment, Payments,
        owed::Owed,
        refund::{Refund, Request},
        settle::{Notice, Record},
    },
};

/// Loads what creating and closing payments of `orders` touch.
pub(crate) async fn load_orders(tx: &Tx, orders: Vec<i64>) -> Result<Payments> {
    let orders = sql::padded(orders);
    let mut view = Payments::default();
    let gates = pay_order::Entity::find()
        .filter(pay_order::Column::OrderId.is_in(orders.clone()))
        .order_by_asc(pay_order::Column::OrderId)
        .lock_exclusive()
        .all(tx)
        .await?;
    for row in gates {
        let state = numbers::gate_state(row.state)?;
        view.gates.insert(OrderId::new(row.order_id), Gate { loaded: Some(state), state });
    }
    // By order without lock, then by payment with lock: every body locks payments in the same order.
    let pay_ids: Vec<i64> = pay::Entity::find()
        .select_only()
        .column(pay::Column::PayId)
        .filter(pay::Column::OrderId.is_in(orders))
        .into_tuple()
        .all(tx)
        .await?;
    load_rows(tx, &mut view, pay_ids).await?;
    Ok(view)
}

/// Loads what settling by `notices` touches.
pub(crate) async fn load_notices(tx: &Tx, notices: &[&Notice]) -> Result<Payments> {
    let mut view = Payments::default();
    load_rows(tx, &mut view, notices.iter().map(|notice| notice.said.pay_id().get()).collect()).await?;
    let refunded: Vec<i64> = notices.iter().filter_map(|notice| Some(notice.refunded()?.get())).collect();
    if !refunded.is_empty() {
        load_refund_rows(tx, &mut view, refunded).await?;
    }
    let channels = sql::padded(notices.iter().map(|notice| notice.channel.as_str()));
    let notify_ids = sql::padded(notices.iter().map(|notice| notice.said.notify_id()));
    let rows = pay_notify::Entity::find()
        .filter(pay_notify::Column::Channel.is_in(channels))
        .filter(pay_notify::Column::NotifyId.is_in(notify_ids))
        .order_by_asc(pay_notify::Column::Channel)
        .order_by_asc(pay_notify::Column::NotifyId)
        .lock_exclusive()
        .all(tx)
        .await?;
    for row in rows {
        view.records.insert((row.channel.clone(), row.notify_id.clone()), record(row)?);
    }
    Ok(view)
}

/// Loads these payments.
pub(crate) async fn load_payments(tx: &Tx, pay_ids: Vec<i64>) -> Result<Payments> {
    let mut view = Payments::default();
    load_rows(tx, &mut view, pay_ids).await?;
    Ok(view)
}

/// Loads these payments and all of their refunds.
pub(crate) async fn load_refunds(tx: &Tx, pay_ids: Vec<i64>) -> Result<Payments> {
    let mut view = load_payments(tx, pay_ids.clone()).await?;
    load_refund_rows(tx, &mut view, pay_ids).await?;
    Ok(view)
}

async fn load_refund_rows(tx: &Tx, view: &mut Payments, pay_ids: Vec<i64>) -> Result<()> {
    let rows = refund::Entity::find()
        .filter(refund::Column::PayId.is_in(sql::padded(pay_ids)))
        .order_by_asc(refund::Column::RefundId)
        .lock_exclusive()
        .all(tx)
        .await?;
    for row in rows {
        let refund = of_refund(row)?;
        view.refunds.insert(refund.refund_id, refund);
    }
    Ok(())
}

async fn load_rows(tx: &Tx, view: &mut Payments, pay_ids: Vec<i64>) -> Result<()> {
    for row in by_ids(pay_ids).order_by_asc(pay::Column::PayId).lock_exclusive().all(tx).await? {
        let payment = of_payment(row)?;
        view.rows.insert(payment.pay_id, payment);
    }
    Ok(())
}

fn by_ids(pay_ids: Vec<i64>) -> Select<pay::Entity> {
    pay::Entity::find().filter(pay::Column::PayId.is_in(sql::padded(pay_ids)))
}

fn of_payment(row: pay::Model) -> Result<Payment> {
    Ok(Payment {
        pay_id: PayId::new(row.pay_id),
        order_id: OrderId::new(row.order_id),
        user_id: UserId::new(row.user_id),
        channel: row.channel,
        amount: Fen::new(row.amount_fen),
        status: numbers::status(row.is_paid)?,
        pay_url: row.pay_url,
        channel_trade_no: row.channel_trade_no,
        created: Millis::new(row.add_ms),
        paid: row.pay_ms.map(Millis::new),
        closed: row.closed_ms.map(Millis::new),
        refunded: Fen::new(row.refund_fen),
        owed: Owed::of(row.owed),
        due: row.due_ms.map(Millis::new),
        looks: row.attempts,
    })
}

fn of_refund(row: refund::Model) -> Result<Refund> {
    let request = row.request_id.map(|request_id| Request {
        request_id,
        reason: row.reason.unwrap_or_default(),
        operator: row.operator.unwrap_or_default(),
    });
    Ok(Refund {
        refund_id: RefundId::new(row.refund_id),
        pay_id: PayId::new(row.pay_id),
        order_id: OrderId::new(row.order_id),
        cause: numbers::cause(row.cause)?,
        request,
        amount: Fen::new(row.amount_fen),
        state: numbers::refund_state(row.state)?,
        created: Millis::new(row.create_ms),
        done: row.done_ms.map(Millis::new),
        remark: row.remark,
    })
}

fn record(row: pay_notify::Model) -> Result<Record> {
    let verdict = numbers::verdict(&row.verdict).ok_or_else(|| Failure::guard("trade_pay_notify.verdict"))?;
    Ok(Record {
        seen: Some(row.times),
        times: row.times,
        pay_id: PayId::new(row.pay_id),
        body_hash: row.body_hash,
        body: row.body,
        headers: row.headers,
        verdict,
    })
}

#[cfg(test)]
mod tests;
