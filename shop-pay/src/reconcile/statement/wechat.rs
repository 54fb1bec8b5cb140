//! WeChat Pay's `tradebill` with `bill_type=ALL`: CSV in UTF-8, each value behind a backtick, and after the table a
//! second header, 总交易单数, with one line of totals.

use csv::StringRecord;
use shop_common::{
    id::{PayId, RefundId},
    money::Fen,
};

use super::{BadStatement, Line, Movement, Row, Statement, Table};
use crate::channel::wechat::CURRENCY;

/// First column of the totals.
const TOTALS: &str = "总交易单数";
/// Where the sums of amounts and of refunds stand in the line of totals.
const SUM: usize = 5;
const BACK: usize = 6;

pub(super) fn read(file: &[u8]) -> Result<Statement, BadStatement> {
    let text = str::from_utf8(file).map_err(|_| BadStatement::Line { line: 1, why: "not UTF-8".into() })?;
    let text = text.trim_start_matches('\u{feff}');
    let table = Table::read(text, csv::ReaderBuilder::new().flexible(true))?;
    let columns = Columns::find(&table)?;
    let end = table.rows.iter().position(|record| record.get(0) == Some(TOTALS));
    let (rows, totals) = table.rows.split_at(end.unwrap_or(table.rows.len()));
    let totals = totals.get(1).ok_or_else(|| BadStatement::NotWhole(format!("there is no line of {TOTALS}")))?;
    columns.check_totals(rows, &Row(totals))?;
    let lines = rows.iter().filter_map(|record| columns.line(&Row(record)).transpose()).collect::<Result<_, _>>()?;
    let merchants = rows.iter().map(|record| Row(record).text(columns.merchant).to_owned()).collect();
    Ok(Statement { lines, merchants })
}

struct Columns {
    at: usize,
    merchant: usize,
    currency: usize,
    trade_no: usize,
    pay_id: usize,
    state: usize,
    amount: usize,
    refund_id: usize,
    refund_amount: usize,
    refund_state: usize,
}

impl Columns {
    fn find(table: &Table) -> Result<Self, BadStatement> {
        Ok(Self {
            at: table.column("交易时间")?,
            merchant: table.column("商户号")?,
            currency: table.column("货币种类")?,
            trade_no: table.column("微信订单号")?,
            pay_id: table.column("商户订单号")?,
            state: table.column("交易状态")?,
            amount: table.column("订单金额")?,
            refund_id: table.column("商户退款单号")?,
            refund_amount: table.column("申请退款金额")?,
            refund_state: table.column("退款状态")?,
        })
    }

    /// Every row counts, also one that moved no money.
    fn check_totals(&self, rows: &[StringRecord], totals: &Row<'_>) -> Result<(), BadStatement> {
        let count = totals.text(0);
        if count != rows.len().to_string() {
            return Err(BadStatement::NotWhole(format!("it has {} rows and says {count}", rows.len())));
        }
        for (column, total) in [(self.amount, SUM), (self.refund_amount, BACK)] {
            let mut sum = Some(Fen::ZERO);
            for record in rows {
                let amount = Row(record).amount(column)?;
                sum = sum.and_then(|sum| sum.checked_add(amount));
            }
            let said = totals.amount(total)?;
            if sum != Some(said) {
                let sum = sum.map_or_else(|| "too much".to_owned(), |sum| sum.to_string());
                return Err(BadStatement::NotWhole(format!("its rows are {sum} together and it says {said}")));
            }
        }
        Ok(())
    }

    /// The line; none for a refund that was not paid back, or a trade that was revoked before it was paid.
    fn line(&self, row: &Row<'_>) -> Result<Option<Line>, BadStatement> {
        let currency = row.text(self.currency);
        if currency != CURRENCY {
            return Err(row.bad(format!("`{currency}` is not {CURRENCY}")));
        }
        let payment = PayId::new(row.id(self.pay_id)?);
        let (movement, amount) = match row.text(self.state) {
            "SUCCESS" => (Movement::Payment(payment), row.amount(self.amount)?),
            "REFUND" if row.text(self.refund_state) == "SUCCESS" => {
                let refund_id = RefundId::new(row.id(self.refund_id)?);
                (Movement::Refund(payment, refund_id), row.amount(self.refund_amount)?)
            }
            "REFUND" | "REVOKED" => return Ok(None),
            other => return Err(row.bad(format!("`{other}` is not a state of a trade"))),
        };
        let channel_trade_no = row.text(self.trade_no).to_owned();
        Ok(Some(Line { movement, amount, channel_trade_no, at: row.moment(self.at)? }))
    }
}
