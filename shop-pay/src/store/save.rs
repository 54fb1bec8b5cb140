//! Saving: what was decided under lock is stated again in the SQL.

use sea_orm::{Set, Value};
use shop_common::{
    db::{Result, Tx},
    money::Fen,
    sql::{self, Update},
    time::Millis,
};

use super::numbers;
use crate::{
    entity::{pay, pay_log, pay_notify, pay_order, refund},
    payment::{
        Payment, Payments,
        refund::Refund,
        settle::{Record, RecordKey},
    },
};

const SHUT: Update = Update {
    table: "trade_pay_order",
    values: &["k", "moment"],
    set: "state = 2, update_ms = v.moment",
    guard: "t.order_id = v.k AND t.state = 1",
};

const PAY_URL: Update = Update {
    table: "trade_pay",
    values: &["k", "address"],
    set: "pay_url = v.address",
    guard: "t.open_key IS NOT NULL AND t.pay_id = v.k",
};

const CLOSE: Update = Update {
    table: "trade_pay",
    values: &["k", "moment"],
    set: "is_paid = 0, open_key = NULL, closed_ms = v.moment, owed = (t.owed & ~32) | 4, \
          due_ms = v.moment, attempts = 0",
    guard: "t.pay_id = v.k AND t.open_key IS NOT NULL",
};

const SETTLE: Update = Update {
    table: "trade_pay",
    values: &["k", "number", "moment", "later"],
    set: "is_paid = 2, open_key = NULL, channel_trade_no = v.number, pay_ms = v.moment, owed = 3, due_ms = v.later, \
          attempts = 0",
    guard: "t.pay_id = v.k AND t.is_paid <> 2",
};

/// By the order's judgement, which is still owed.
const PROMISE_BACK: Update = Update {
    guard: "t.pay_id = v.k AND t.is_paid = 2 AND (t.owed & 1) = 1 AND t.refund_fen + v.more <= t.pay_amount_fen",
    ..PROMISE
};

/// For an order that was refunded, or an operator.
const PROMISE: Update = Update {
    table: "trade_pay",
    values: &["k", "more", "gone", "bits", "later", "looks"],
    set: "refund_fen = t.refund_fen + v.more, owed = (t.owed & ~v.gone) | v.bits, due_ms = v.later, attempts = v.looks",
    guard: "t.pay_id = v.k AND t.is_paid = 2 AND t.refund_fen + v.more <= t.pay_amount_fen",
};

/// Both expressions give the same with `owed` as it was and as it becomes, so the order of assignment does not matter.
const CLEAR: Update = Update {
    table: "trade_pay",
    values: &["k", "gone"],
    set: "due_ms = CASE WHEN (t.owed & ~v.gone) = 0 THEN NULL ELSE t.due_ms END, owed = t.owed & ~v.gone",
    guard: "t.pay_id = v.k AND (t.owed & v.gone) = v.gone",
};

const ANSWER: Update = Update {
    table: "trade_refund",
    values: &["k", "becomes", "moment", "why"],
    set: "state = v.becomes, done_ms = v.moment, remark = v.why",
    guard: "t.refund_id = v.k AND t.state = 0",
};

const RETRY: Update = Update {
    table: "trade_refund",
    values: &["k"],
    set: "state = 0, remark = NULL",
    guard: "t.refund_id = v.k AND t.state = 2",
};

const RECORD: Update = Update {
    table: "trade_pay_notify",
    values: &["c", "n", "seen", "count", "about", "bytes", "hash", "signed_by", "word", "moment"],
    set: "times = v.count, pay_id = v.about, body = v.bytes, body_hash = v.hash, headers = v.signed_by, \
          verdict = v.word, last_ms = v.moment",
    guard: "t.channel = v.c AND t.notify_id = v.n AND t.times = v.seen",
};

/// As much of a reason as the column holds.
const REMARK_CHARS: usize = 255;

/// Saves what the batch changed.
pub(crate) async fn save(tx: &Tx, view: &Payments, now: Millis) -> Result<()> {
    save_gates(tx, view, now).await?;
    save_payments(tx, view, now).await?;
    save_refunds(tx, view, now).await?;
    save_records(tx, view, now).await
}

