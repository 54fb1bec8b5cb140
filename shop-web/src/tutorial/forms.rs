//! What the course's routes read: ids and money as numbers or strings, from their source text.

use http::StatusCode;
use serde::Deserialize;
use shop_common::{id::UserId, money::Fen};
use shop_proto::order::v1::{ConfirmItem, ConfirmOrderRequest};
use utoipa::ToSchema;

use crate::{json::Literal, problem::Problem};

/// What the routes read of the course's `TradeOrder`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderForm {
    /// The buyer; must be the acting user where the request names one.
    #[schema(value_type = Option<String>, example = "345963634385633280")]
    user_id: Option<Literal>,
    /// What to buy.
    #[schema(value_type = String, example = "345959443973935104")]
    goods_id: Option<Literal>,
    /// How many.
    #[schema(value_type = i32, example = 1)]
    goods_number: Option<Literal>,
    /// Price of one the buyer was shown.
    #[schema(value_type = Option<String>, example = "1000")]
    goods_price: Option<Literal>,
    /// Freight the buyer was shown.
    #[schema(value_type = Option<String>, example = "0")]
    shipping_fee: Option<Literal>,
    /// The items' total, or the total with freight.
    #[schema(value_type = Option<String>, example = "1000")]
    order_amount: Option<Literal>,
    /// What to take from the balance.
    #[schema(value_type = Option<String>, example = "100")]
    money_paid: Option<Literal>,
    /// A coupon of the buyer.
    #[schema(value_type = Option<String>, example = "345988230098857984")]
    coupon_id: Option<Literal>,
    /// Where to.
    #[schema(example = "北京")]
    address: Option<String>,
    /// To whom.
    consignee: Option<String>,
}

/// What the routes read of the course's `TradePay` to create a payment.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PaymentForm {
    /// Which order.
    #[schema(value_type = String, example = "352537369385242624")]
    order_id: Option<Literal>,
    /// Exactly the amount due.
    #[schema(value_type = String, example = "880")]
    pay_amount: Option<Literal>,
}

/// What the routes read of the course's `TradePay` when it calls back.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallbackForm {
    /// Which payment.
    #[schema(value_type = String, example = "352542415984402432")]
    pay_id: Option<Literal>,
    /// 2, or 70002 in copies of the course: paid.
    #[schema(value_type = i64, example = 2)]
    is_paid: Option<Literal>,
}

impl OrderForm {
    /// The order as the order service reads it; the course has one goods line.
    ///
    /// # Errors
    /// 400 for a field that is missing or malformed; a user who is not the acting one is a refusal.
    pub(super) fn into_request(self, acting: Option<UserId>, key: String) -> Result<ConfirmOrderRequest, Problem> {
        let user_id = buyer(acting, self.user_id.as_ref())?;
        let goods_id = required(self.goods_id.as_ref(), "goodsId")?.integer("goodsId")?;
        let number = required(self.goods_number.as_ref(), "goodsNumber")?.integer("goodsNumber")?;
        let quantity = i32::try_from(number).map_err(|_| Problem::invalid("goodsNumber", "out of range"))?;
        let price = money(self.goods_price.as_ref(), "goodsPrice")?;
        let shipping = money(self.shipping_fee.as_ref(), "shippingFee")?;
        let amount = money(self.order_amount.as_ref(), "orderAmount")?;
        let balance = money(self.money_paid.as_ref(), "moneyPaid")?;
        Ok(ConfirmOrderRequest {
            request_id: key,
            user_id,
            items: vec![ConfirmItem { goods_id, quantity, expected_price_fen: price.map(Fen::get) }],
            coupon_id: self.coupon_id.map(|id| id.integer("couponId")).transpose()?,
            balance_used_fen: balance.unwrap_or_default().get(),
            expected_shipping_fen: shipping.map(Fen::get),
            expected_total_fen: expected_total(price, quantity, shipping, amount).map(Fen::get),
            address: self.address.unwrap_or_default(),
            consignee: self.consignee.unwrap_or_default(),
            phone: String::new(),
        })
    }
}

impl PaymentForm {
    /// The order and what is to be paid.
    ///
    /// # Errors
    /// 400 for a field that is missing or malformed.
    pub(super) fn read(&self) -> Result<(i64, Fen), Problem> {
        let order_id = required(self.order_id.as_ref(), "orderId")?.integer("orderId")?;
        Ok((order_id, required(self.pay_amount.as_ref(), "payAmount")?.money("payAmount")?))
    }
}

impl CallbackForm {
    /// The payment and the course's `isPaid`.
    ///
    /// # Errors
    /// 400 for a field that is missing or malformed.
    pub(super) fn read(&self) -> Result<(i64, i64), Problem> {
        let pay_id = required(self.pay_id.as_ref(), "payId")?.integer("payId")?;
        Ok((pay_id, required(self.is_paid.as_ref(), "isPaid")?.integer("isPaid")?))
    }
}

/// The body's `userId`, or the acting user; both only if they are the same.
fn buyer(acting: Option<UserId>, named: Option<&Literal>) -> Result<i64, Problem> {
    let named = named.map(|id| id.integer("userId")).transpose()?;
    match (acting.map(UserId::get), named) {
        (Some(acting), Some(named)) if acting != named => {
            Err(Problem::invalid("userId", "not the acting user").with_status(StatusCode::OK))
        }
        (acting, named) => acting.or(named).ok_or_else(|| Problem::invalid("userId", "missing")),
    }
}

/// What `orderAmount` says of the total: the course drops the freight (trap 1), so the items' total is as good as the
/// total. Then price and freight are checked on their own, and the total follows from them.
fn expected_total(price: Option<Fen>, quantity: i32, shipping: Option<Fen>, amount: Option<Fen>) -> Option<Fen> {
    let amount = amount?;
    let items_total = price.and_then(|price| price.checked_mul(i64::from(quantity)));
    if items_total == Some(amount) { amount.checked_add(shipping?) } else { Some(amount) }
}

fn required<'a>(literal: Option<&'a Literal>, field: &'static str) -> Result<&'a Literal, Problem> {
    literal.ok_or_else(|| Problem::invalid(field, "missing"))
}

fn money(literal: Option<&Literal>, field: &'static str) -> Result<Option<Fen>, Problem> {
    literal.map(|literal| literal.money(field)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(price: Option<i64>, quantity: i32, shipping: Option<i64>, amount: Option<i64>) -> Option<i64> {
        let fen = |fen: Option<i64>| fen.map(Fen::new);
        expected_total(fen(price), quantity, fen(shipping), fen(amount)).map(Fen::get)
    }

    #[test]
    fn the_items_total_and_the_total_with_freight_are_both_understood() {
        assert_eq!(total(Some(5_000), 1, Some(1_000), Some(5_000)), Some(6_000));
        assert_eq!(total(Some(5_000), 1, Some(1_000), Some(6_000)), Some(6_000));
        assert_eq!(total(Some(2_500), 2, None, Some(5_000)), None);
        assert_eq!(total(Some(100_000), 1, Some(0), Some(100_000)), Some(100_000));
    }

    #[test]
    fn another_amount_is_passed_on_to_be_refused() {
        assert_eq!(total(Some(5_000), 1, Some(1_000), Some(5_001)), Some(5_001));
        assert_eq!(total(None, 1, Some(1_000), Some(5_000)), Some(5_000));
        assert_eq!(total(Some(i64::MAX), 2, Some(0), Some(5_000)), Some(5_000));
        assert_eq!(total(Some(5_000), 1, Some(1_000), None), None);
    }
}
