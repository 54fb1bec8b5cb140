//! The sandbox's notification as JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shop_common::{
    code::ShopCode,
    error::{Result, ShopError},
    id::PayId,
    money::Fen,
    time::Millis,
};

use crate::channel::{Genuine, Notification, TradeStatus};

/// The only currency.
pub(super) const CURRENCY: &str = "CNY";

/// The body; nothing else may stand in it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    pub(super) notify_id: String,
    pub(super) pay_id: PayId,
    pub(super) channel_trade_no: String,
    pub(super) merchant_id: String,
    /// Kept as it was written: only an integer of fen is an amount (B76).
    pub(super) amount_fen: Value,
    pub(super) currency: String,
    pub(super) status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) paid_at_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Status {
    Success,
    Closed,
    Wait,
}

impl Body {
    /// As it is sent: the same bytes for the same notification.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|_| ShopCode::Internal.into())
    }

    /// Why it is not for us.
    fn refused(&self, merchant_id: &str) -> Option<ShopError> {
        if self.merchant_id != merchant_id {
            return Some(ShopError::at(ShopCode::NotifyInvalid, "merchant_id"));
        }
        (self.currency != CURRENCY).then(|| ShopError::at(ShopCode::AmountMismatch, "currency"))
    }
}

/// Reads a body whose signature was right; another merchant's or another currency's is marked as refused.
///
/// # Errors
/// `SHOP_NOTIFY_INVALID` when it is not of this shape, `SHOP_AMOUNT_MISMATCH` for an amount that is no whole number of
/// fen.
pub(super) fn read(body: &[u8], merchant_id: &str) -> Result<Genuine> {
    let body: Body = serde_json::from_slice(body).map_err(|_| ShopError::at(ShopCode::NotifyInvalid, "body"))?;
    let refused = body.refused(merchant_id);
    let amount = body.amount_fen.as_i64().ok_or(ShopError::at(ShopCode::AmountMismatch, "amount_fen"))?;
    let status = match body.status {
        Status::Success => TradeStatus::Success,
        Status::Closed => TradeStatus::Closed,
        Status::Wait => TradeStatus::Wait,
    };
    let said = Notification {
        notify_id: body.notify_id,
        pay_id: body.pay_id,
        channel_trade_no: body.channel_trade_no,
        amount: Fen::new(amount),
        status,
        paid: body.paid_at_ms.map(Millis::new),
    };
    Ok(Genuine { refused, ..said.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Said;

    const GOOD: &str = r#"{"notify_id":"n1","pay_id":"352542415984402432","channel_trade_no":"SB1","merchant_id":"m",
        "amount_fen":88000,"currency":"CNY","status":"SUCCESS","paid_at_ms":5}"#;

    fn changed(from: &str, to: &str) -> Result<Genuine> {
        assert!(GOOD.contains(from), "{from}");
        read(GOOD.replace(from, to).as_bytes(), "m")
    }

    fn place(error: ShopError) -> (ShopCode, String) {
        (error.code, error.field.unwrap_or_default().into_owned())
    }

    fn code(from: &str, to: &str) -> Option<(ShopCode, String)> {
        changed(from, to).err().map(place)
    }

    #[test]
    fn the_contract_s_body_is_read() {
        let genuine = read(GOOD.as_bytes(), "m").unwrap();
        assert_eq!(genuine.refused, None);
        let Said::Payment(said) = genuine.said else { panic!("the sandbox notifies of payments alone") };
        assert_eq!((said.pay_id.get(), said.amount.get()), (352_542_415_984_402_432, 88_000));
        assert_eq!((said.status, said.paid), (TradeStatus::Success, Some(Millis::new(5))));
        assert_eq!(code(r#""352542415984402432""#, "352542415984402432"), None, "an integer within i64 is an id too");
        assert_eq!(code(r#","paid_at_ms":5"#, ""), None);
    }

    #[test]
    fn what_is_for_somebody_else_is_read_and_says_so() {
        for (from, to, code, field) in [
            (r#""m""#, r#""M""#, ShopCode::NotifyInvalid, "merchant_id"),
            ("CNY", "USD", ShopCode::AmountMismatch, "currency"),
        ] {
            let genuine = changed(from, to).unwrap();
            assert_eq!(genuine.said, read(GOOD.as_bytes(), "m").unwrap().said);
            assert_eq!(genuine.refused.map(place), Some((code, field.to_owned())));
        }
    }

    #[test]
    fn anything_else_is_refused_at_its_field() {
        let at = |code, field: &str| Some((code, field.to_owned()));
        for amount in [r#""88000""#, r#""880.00 ""#, "88000.0", "8.8e4", "9223372036854775808", "null"] {
            assert_eq!(code("88000", amount), at(ShopCode::AmountMismatch, "amount_fen"), "{amount}");
        }
        for (from, to) in [
            (r#""SUCCESS""#, r#""success""#),
            (r#""SUCCESS""#, r#""PAID""#),
            (r#""notify_id":"n1","#, ""),
            (r#""notify_id":"n1","#, r#""notify_id":"n1","notify_id":"n1","#),
            (r#""notify_id":"n1","#, r#""notify_id":"n1","extra":1,"#),
            ("352542415984402432", "1e3"),
            ("}", "}}"),
        ] {
            assert_eq!(code(from, to), at(ShopCode::NotifyInvalid, "body"), "{to}");
        }
    }
}
