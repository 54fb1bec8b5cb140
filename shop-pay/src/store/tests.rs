//! What was decided under lock is stated again in the SQL: where it holds no longer, nothing is written.

use sea_orm::ConnectionTrait;
use shop_common::db::Db;
use shop_testkit::{
    databases, dump,
    participant::{execute, what_is_decided_on_is_locked},
};

use super::*;
use crate::{
    channel::{Notification, TradeStatus},
    payment::refund::{Answer, Cause, NewRefund, Request, Started},
};

const NOW: Millis = Millis::new(1_000);
const ORDER: OrderId = OrderId::new(7);
const PAY: PayId = PayId::new(1);
const REFUND: RefundId = RefundId::new(3);

/// An open payment of 100 fen that is silent, and an open order.
const OPEN: &str =
    "INSERT INTO trade_pay (pay_id, order_id, user_id, channel, pay_amount_fen, is_paid, open_key, pay_url, add_ms, owed,
    due_ms) VALUES (1, 7, 11, 'a', 100, 1, '7/a', '', 0, 32, 9)";
const GATE: &str = "INSERT INTO trade_pay_order VALUES (7, 1, 0, 0)";
const PAID: &str = "UPDATE trade_pay SET is_paid = 2, open_key = NULL, pay_ms = 1, owed = 3, due_ms = 1";
const PROMISED: &str =
    "INSERT INTO trade_refund (refund_id, pay_id, order_id, cause, cause_id, amount_fen, state, create_ms)
    VALUES (3, 1, 7, 1, 7, 100, 0, 0)";
const RECORDED: &str = "INSERT INTO trade_pay_notify VALUES ('a', 'n', 1, '', '', '{}', 'applied', 1, 0, 0)";

/// A decision, and what somebody who was not kept out by the lock does beside it.
struct Race {
    what: &'static str,
    rows: &'static [&'static str],
    decide: fn(&mut Payments),
    beside: &'static str,
}

const RACES: [Race; 11] = [
    Race {
        what: "settle",
        rows: &[OPEN],
        decide: |view| drop(view.settle(&notice(), NOW).unwrap()),
        beside: "UPDATE trade_pay SET is_paid = 2, open_key = NULL, pay_ms = 1",
    },
    Race {
        what: "close a payment",
        rows: &[OPEN],
        decide: |view| drop(view.close(ORDER, NOW)),
        beside: "UPDATE trade_pay SET is_paid = 0, open_key = NULL, closed_ms = 1",
    },
    Race {
        what: "close an order",
        rows: &[GATE],
        decide: |view| drop(view.close(ORDER, NOW)),
        beside: "UPDATE trade_pay_order SET state = 2",
    },
    Race {
        what: "refund what was judged meanwhile",
        rows: &[OPEN, PAID],
        decide: refund,
        beside: "UPDATE trade_pay SET owed = 2",
    },
    Race {
        what: "refund more than is left",
        rows: &[OPEN, PAID],
        decide: refund,
        beside: "UPDATE trade_pay SET refund_fen = 1",
    },
    Race {
        what: "answer a refund",
        rows: &[OPEN, PAID, PROMISED],
        decide: |view| view.answer_refund(REFUND, &Answer::Done, NOW),
        beside: "UPDATE trade_refund SET state = 2",
    },
    Race {
        what: "refund for an operator more than is left",
        rows: &[OPEN, PAID],
        decide: |view| drop(view.refund_payment(&all_of_it(), NOW).unwrap()),
        beside: "UPDATE trade_pay SET refund_fen = 1",
    },
    Race {
        what: "refund for an operator what was never paid",
        rows: &[OPEN, PAID],
        decide: |view| drop(view.refund_payment(&all_of_it(), NOW).unwrap()),
        beside: "UPDATE trade_pay SET is_paid = 0, pay_ms = NULL",
    },
    Race {
        what: "ask anew for a refund",
        rows: &[OPEN, PAID, PROMISED, "UPDATE trade_refund SET state = 2"],
        decide: |view| drop(view.retry_refund(REFUND, NOW).unwrap()),
        beside: "UPDATE trade_refund SET state = 1",
    },
    Race {
        what: "clear a debt",
        rows: &[OPEN, PAID],
        decide: |view| view.clear(PAY, Owed::ORDER),
        beside: "UPDATE trade_pay SET owed = 2",
    },
    Race {
        what: "count a repeat",
        rows: &[OPEN, PAID, RECORDED],
        decide: |view| drop(view.settle(&notice(), NOW)),
        beside: "UPDATE trade_pay_notify SET times = 5",
    },
];

fn refund(view: &mut Payments) {
    assert_eq!(view.start_refund(REFUND, PAY, Cause::OrderCancelled, NOW), Started::Done);
}

fn all_of_it() -> NewRefund {
    let request = Request { request_id: "k".into(), reason: "why".into(), operator: String::new() };
    NewRefund { refund_id: RefundId::new(4), pay_id: PAY, amount: None, request }
}

fn notice() -> Notice {
    let said = Notification {
        notify_id: "n".into(),
        pay_id: PAY,
        channel_trade_no: "T1".into(),
        amount: Fen::new(100),
        status: TradeStatus::Success,
        paid: None,
    };
    Notice { body_hash: String::new(), ..Notice::new("a", said, Vec::new(), "{}".into()) }
}

async fn decided_beside(db: &Db, decide: fn(&mut Payments), beside: &str) -> Result<()> {
    db.write_tx(async |tx| {
        let mut view = load_orders(tx, vec![ORDER.get()]).await?;
        view.refunds = load_refunds(tx, vec![PAY.get()]).await?.refunds;
        view.records = load_notices(tx, &[&notice()]).await?.records;
        decide(&mut view);
        if !beside.is_empty() {
            tx.execute_unprepared(beside).await?;
        }
        save(tx, &view, NOW).await
    })
    .await
}

#[tokio::test]
async fn a_state_that_was_changed_meanwhile_is_not_written_over() {
    for Race { what, rows, decide, beside } in &RACES {
        for test in databases(&crate::SCHEMA).await {
            for row in *rows {
                execute(&test.db, row).await;
            }
            let before = dump(&test.db).await;
            let done = decided_beside(&test.db, *decide, beside).await;
            let guarded = matches!(&done, Err(Failure::Rollback(why)) if why.contains("guard"));
            assert!(guarded, "{}: {what}: {done:?}", test.name);
            assert_eq!(dump(&test.db).await, before, "{}: {what}", test.name);
            decided_beside(&test.db, *decide, "").await.unwrap();
            assert_ne!(dump(&test.db).await, before, "{}: {what}: nothing was in the way", test.name);
        }
    }
}

#[tokio::test]
async fn rows_that_are_decided_on_are_locked() {
    let payments = async |tx: &Tx| load_payments(tx, vec![PAY.get()]).await;
    what_is_decided_on_is_locked(&crate::SCHEMA, OPEN, payments).await;
    let gates = async |tx: &Tx| load_orders(tx, vec![ORDER.get()]).await;
    what_is_decided_on_is_locked(&crate::SCHEMA, GATE, gates).await;
}
