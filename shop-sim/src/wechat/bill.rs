//! The trade bill of type ALL: a table whose values begin with a backtick, then one of totals.

use std::fmt::Write;

use shop_common::money::Fen;

use super::{Ending, Wechat};
use crate::{books::Booked, time};

const HEADER: &str = "\u{feff}交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,\
    付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,\
    商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
const TOTALS: &str = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额";

/// Writes `booked`; a refund that is worked on or was closed stands there with its state.
pub(super) fn write(wechat: &Wechat, booked: &[Booked]) -> Vec<u8> {
    let mut text = format!("{HEADER}\r\n");
    let (mut paid, mut back) = (Fen::ZERO, Fen::ZERO);
    for line in booked {
        let amount = line.refund.as_ref().map_or(line.trade.amount, |refund| refund.amount);
        let sum = if line.refund.is_some() { &mut back } else { &mut paid };
        *sum = sum.checked_add(amount).unwrap_or(*sum);
        row(&mut text, &values(wechat, line));
    }
    text.push_str(TOTALS);
    text.push_str("\r\n");
    let (count, zero) = (booked.len().to_string(), Fen::ZERO.to_string());
    let (paid, back) = (paid.to_string(), back.to_string());
    row(&mut text, &[count, paid.clone(), back.clone(), zero, "0.00000".to_owned(), paid, back]);
    text.into_bytes()
}

fn values(wechat: &Wechat, Booked { at, trade, refund }: &Booked) -> Vec<String> {
    let zero = || Fen::ZERO.to_string();
    let (state, due, back) = match refund {
        None => ("SUCCESS", trade.amount.to_string(), zero()),
        Some(refund) => ("REFUND", zero(), refund.amount.to_string()),
    };
    let number =
        |number: fn(&str) -> String| refund.as_ref().map_or("0".to_owned(), |refund| number(&refund.out_refund_no));
    let ending = refund.as_ref().map(|refund| wechat.ended(&refund.out_refund_no).map_or("PROCESSING", Ending::name));
    vec![
        time::written(*at),
        wechat.appid.clone(),
        wechat.mchid.clone(),
        "0".to_owned(),
        String::new(),
        trade.trade_no.clone(),
        trade.out_trade_no.clone(),
        String::new(),
        "NATIVE".to_owned(),
        state.to_owned(),
        "OTHERS".to_owned(),
        "CNY".to_owned(),
        due.clone(),
        zero(),
        number(|number| format!("50{number}")),
        number(str::to_owned),
        back.clone(),
        zero(),
        ending.map_or(String::new(), |_| "ORIGINAL".to_owned()),
        ending.unwrap_or_default().to_owned(),
        // A comma would begin a value.
        trade.subject.replace([',', '\r', '\n', '"'], " "),
        String::new(),
        "0.00000".to_owned(),
        "0.00%".to_owned(),
        due,
        back,
        String::new(),
    ]
}

fn row(text: &mut String, values: &[String]) {
    let line: Vec<String> = values.iter().map(|value| format!("`{value}")).collect();
    // Writing to a String cannot fail.
    let _infallible = write!(text, "{}\r\n", line.join(","));
}
