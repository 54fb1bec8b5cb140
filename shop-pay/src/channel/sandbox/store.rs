//! All SQL of the provider's books.

use std::{collections::BTreeMap, time::Duration};

use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set, Value,
    sea_query::{LockBehavior, LockType},
};
use shop_common::{
    db::{Db, Failure, Result, Tx},
    id::{PayId, RefundId},
    money::Fen,
    sql::{self, Update},
    time::Millis,
};

use super::{
    books::{Act, Acted, Books, Entry, State, trade_no},
    entity::{refund, trade},
};
use crate::{
    channel::Return,
    reconcile::statement::{Line, Movement},
};

const PAY: Update = Update {
    table: "sandbox_trade",
    values: &["k", "notice", "moment"],
    set: "state = 1, notify_id = v.notice, paid_ms = v.moment, due_ms = v.moment, attempts = 0",
    guard: "t.pay_id = v.k AND t.state = 0",
};

const CLOSE: Update =
    Update { table: "sandbox_trade", values: &["k"], set: "state = 2", guard: "t.pay_id = v.k AND t.state = 0" };

const REFUND: Update = Update {
    table: "sandbox_trade",
    values: &["k", "more"],
    set: "refund_fen = t.refund_fen + v.more",
    guard: "t.pay_id = v.k AND t.state = 1 AND t.refund_fen + v.more <= t.amount_fen",
};

/// The schedule stands in the caller, so the lease is ours and not `shop_common::due`'s.
const LEASE: Update = Update {
    table: "sandbox_trade",
    values: &["k", "later"],
    set: "due_ms = v.later, attempts = t.attempts + 1",
    guard: "t.pay_id = v.k",
};

const ACKNOWLEDGE: Update =
    Update { table: "sandbox_trade", values: &["k"], set: "due_ms = NULL", guard: "t.pay_id = v.k" };

const fn number(state: State) -> i16 {
    match state {
        State::Waiting => 0,
        State::Success => 1,
        State::Closed => 2,
    }
}

fn state(number: i16) -> Result<State> {
    match number {
        0 => Ok(State::Waiting),
        1 => Ok(State::Success),
        2 => Ok(State::Closed),
        _ => Err(Failure::guard("sandbox_trade.state")),
    }
}

/// The body of one transaction: load under lock, decide, save.
pub(super) async fn act(tx: &Tx, acts: &[Act], now: Millis) -> Result<Vec<Acted>> {
    let mut books = load(tx, acts).await?;
    let before: BTreeMap<PayId, Fen> = books.trades.iter().map(|(pay_id, trade)| (*pay_id, trade.refunded)).collect();
    let acted = acts.iter().map(|act| books.act(act, now)).collect();
    save(tx, &books, &before, now).await?;
    Ok(acted)
}

async fn load(tx: &Tx, acts: &[Act]) -> Result<Books> {
    let pay_ids = sql::padded(acts.iter().map(|act| act.pay_id().get()));
    let trades = trade::Entity::find().filter(trade::Column::PayId.is_in(pay_ids)).order_by_asc(trade::Column::PayId);
    let mut books = Books::default();
    for row in trades.lock_exclusive().all(tx).await? {
        books.trades.insert(PayId::new(row.pay_id), entry(row)?);
    }
    let wanted =
        acts.iter().filter_map(|act| if let Act::Refund(wanted) = act { Some(wanted.refund_id.get()) } else { None });
    let refund_ids = sql::padded(wanted);
    if !refund_ids.is_empty() {
        let rows = refund::Entity::find().filter(refund::Column::RefundId.is_in(refund_ids)).all(tx).await?;
        books.refunds.extend(rows.iter().map(returned).map(|known| (known.refund_id, known)));
    }
    Ok(books)
}

async fn save(tx: &Tx, books: &Books, before: &BTreeMap<PayId, Fen>, now: Millis) -> Result<()> {
    let (mut born, mut paid, mut closed, mut refunded) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (pay_id, trade) in &books.trades {
        let key = Value::from(pay_id.get());
        if trade.loaded.is_none() {
            born.push(row(*pay_id, trade, now));
            continue;
        }
        match trade.state {
            State::Success if trade.loaded != Some(State::Success) => {
                paid.push(vec![key.clone(), notify_id(*pay_id).into(), now.get().into()]);
            }
            State::Closed if trade.loaded != Some(State::Closed) => closed.push(vec![key.clone()]),
            _ => {}
        }
        let more = trade.refunded.get().saturating_sub(before.get(pay_id).map_or(0, |before| before.get()));
        if more != 0 {
            refunded.push(vec![key, more.into()]);
        }
    }
    sql::insert_many(tx, born).await?;
    PAY.run(tx, &paid).await?;
    CLOSE.run(tx, &closed).await?;
    REFUND.run(tx, &refunded).await?;
    let refunds = books.new_refunds.iter().map(|wanted| refund::ActiveModel {
        refund_id: Set(wanted.refund_id.get()),
        pay_id: Set(wanted.pay_id.get()),
        amount_fen: Set(wanted.amount.get()),
        create_ms: Set(now.get()),
    });
    sql::insert_many(tx, refunds.collect()).await
}

/// One notification for each trade, so its number follows from the trade's.
fn notify_id(pay_id: PayId) -> String {
    format!("sandbox-{pay_id}")
}

