//! The shape of a request, checked before anything is read (traps 3, 4), and its limits.

use std::collections::BTreeSet;

use prost::Message;
use sha2::{Digest, Sha256};
use shop_common::{
    code::ShopCode,
    error::{Result, ShopError},
    id::{CouponId, GoodsId, UserId},
    money::Fen,
    text,
};
use shop_proto::order::v1::{ConfirmItem, ConfirmOrderRequest};

use crate::pricing::{Wanted, WantedLine};

const LINES: usize = 50;
const QUANTITY_MAX: i32 = 9999;

/// Reads an order to be placed.
pub(super) fn wanted(request: ConfirmOrderRequest) -> Result<Wanted> {
    if request == ConfirmOrderRequest::default() {
        return Err(ShopCode::OrderInvalid.into());
    }
    let request_hash = hash(&request);
    Ok(Wanted {
        request_id: text::request_id(request.request_id)?,
        request_hash,
        user_id: UserId::parse(request.user_id, "user_id")?,
        lines: lines(&request.items)?,
        coupon_id: request.coupon_id.map(|id| CouponId::parse(id, "coupon_id")).transpose()?,
        balance_used: amount(request.balance_used_fen, ShopCode::MoneyPaidNegative, "balance_used_fen")?,
        expected_shipping: optional(
            request.expected_shipping_fen,
            ShopCode::ShippingFeeInvalid,
            "expected_shipping_fen",
        )?,
        expected_total: optional(request.expected_total_fen, ShopCode::OrderAmountInvalid, "expected_total_fen")?,
        address: text(request.address, "address")?,
        consignee: text(request.consignee, "consignee")?,
        phone: text(request.phone, "phone")?,
    })
}

/// A free text of at most 255 characters, kept as it was sent.
pub(super) fn text(said: String, field: &'static str) -> Result<String> {
    text::free(said, text::TEXT_CHARS, field)
}

/// SHA-256 (hex) of everything but the key.
fn hash(request: &ConfirmOrderRequest) -> String {
    let content = ConfirmOrderRequest { request_id: String::new(), ..request.clone() };
    hex::encode(Sha256::digest(content.encode_to_vec()))
}

fn lines(items: &[ConfirmItem]) -> Result<Vec<WantedLine>> {
    if items.is_empty() {
        return Err(ShopError::at(ShopCode::OrderInvalid, "items"));
    }
    if items.len() > LINES {
        return Err(ShopError::invalid("items", "at most 50 lines"));
    }
    let (mut seen, mut lines) = (BTreeSet::new(), Vec::with_capacity(items.len()));
    for (position, item) in items.iter().enumerate() {
        let line = line(item).map_err(|error| at_line(position, error))?;
        if !seen.insert(line.goods_id) {
            return Err(at_line(position, ShopError::invalid("goods_id", "each goods_id once")));
        }
        lines.push(line);
    }
    Ok(lines)
}

fn line(item: &ConfirmItem) -> Result<WantedLine> {
    let goods_id = GoodsId::parse(item.goods_id, "goods_id")?;
    if !(1..=QUANTITY_MAX).contains(&item.quantity) {
        return Err(ShopError::invalid("quantity", "a quantity is between 1 and 9999"));
    }
    let expected_price = optional(item.expected_price_fen, ShopCode::ParameterInvalid, "expected_price_fen")?;
    Ok(WantedLine { goods_id, quantity: item.quantity, expected_price })
}

/// The field of a line as a field of the request.
fn at_line(position: usize, error: ShopError) -> ShopError {
    let field = error.field.map(|field| format!("items[{position}].{field}").into());
    ShopError { field, ..error }
}

fn amount(fen: i64, code: ShopCode, field: &'static str) -> Result<Fen> {
    let amount = Fen::new(fen);
    if amount.is_negative() { Err(ShopError::at(code, field)) } else { Ok(amount) }
}

fn optional(fen: Option<i64>, code: ShopCode, field: &'static str) -> Result<Option<Fen>> {
    fen.map(|fen| amount(fen, code, field)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ConfirmOrderRequest {
        let item = ConfirmItem { goods_id: 7, quantity: 1, expected_price_fen: None };
        ConfirmOrderRequest { request_id: "k".into(), user_id: 1, items: vec![item], ..ConfirmOrderRequest::default() }
    }

    #[test]
    fn the_hash_covers_everything_but_the_key() {
        let hash_of = |request: ConfirmOrderRequest| wanted(request).unwrap().request_hash;
        assert_eq!(hash_of(request()), hash_of(ConfirmOrderRequest { request_id: "other".into(), ..request() }));
        assert_ne!(hash_of(request()), hash_of(ConfirmOrderRequest { address: "北京".into(), ..request() }));
    }
}