async fn save_gates(tx: &Tx, view: &Payments, now: Millis) -> Result<()> {
    let (mut born, mut shut) = (Vec::new(), Vec::new());
    for (order_id, gate) in &view.gates {
        match gate.loaded {
            None => born.push(pay_order::ActiveModel {
                order_id: Set(order_id.get()),
                state: Set(numbers::gate_number(gate.state)),
                create_ms: Set(now.get()),
                update_ms: Set(now.get()),
            }),
            Some(loaded) if loaded != gate.state => shut.push(vec![order_id.get().into(), now.get().into()]),
            Some(_) => {}
        }
    }
    sql::insert_many(tx, born).await?;
    SHUT.run(tx, &shut).await
}

async fn save_payments(tx: &Tx, view: &Payments, now: Millis) -> Result<()> {
    let changed = &view.changed;
    let rows = |pay_ids: &[_]| pay_ids.iter().filter_map(|pay_id| view.rows.get(pay_id)).collect::<Vec<&Payment>>();
    sql::insert_many(tx, rows(&changed.created).into_iter().map(new_row).collect()).await?;
    let urls = changed.pay_urls.iter().filter_map(|pay_id| view.rows.get(pay_id));
    let urls: Vec<_> = urls.map(|payment| vec![key(payment), payment.pay_url.as_str().into()]).collect();
    PAY_URL.run(tx, &urls).await?;
    let closed = rows(&changed.closed);
    let closed: Vec<_> = closed.iter().map(|payment| vec![key(payment), millis(payment.closed)]).collect();
    CLOSE.run(tx, &closed).await?;
    let settled = rows(&changed.settled);
    let values: Vec<_> = settled
        .iter()
        .map(|payment| vec![key(payment), trade_no(payment).into(), millis(payment.paid), millis(payment.due)])
        .collect();
    SETTLE.run(tx, &values).await?;
    sql::insert_many(tx, settled.into_iter().map(|payment| log_row(payment, now)).collect()).await?;
    let cleared: Vec<_> =
        changed.cleared.iter().map(|(pay_id, gone)| vec![pay_id.get().into(), gone.bits().into()]).collect();
    CLEAR.run(tx, &cleared).await
}

async fn save_refunds(tx: &Tx, view: &Payments, now: Millis) -> Result<()> {
    let changed = &view.changed;
    let rows = |ids: &[_]| ids.iter().filter_map(|id| view.refunds.get(id)).collect::<Vec<&Refund>>();
    save_promises(tx, view).await?;
    let started = rows(&changed.refunds_started);
    sql::insert_many(tx, started.into_iter().map(|refund| refund_row(refund, now)).collect()).await?;
    let retried: Vec<_> = changed.refunds_retried.iter().map(|refund_id| vec![refund_id.get().into()]).collect();
    RETRY.run(tx, &retried).await?;
    let answered: Vec<_> = rows(&changed.refunds_answered)
        .iter()
        .map(|refund| {
            let why = refund.remark.as_ref().map(|why| sql::cut(why, REMARK_CHARS));
            let state = numbers::refund_number(refund.state).into();
            vec![refund.refund_id.get().into(), state, millis(refund.done), why.into()]
        })
        .collect();
    ANSWER.run(tx, &answered).await
}

async fn save_promises(tx: &Tx, view: &Payments) -> Result<()> {
    let (mut judged, mut other) = (Vec::new(), Vec::new());
    for (pay_id, promise) in &view.changed.promised {
        let Some(payment) = view.rows.get(pay_id) else { continue };
        let values = vec![
            key(payment),
            promise.more.get().into(),
            promise.gone.bits().into(),
            promise.owed.bits().into(),
            millis(payment.due),
            payment.looks.into(),
        ];
        if promise.is_judgement { judged.push(values) } else { other.push(values) }
    }
    PROMISE_BACK.run(tx, &judged).await?;
    PROMISE.run(tx, &other).await
}

