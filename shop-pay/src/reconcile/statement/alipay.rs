//! Alipay's 业务明细, as `alipay.data.dataservice.bill.downloadurl.query` with `bill_type=trade` gives it: CSV in GBK,
//! values padded with tabs, comment lines with `#` before and after the table.

use std::borrow::Cow;

use shop_common::id::{PayId, RefundId};

use super::{BadStatement, Line, Movement, Row, Table};

pub(super) fn read(file: &[u8]) -> Result<Vec<Line>, BadStatement> {
    let text = decoded(file);
    let table = Table::read(&text, csv::ReaderBuilder::new().comment(Some(b'#')).flexible(true))?;
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
