//! WeChat Pay's `tradebill` with `bill_type=ALL`: CSV in UTF-8, each value behind a backtick, and after the table a
//! second header, 总交易单数, with one line of totals.

use shop_common::id::{PayId, RefundId};

use super::{BadStatement, Line, Movement, Row, Table};

/// First column of the totals.
const TOTALS: &str = "总交易单数";

pub(super) fn read(file: &[u8]) -> Result<Vec<Line>, BadStatement> {
    let text = str::from_utf8(file).map_err(|_| BadStatement::Line { line: 1, why: "not UTF-8".into() })?;
    let text = text.trim_start_matches('\u{feff}');
    let table = Table::read(text, csv::ReaderBuilder::new().flexible(true))?;
    let columns = Columns::find(&table)?;
    let lines = table.rows.iter().take_while(|record| record.get(0) != Some(TOTALS));
    lines.filter_map(|record| columns.line(&Row(record)).transpose()).collect()
}

struct Columns {
    at: usize,
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
            trade_no: table.column("微信订单号")?,
            pay_id: table.column("商户订单号")?,
            state: table.column("交易状态")?,
            amount: table.column("订单金额")?,
            refund_id: table.column("商户退款单号")?,
            refund_amount: table.column("申请退款金额")?,
            refund_state: table.column("退款状态")?,
        })
    }

    /// The line; none for a refund that was not paid back, or a trade that was revoked before it was paid.
    fn line(&self, row: &Row<'_>) -> Result<Option<Line>, BadStatement> {
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