async fn save_records(tx: &Tx, view: &Payments, now: Millis) -> Result<()> {
    let (mut born, mut again) = (Vec::new(), Vec::new());
    for (key, record) in &view.records {
        match record.seen {
            None => born.push(record_row(key, record, now)),
            Some(seen) if seen != record.times => again.push(record_values(key, record, seen, now)),
            Some(_) => {}
        }
    }
    sql::insert_many(tx, born).await?;
    RECORD.run(tx, &again).await
}

fn key(payment: &Payment) -> Value {
    payment.pay_id.get().into()
}

fn millis(moment: Option<Millis>) -> Value {
    moment.map(Millis::get).into()
}

fn trade_no(payment: &Payment) -> String {
    payment.channel_trade_no.clone().unwrap_or_default()
}

fn new_row(payment: &Payment) -> pay::ActiveModel {
    pay::ActiveModel {
        pay_id: Set(payment.pay_id.get()),
        order_id: Set(payment.order_id.get()),
        user_id: Set(payment.user_id.get()),
        channel: Set(payment.channel.clone()),
        amount_fen: Set(payment.amount.get()),
        is_paid: Set(numbers::status_number(payment.status)),
        open_key: Set(payment.is_open().then(|| format!("{}/{}", payment.order_id, payment.channel))),
        pay_url: Set(payment.pay_url.clone()),
        channel_trade_no: Set(None),
        add_ms: Set(payment.created.get()),
        pay_ms: Set(None),
        closed_ms: Set(None),
        refund_fen: Set(Fen::ZERO.get()),
        owed: Set(payment.owed.bits()),
        due_ms: Set(payment.due.map(Millis::get)),
        attempts: Set(0),
    }
}

fn log_row(payment: &Payment, now: Millis) -> pay_log::ActiveModel {
    pay_log::ActiveModel {
        pay_id: Set(payment.pay_id.get()),
        order_id: Set(payment.order_id.get()),
        amount_fen: Set(payment.amount.get()),
        channel_trade_no: Set(trade_no(payment)),
        log_ms: Set(now.get()),
    }
}

fn refund_row(refund: &Refund, now: Millis) -> refund::ActiveModel {
    refund::ActiveModel {
        refund_id: Set(refund.refund_id.get()),
        pay_id: Set(refund.pay_id.get()),
        order_id: Set(refund.order_id.get()),
        cause: Set(numbers::cause_number(refund.cause)),
        cause_id: Set(if refund.request.is_some() { refund.refund_id.get() } else { refund.order_id.get() }),
        request_id: Set(refund.request.as_ref().map(|request| request.request_id.clone())),
        reason: Set(refund.request.as_ref().map(|request| request.reason.clone())),
        operator: Set(refund.request.as_ref().map(|request| request.operator.clone())),
        amount_fen: Set(refund.amount.get()),
        state: Set(numbers::refund_number(refund.state)),
        create_ms: Set(now.get()),
        done_ms: Set(None),
        remark: Set(None),
    }
}

fn record_row((channel, notify_id): &RecordKey, record: &Record, now: Millis) -> pay_notify::ActiveModel {
    pay_notify::ActiveModel {
        channel: Set(channel.clone()),
        notify_id: Set(notify_id.clone()),
        pay_id: Set(record.pay_id.get()),
        body_hash: Set(record.body_hash.clone()),
        body: Set(record.body.clone()),
        headers: Set(record.headers.clone()),
        verdict: Set(numbers::verdict_word(record.verdict).to_owned()),
        times: Set(record.times),
        create_ms: Set(now.get()),
        last_ms: Set(now.get()),
    }
}

fn record_values((channel, notify_id): &RecordKey, record: &Record, seen: i64, now: Millis) -> Vec<Value> {
    vec![
        channel.as_str().into(),
        notify_id.as_str().into(),
        seen.into(),
        record.times.into(),
        record.pay_id.get().into(),
        record.body.clone().into(),
        record.body_hash.as_str().into(),
        record.headers.as_str().into(),
        numbers::verdict_word(record.verdict).into(),
        now.get().into(),
    ]
}
