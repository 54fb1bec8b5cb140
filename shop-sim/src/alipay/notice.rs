//! Notifications: a form, signed anew each time it is sent.

use shop_common::time::Millis;

use super::{
    Alipay,
    form::{self, Form},
};
use crate::{
    Outgoing,
    books::Due,
    keys::{BadKey, Signer},
    time::written,
};

/// The buyer.
const BUYER: &str = "2088000000000001";

impl Alipay {
    pub(super) fn notice(&self, due: &Due, now: Millis) -> Result<Outgoing, BadKey> {
        self.signed(self.said(due, now), None)
    }

    /// `form` as it goes over the wire, signed by our key, or by that of `stranger`; a signature within it is replaced.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn signed(&self, mut form: Form, stranger: Option<&Signer>) -> Result<Outgoing, BadKey> {
        let key = stranger.unwrap_or(&self.ours);
        let sign = key.sign(form::text(&form, &["sign", "sign_type"]).as_bytes())?;
        form.insert("sign".to_owned(), sign);
        let content_type = "application/x-www-form-urlencoded; charset=utf-8".to_owned();
        Ok(Outgoing { headers: vec![("content-type", content_type)], body: form::written(&form).into_bytes() })
    }

    /// A refund is told as one more notification of its trade, with the sum of all refunds so far.
    fn said(&self, due: &Due, now: Millis) -> Form {
        let (trade, amount) = (&due.trade, due.trade.amount.to_string());
        let is_over = trade.refunded == trade.amount;
        let mut said = vec![
            ("notify_time", written(now)),
            ("notify_type", "trade_status_sync".to_owned()),
            ("notify_id", due.id.clone()),
            ("charset", "utf-8".to_owned()),
            ("version", "1.0".to_owned()),
            ("sign_type", "RSA2".to_owned()),
            ("app_id", self.app_id.clone()),
            ("auth_app_id", self.app_id.clone()),
            ("seller_id", self.seller_id.clone()),
            ("buyer_id", BUYER.to_owned()),
            ("trade_no", trade.trade_no.clone()),
            ("out_trade_no", trade.out_trade_no.clone()),
            ("subject", trade.subject.clone()),
            ("trade_status", if is_over { "TRADE_CLOSED" } else { "TRADE_SUCCESS" }.to_owned()),
            ("fund_bill_list", format!(r#"[{{"amount":"{amount}","fundChannel":"ALIPAYACCOUNT"}}]"#)),
            ("receipt_amount", amount.clone()),
            ("buyer_pay_amount", amount.clone()),
            ("total_amount", amount),
            ("gmt_create", written(trade.created)),
            ("gmt_payment", trade.paid.map(written).unwrap_or_default()),
        ];
        if let Some(refund) = &due.refund {
            said.push(("out_biz_no", refund.out_refund_no.clone()));
            said.push(("refund_fee", refund.total.to_string()));
            said.push(("gmt_refund", format!("{}.000", written(refund.at))));
            if is_over {
                said.push(("gmt_close", written(refund.at)));
            }
        }
        said.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
