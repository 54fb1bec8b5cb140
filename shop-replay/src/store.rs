//! All SQL of the harness: the recorded notifications of a shop; and, of the embedded shop alone, what stands in for
//! the buyer, the provider and the slowness of a commit.

use std::time::Duration;

use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};
use shop_common::{
    db::{Db, Result},
    money::Fen,
    time::Millis,
};

use crate::notification::{Expect, Headers, Notification, PaymentRef};

/// Most rows of one page.
const PAGE: usize = 1000;
/// What the number of an answer begins with.
const ANSWER: &str = "query-";

/// A row of `trade_pay_notify` with its payment.
#[derive(FromQueryResult)]
struct Row {
    channel: String,
    notify_id: String,
    body: Vec<u8>,
    verdict: String,
    create_ms: i64,
    pay_id: i64,
    order_id: Option<i64>,
    user_id: Option<i64>,
    amount_fen: Option<i64>,
}

/// The genuine notifications that a shop has recorded, in the order in which they first came. What a channel answered
/// when it was asked stands among them, and is none.
pub async fn recorded(pay: &Db) -> Result<Vec<Notification>> {
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let last =
            rows.last().map_or((String::new(), String::new()), |row| (row.channel.clone(), row.notify_id.clone()));
        let page = Row::find_by_statement(statement(
            pay,
            "SELECT n.channel, n.notify_id, n.body, n.verdict, n.create_ms, n.pay_id, p.order_id, p.user_id, \
             p.pay_amount_fen AS amount_fen \
             FROM trade_pay_notify n LEFT JOIN trade_pay p ON p.pay_id = n.pay_id \
             WHERE n.channel > ? OR (n.channel = ? AND n.notify_id > ?) ORDER BY n.channel, n.notify_id LIMIT 1000",
            [last.0.clone().into(), last.0.into(), last.1.into()],
        ));
        let page = page.all(pay.read()).await?;
        let is_last = page.len() < PAGE;
        rows.extend(page);
        if is_last {
            break;
        }
    }
    rows.retain(|row| !row.notify_id.starts_with(ANSWER));
    rows.sort_by(|a, b| (a.create_ms, &a.notify_id).cmp(&(b.create_ms, &b.notify_id)));
    let first = rows.first().map_or(0, |row| row.create_ms);
    Ok(rows.into_iter().map(|row| row.into_notification(first)).collect())
}

impl Row {
    /// Sent as a resend is: signed anew.
    fn into_notification(self, first_ms: i64) -> Notification {
        let at = Duration::from_millis(u64::try_from(self.create_ms.saturating_sub(first_ms)).unwrap_or(0));
        let was_refused =
            matches!(self.verdict.as_str(), "unknown_payment" | "unknown_refund" | "amount_mismatch" | "not_ours");
        let payment = || Some((self.order_id?, self.user_id?, self.amount_fen?));
        Notification {
            payment: payment().map(|(order_id, user_id, fen)| PaymentRef {
                pay_id: self.pay_id,
                order_id,
                user_id,
                amount: Fen::new(fen),
            }),
            headers: Headers::new(),
            expect: if was_refused { Expect::Refused(Vec::new()) } else { Expect::Accepted },
            ..Notification::genuine(&self.channel, self.body, at)
        }
    }
}

/// Keeps an unpaid payment from the shop's eyes, or shows it again: its number is one that no client can name.
pub async fn show(pay: &Db, pay_id: i64, seen: bool) -> Result<()> {
    let (from, to) = if seen { (pay_id.saturating_neg(), pay_id) } else { (pay_id, pay_id.saturating_neg()) };
    run(pay, "UPDATE trade_pay SET pay_id = ? WHERE pay_id = ? AND is_paid <> 2", [to.into(), from.into()]).await
}

/// The buyers of all open trades have paid at the sandbox, whose notifications are ours to send.
pub async fn buyers_pay(pay: &Db, now: Millis) -> Result<()> {
    run(pay, "UPDATE sandbox_trade SET state = 1, paid_ms = ?, due_ms = NULL WHERE state = 0", [now.get().into()]).await
}

/// How many payments have had their one effect.
pub async fn effects(pay: &Db) -> Result<i64> {
    #[derive(FromQueryResult)]
    struct Count {
        n: i64,
    }
    let count = Count::find_by_statement(statement(pay, "SELECT COUNT(*) AS n FROM trade_pay_log", []));
    Ok(count.one(pay.read()).await?.map_or(0, |count| count.n))
}

async fn run<const N: usize>(db: &Db, sql: &'static str, values: [Value; N]) -> Result<()> {
    db.write_tx(async |tx| {
        tx.execute_raw(statement(db, sql, values)).await?;
        Ok(())
    })
    .await
}

fn statement<const N: usize>(db: &Db, sql: &'static str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(db.read().get_database_backend(), sql, values)
}
