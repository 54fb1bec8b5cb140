//! The sandbox's statement: plain CSV in UTF-8, times in Beijing.

use std::fmt::Write;

use shop_common::id::{PayId, RefundId};

use super::{BadStatement, Line, Movement, Row, Statement, Table};
use crate::channel::beijing;

const HEADER: &str = "at,kind,pay_id,refund_id,trade_no,amount";

/// Writes `lines`.
pub(crate) fn write(lines: &[Line]) -> String {
    let mut text = format!("{HEADER}\n");
    for Line { movement, amount, channel_trade_no, at } in lines {
        let (kind, refund_id) = match movement {
            Movement::Payment(_) => ("payment", String::new()),
            Movement::Refund(_, refund_id) => ("refund", refund_id.to_string()),
        };
        let (at, pay_id) = (beijing::written(*at), movement.pay_id());
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{at},{kind},{pay_id},{refund_id},{channel_trade_no},{amount}");
    }
    text
}

pub(super) fn read(file: &[u8]) -> Result<Statement, BadStatement> {
    let text = str::from_utf8(file).map_err(|_| BadStatement::Line { line: 1, why: "not UTF-8".into() })?;
    let table = Table::read(text, &csv::ReaderBuilder::new())?;
    let [at, kind, pay_id, refund_id, trade_no, amount] =
        ["at", "kind", "pay_id", "refund_id", "trade_no", "amount"].map(|name| table.column(name));
    let (at, kind, pay_id, refund_id, trade_no, amount) = (at?, kind?, pay_id?, refund_id?, trade_no?, amount?);
    let line = |record| {
        let row = Row(record);
        let payment = PayId::new(row.id(pay_id)?);
        let movement = match row.text(kind) {
            "payment" => Movement::Payment(payment),
            "refund" => Movement::Refund(payment, RefundId::new(row.id(refund_id)?)),
            other => return Err(row.bad(format!("`{other}` is neither payment nor refund"))),
        };
        let channel_trade_no = row.text(trade_no).to_owned();
        Ok(Line { movement, amount: row.amount(amount)?, channel_trade_no, at: row.moment(at)? })
    };
    let lines = table.rows.iter().map(line).collect::<Result<_, _>>()?;
    Ok(Statement { lines, ..Statement::default() })
}