fn row(pay_id: PayId, trade: &Entry, now: Millis) -> trade::ActiveModel {
    let is_paid = trade.state == State::Success;
    trade::ActiveModel {
        pay_id: Set(pay_id.get()),
        amount_fen: Set(trade.amount.get()),
        state: Set(number(trade.state)),
        trade_no: Set(trade.trade_no.clone()),
        notify_id: Set(is_paid.then(|| notify_id(pay_id))),
        create_ms: Set(now.get()),
        paid_ms: Set(trade.paid.map(Millis::get)),
        refund_fen: Set(trade.refunded.get()),
        due_ms: Set(is_paid.then(|| now.get())),
        attempts: Set(0),
    }
}

fn entry(row: trade::Model) -> Result<Entry> {
    let state = state(row.state)?;
    Ok(Entry {
        loaded: Some(state),
        state,
        amount: Fen::new(row.amount_fen),
        trade_no: row.trade_no,
        paid: row.paid_ms.map(Millis::new),
        refunded: Fen::new(row.refund_fen),
    })
}

fn returned(row: &refund::Model) -> Return {
    Return { refund_id: RefundId::new(row.refund_id), pay_id: PayId::new(row.pay_id), amount: Fen::new(row.amount_fen) }
}

/// One refund.
pub(super) async fn refund(db: &impl ConnectionTrait, refund_id: RefundId) -> Result<Option<Return>> {
    let row = refund::Entity::find_by_id(refund_id.get()).one(db).await?;
    Ok(row.as_ref().map(returned))
}

/// One trade.
pub(super) async fn trade(db: &impl ConnectionTrait, pay_id: PayId) -> Result<Option<Entry>> {
    trade::Entity::find_by_id(pay_id.get()).one(db).await?.map(entry).transpose()
}

/// What was paid and paid back from `from` until before `until`, in the order it was booked.
pub(super) async fn booked(db: &impl ConnectionTrait, (from, until): (Millis, Millis)) -> Result<Vec<Line>> {
    let paid = trade::Entity::find()
        .filter(trade::Column::PaidMs.gte(from.get()))
        .filter(trade::Column::PaidMs.lt(until.get()))
        .all(db)
        .await?;
    let back = refund::Entity::find()
        .filter(refund::Column::CreateMs.gte(from.get()))
        .filter(refund::Column::CreateMs.lt(until.get()))
        .all(db)
        .await?;
    let payment = |row: trade::Model| Line {
        movement: Movement::Payment(PayId::new(row.pay_id)),
        amount: Fen::new(row.amount_fen),
        channel_trade_no: row.trade_no,
        at: Millis::new(row.paid_ms.unwrap_or_default()),
    };
    let refund = |row: refund::Model| Line {
        movement: Movement::Refund(PayId::new(row.pay_id), RefundId::new(row.refund_id)),
        amount: Fen::new(row.amount_fen),
        channel_trade_no: trade_no(PayId::new(row.pay_id)),
        at: Millis::new(row.create_ms),
    };
    let mut lines: Vec<Line> = paid.into_iter().map(payment).chain(back.into_iter().map(refund)).collect();
    lines.sort_by_key(|line| (line.at, line.movement));
    Ok(lines)
}

/// A notification that is due.
#[derive(Clone, Debug)]
pub(super) struct DueNotice {
    pub(super) pay_id: PayId,
    pub(super) notify_id: String,
    pub(super) trade_no: String,
    pub(super) amount: Fen,
    pub(super) paid_ms: i64,
}

/// Claims notifications that are due: each comes again after the gap that follows its number of attempts, or never.
pub(super) async fn claim_notices(db: &Db, gaps: &[Duration], limit: u64, now: Millis) -> Result<Vec<DueNotice>> {
    let due = || trade::Entity::find().filter(trade::Column::DueMs.lte(now.get()));
    // Claiming writes; an idle sweep must not, so it looks first.
    if due().one(db.read()).await?.is_none() {
        return Ok(Vec::new());
    }
    db.write_tx(async |tx| {
        let free = due().lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        let rows = free.order_by_asc(trade::Column::DueMs).limit(limit).all(tx).await?;
        let leases: Vec<Vec<Value>> = rows
            .iter()
            .map(|row| {
                let gap = usize::try_from(row.attempts).ok().and_then(|attempts| gaps.get(attempts));
                let later = gap.map(|gap| now.after(*gap).get());
                vec![row.pay_id.into(), later.into()]
            })
            .collect();
        LEASE.run(tx, &leases).await?;
        Ok(rows.into_iter().filter_map(due_notice).collect())
    })
    .await
}

fn due_notice(row: trade::Model) -> Option<DueNotice> {
    Some(DueNotice {
        pay_id: PayId::new(row.pay_id),
        notify_id: row.notify_id?,
        trade_no: row.trade_no,
        amount: Fen::new(row.amount_fen),
        paid_ms: row.paid_ms?,
    })
}

/// Sends these no more.
pub(super) async fn acknowledge(db: &Db, pay_ids: &[PayId]) -> Result<()> {
    let rows: Vec<Vec<Value>> = pay_ids.iter().map(|pay_id| vec![pay_id.get().into()]).collect();
    db.write_tx(async |tx| ACKNOWLEDGE.run(tx, &rows).await).await
}
