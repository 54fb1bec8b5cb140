//! A notification of Alipay's: its signature, its time, and what it says.
//!
//! The four checks of the merchant: the number is ours and the amount the payment's (both when it is settled), the
//! seller and the application are us. Only `TRADE_SUCCESS` and `TRADE_FINISHED` mean that it was paid.
//!
//! A refund comes as one more notification of its trade, `TRADE_SUCCESS` while something is left of it and
//! `TRADE_CLOSED` when all went back. It is read as what it says of the trade: its `refund_fee` is the sum of all
//! refunds and never this one's amount, so how a refund ended is asked and not read here.

use std::time::Duration;

use sha2::{Digest, Sha256};
use shop_common::{
    code::ShopCode,
    error::{Result, ShopError},
    id::PayId,
    money::Fen,
    time::Millis,
};

use super::form::{Form, UNSIGNED};
use crate::channel::{Genuine, Notification, TradeStatus, beijing, keys::VerifyingKey, our_number};

/// How old a notification may be. Alipay sends for the last time 24 h 22 min after the first, and whether its
/// `notify_time` moves with each sending is not written down: so a day, and what clocks and lines may take.
const OLDEST: Duration = Duration::from_hours(26);
/// How far its time may lie ahead of ours.
const AHEAD: Duration = Duration::from_mins(5);
/// Changes from one sending to the next, or may.
const CHANGING: [&str; 3] = ["sign", "sign_type", "notify_time"];
/// Longest notification id that is kept as it is; Alipay's may have 128 characters.
const NOTIFY_ID_BYTES: usize = 64;

/// Who is notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Merchant {
    pub(super) app_id: String,
    pub(super) seller_id: String,
}

/// Reads `body` if one of `keys` signed it.
///
/// # Errors
/// `SHOP_SIGN_INVALID`, `SHOP_NOTIFY_REPLAY` for one too old or from the future, `SHOP_NOTIFY_INVALID` for one that
/// cannot be read, `SHOP_AMOUNT_MISMATCH` for an amount that is no whole number of fen.
pub(super) fn read(body: &[u8], keys: &[VerifyingKey], merchant: &Merchant, now: Millis) -> Result<Genuine> {
    let form = Form::read(body).ok_or(ShopError::at(ShopCode::SignatureInvalid, "body"))?;
    verify(&form, keys)?;
    check_time(&form, now)?;
    let said = said(&form)?;
    Ok(Genuine { refused: refused(&form, merchant), ..said.into() })
}

/// What of `body` is the same each time it is sent.
pub(super) fn lasting(body: &[u8]) -> Option<String> {
    Form::read(body).map(|form| form.text(&CHANGING))
}

/// The algorithm is ours to choose: a notification may name it or not, but no other one.
fn verify(form: &Form, keys: &[VerifyingKey]) -> Result<()> {
    let invalid = |field| ShopError::at(ShopCode::SignatureInvalid, field);
    if form.get("sign_type").is_some_and(|kind| kind != "RSA2") {
        return Err(invalid("sign_type"));
    }
    // The text is signed in the charset it is sent in, and we read UTF-8 alone.
    if form.get("charset").is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
        return Err(invalid("charset"));
    }
    let signature = form.get("sign").ok_or_else(|| invalid("sign"))?;
    let text = form.text(&UNSIGNED);
    if keys.iter().any(|key| key.is_signed(text.as_bytes(), signature)) { Ok(()) } else { Err(invalid("sign")) }
}

fn check_time(form: &Form, now: Millis) -> Result<()> {
    let sent = form.get("notify_time").and_then(beijing::read);
    let sent = sent.ok_or(ShopError::at(ShopCode::NotifyInvalid, "notify_time"))?;
    if sent.after(OLDEST) < now || sent > now.after(AHEAD) {
        return Err(ShopError::at(ShopCode::NotifyReplay, "notify_time"));
    }
    Ok(())
}

fn said(form: &Form) -> Result<Notification> {
    let wrong = |field| ShopError::at(ShopCode::NotifyInvalid, field);
    let text = |field| form.get(field).filter(|text| !text.is_empty()).ok_or_else(|| wrong(field));
    let status = match text("trade_status")? {
        "TRADE_SUCCESS" | "TRADE_FINISHED" => TradeStatus::Success,
        "TRADE_CLOSED" => TradeStatus::Closed,
        "WAIT_BUYER_PAY" => TradeStatus::Wait,
        _ => return Err(wrong("trade_status")),
    };
    let amount = Fen::parse_lenient(text("total_amount")?);
    Ok(Notification {
        notify_id: kept(text("notify_id")?),
        pay_id: our_number(text("out_trade_no")?).map(PayId::new).ok_or_else(|| wrong("out_trade_no"))?,
        channel_trade_no: text("trade_no")?.to_owned(),
        amount: amount.map_err(|_| ShopError::at(ShopCode::AmountMismatch, "total_amount"))?,
        status,
        paid: form.get("gmt_payment").and_then(beijing::read),
    })
}

fn refused(form: &Form, merchant: &Merchant) -> Option<ShopError> {
    let ours = [("app_id", merchant.app_id.as_str()), ("seller_id", merchant.seller_id.as_str())];
    let foreign = ours.into_iter().find(|(field, ours)| form.get(field) != Some(ours));
    foreign.map(|(field, _)| ShopError::at(ShopCode::NotifyInvalid, field))
}

/// An id longer than we keep stands by its hash: the same id, the same hash.
fn kept(notify_id: &str) -> String {
    if notify_id.len() <= NOTIFY_ID_BYTES { notify_id.to_owned() } else { hex::encode(Sha256::digest(notify_id)) }
}

#[cfg(test)]
mod tests;
