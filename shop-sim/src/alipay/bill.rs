//! 业务明细: CSV in GBK, values padded with tabs, comment lines around the table.

use std::fmt::Write;

use crate::{books::Booked, time::written};

const HEADER: &str = "支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,\
                      订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,\
                      券核销金额（元）,券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,\
                      分润（元）,备注";

pub(super) fn write(seller_id: &str, booked: &[Booked]) -> Vec<u8> {
    let mut text = format!("#支付宝业务明细查询\n#账号：[{seller_id}0156]\n#-----业务明细列表-----\n{HEADER}\n");
    for Booked { at, trade, refund } in booked {
        let (kind, amount, number) = match refund {
            None => ("交易", trade.amount.to_string(), ""),
            Some(refund) => ("退款", format!("-{}", refund.amount), refund.out_refund_no.as_str()),
        };
        let (trade_no, out_trade_no, subject) = (&trade.trade_no, &trade.out_trade_no, &trade.subject);
        let (created, done) = (written(trade.created), written(*at));
        // Writing to a String cannot fail.
        let _infallible = writeln!(
            text,
            "{trade_no}\t,{out_trade_no}\t,{kind}\t,{subject},{created},{done},\t,,,,*a@b.c,{amount},{amount},0.00,0.00,\
             0.00,0.00,0.00,,0.00,0.00,{number}\t,0.00,0.00,"
        );
    }
    text.push_str("#-----业务明细列表结束-----\n");
    encoding_rs::GBK.encode(&text).0.into_owned()
}
