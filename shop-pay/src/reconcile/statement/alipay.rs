//! Alipay's 业务明细, as `alipay.data.dataservice.bill.downloadurl.query` with `bill_type=trade` gives it: CSV in GBK,
//! values padded with tabs, comment lines with `#` before and after the table: whose it is, and where it ends.

use std::borrow::Cow;

use shop_common::id::{PayId, RefundId};

use super::{BadStatement, Line, Movement, Row, Statement, Table};

/// In front of the account, which stands in brackets.
const ACCOUNT: &str = "#账号：[";
/// What follows the seller's number in the number of its account.
const OF_ACCOUNT: &str = "0156";
/// In the line after the table.
const END: &str = "业务明细列表结束";

pub(super) fn read(file: &[u8]) -> Result<Statement, BadStatement> {
    let text = decoded(file);
    let comments = || text.lines().filter(|line| line.starts_with('#'));
    let has_table = text.lines().any(|line| !line.starts_with('#') && !line.trim().is_empty());
    if !comments().any(|line| line.contains(END)) {
        return Err(BadStatement::NotWhole(format!("there is no line {END}")));
    }
    let account = |line: &str| Some(line.strip_prefix(ACCOUNT)?.split(']').next()?.to_owned());
    // A day on which nothing moved may come without a table.
    let lines = if has_table { table(&text)? } else { Vec::new() };
    Ok(Statement { lines, merchants: comments().filter_map(account).collect() })
}

/// Whether an account, named in full, is this seller's.
pub(super) fn is_of(account: &str, seller_id: &str) -> bool {
    account.strip_suffix(OF_ACCOUNT) == Some(seller_id)
}

fn table(text: &str) -> Result<Vec<Line>, BadStatement> {
    let table = Table::read(text, csv::ReaderBuilder::new().comment(Some(b'#')).flexible(true))?;
    let trade_no = table.column("支付宝交易号")?;
    let pay_id = table.column("商户订单号")?;
    let kind = table.column("业务类型")?;
    let at = table.column("完成时间")?;
    let amount = table.column("订单金额（元）")?;
    let refund_id = table.column("退款批次号/请求号")?;
    let line = |record| {
        let row = Row(record);
        let payment = PayId::new(row.id(pay_id)?);
        let movement = match row.text(kind) {
            "交易" => Movement::Payment(payment),
            "退款" => Movement::Refund(payment, RefundId::new(row.id(refund_id)?)),
            other => return Err(row.bad(format!("`{other}` is neither 交易 nor 退款"))),
        };
        let channel_trade_no = row.text(trade_no).to_owned();
        Ok(Line { movement, amount: row.amount(amount)?, channel_trade_no, at: row.moment(at)? })
    };
    table.rows.iter().map(line).collect()
}

/// UTF-8 where it is UTF-8 (files that were opened and saved again), else GBK.
fn decoded(file: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(file) {
        Ok(text) => Cow::Borrowed(text.trim_start_matches('\u{feff}')),
        Err(_) => encoding_rs::GBK.decode(file).0,
    }
}
