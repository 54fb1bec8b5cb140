//! What an order costs; no database, no clock, no async. Everything is computed here: a figure of the client is an
//! expectation, and one that differs is refused by its own code (traps 1, 5, 7, 8, 9).

use std::collections::BTreeMap;

use shop_common::{
    code::ShopCode,
    error::{Result, ShopError},
    id::{CouponId, GoodsId, UserId},
    money::Fen,
    time::Millis,
};

/// One line a client wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedLine {
    /// Which goods.
    pub goods_id: GoodsId,
    /// How many.
    pub quantity: i32,
    /// The price the client showed.
    pub expected_price: Option<Fen>,
}

/// An order a client wants; its shape has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Idempotency key.
    pub request_id: String,
    /// SHA-256 (hex) of the request without the key.
    pub request_hash: String,
    /// The buyer.
    pub user_id: UserId,
    /// The lines, each goods once.
    pub lines: Vec<WantedLine>,
    /// The coupon to spend.
    pub coupon_id: Option<CouponId>,
    /// What to take from the balance.
    pub balance_used: Fen,
    /// The shipping the client showed.
    pub expected_shipping: Option<Fen>,
    /// The total the client showed.
    pub expected_total: Option<Fen>,
    /// Where to.
    pub address: String,
    /// To whom.
    pub consignee: String,
    /// Whom to call.
    pub phone: String,
}

/// What the goods service says about one of the goods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Price of one unit.
    pub price: Fen,
    /// Units on the shelf.
    pub on_hand: i64,
}

/// What the coupon service says about the coupon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CouponFacts {
    /// What it takes off.
    pub discount: Fen,
    /// Smallest items' total.
    pub minimum: Fen,
    /// Whether an order has spent it.
    pub used: bool,
    /// Usable from.
    pub valid_from: Option<Millis>,
    /// Usable until, exclusive.
    pub valid_until: Option<Millis>,
}

/// What the other services say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Of the goods that exist.
    pub goods: BTreeMap<GoodsId, Quote>,
    /// Of the coupon, if one is wanted.
    pub coupon: Option<CouponFacts>,
    /// The buyer's balance.
    pub balance: Fen,
}

/// The shop's shipping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipping {
    /// What shipping costs.
    pub fee: Fen,
    /// Items' totals above this ship free.
    pub free_above: Fen,
}

/// What an order costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    /// Price of one unit, by line.
    pub prices: Vec<Fen>,
    /// Sum of price times quantity.
    pub items_total: Fen,
    /// Freight.
    pub shipping: Fen,
    /// Items and freight.
    pub order_total: Fen,
    /// What the coupon takes off.
    pub coupon_discount: Fen,
    /// What is left to pay.
    pub amount_due: Fen,
}

/// Computes what `wanted` costs, and refuses what differs from what the client showed.
pub fn price(wanted: &Wanted, facts: &Facts, shipping: Shipping, now: Millis) -> Result<Priced> {
    let (prices, items_total) = price_lines(wanted, facts)?;
    let freight = if items_total > shipping.free_above { Fen::ZERO } else { shipping.fee };
    if wanted.expected_shipping.is_some_and(|expected| expected != freight) {
        return Err(ShopError::at(ShopCode::ShippingFeeInvalid, "expected_shipping_fen"));
    }
    let order_total = items_total.checked_add(freight).ok_or_else(|| too_large("items"))?;
    if wanted.expected_total.is_some_and(|expected| expected != order_total) {
        return Err(ShopError::at(ShopCode::OrderAmountInvalid, "expected_total_fen"));
    }
    let coupon_discount = discount(wanted, facts, items_total, now)?;
    let used = coupon_discount.checked_add(wanted.balance_used).ok_or_else(|| too_large("balance_used_fen"))?;
    let amount_due = order_total.checked_sub(used).filter(|due| !due.is_negative()).ok_or_else(|| {
        ShopError::invalid("balance_used_fen", "coupon and balance together are more than the order's total")
    })?;
    Ok(Priced { prices, items_total, shipping: freight, order_total, coupon_discount, amount_due })
}

/// Refuses what cannot be taken as things stand. Only a look ahead: whoever keeps stock, coupon and balance has the
/// last word.
pub fn look(wanted: &Wanted, facts: &Facts) -> Result<()> {
    for (position, line) in wanted.lines.iter().enumerate() {
        if facts.goods.get(&line.goods_id).is_some_and(|quote| quote.on_hand < i64::from(line.quantity)) {
            return Err(at_line(ShopCode::GoodsNotEnough, position, "quantity"));
        }
    }
    if facts.coupon.is_some_and(|coupon| coupon.used) {
        return Err(ShopError::at(ShopCode::CouponInvalid, "coupon_id"));
    }
    if facts.balance < wanted.balance_used {
        return Err(ShopError::at(ShopCode::MoneyPaidInvalid, "balance_used_fen"));
    }
    Ok(())
}

fn price_lines(wanted: &Wanted, facts: &Facts) -> Result<(Vec<Fen>, Fen)> {
    let (mut prices, mut total) = (Vec::with_capacity(wanted.lines.len()), Fen::ZERO);
    for (position, line) in wanted.lines.iter().enumerate() {
        let quote = facts.goods.get(&line.goods_id);
        let price = quote.ok_or_else(|| at_line(ShopCode::GoodsNotFound, position, "goods_id"))?.price;
        if line.expected_price.is_some_and(|expected| expected != price) {
            return Err(at_line(ShopCode::GoodsPriceInvalid, position, "expected_price_fen"));
        }
        let sum = price.checked_mul(i64::from(line.quantity)).and_then(|sum| total.checked_add(sum));
        total = sum.ok_or_else(|| too_large("items"))?;
        prices.push(price);
    }
    Ok((prices, total))
}

fn discount(wanted: &Wanted, facts: &Facts, items_total: Fen, now: Millis) -> Result<Fen> {
    if wanted.coupon_id.is_none() {
        return Ok(Fen::ZERO);
    }
    let coupon = facts.coupon.ok_or(ShopError::at(ShopCode::CouponNotFound, "coupon_id"))?;
    let started = coupon.valid_from.is_none_or(|from| from <= now);
    let ended = coupon.valid_until.is_some_and(|until| until <= now);
    if !started || ended || items_total < coupon.minimum {
        return Err(ShopError::at(ShopCode::CouponInvalid, "coupon_id"));
    }
    Ok(coupon.discount)
}

fn at_line(code: ShopCode, position: usize, field: &str) -> ShopError {
    ShopError { field: Some(format!("items[{position}].{field}").into()), ..code.into() }
}

fn too_large(field: &'static str) -> ShopError {
    ShopError::invalid(field, "the amounts are too large")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use super::*;

    const GOODS: GoodsId = GoodsId::new(7);
    const NOW: Millis = Millis::new(1_000);
    const SHIPPING: Shipping = Shipping { fee: Fen::new(1_000), free_above: Fen::new(10_000) };

    fn wanted(quantity: i32) -> Wanted {
        Wanted {
            request_id: "r".into(),
            request_hash: String::new(),
            user_id: UserId::new(1),
            lines: vec![WantedLine { goods_id: GOODS, quantity, expected_price: None }],
            coupon_id: None,
            balance_used: Fen::ZERO,
            expected_shipping: None,
            expected_total: None,
            address: String::new(),
            consignee: String::new(),
            phone: String::new(),
        }
    }

    fn facts(price: i64) -> Facts {
        let quote = Quote { price: Fen::new(price), on_hand: 5 };
        Facts { goods: BTreeMap::from([(GOODS, quote)]), coupon: None, balance: Fen::new(50_000) }
    }

    fn coupon(discount: i64) -> CouponFacts {
        CouponFacts {
            discount: Fen::new(discount),
            minimum: Fen::ZERO,
            used: false,
            valid_from: None,
            valid_until: None,
        }
    }

    fn refused<T: std::fmt::Debug>(result: Result<T>) -> ShopCode {
        result.unwrap_err().code
    }

    #[test]
    fn freight_is_part_of_the_total() {
        let priced = price(&wanted(1), &facts(9_999), SHIPPING, NOW).unwrap();
        assert_eq!((priced.shipping, priced.order_total), (Fen::new(1_000), Fen::new(10_999)));
        assert_eq!(price(&wanted(1), &facts(10_000), SHIPPING, NOW).unwrap().shipping, Fen::new(1_000));
        assert_eq!(price(&wanted(1), &facts(10_001), SHIPPING, NOW).unwrap().shipping, Fen::ZERO);
    }

    #[test]
    fn a_figure_the_client_showed_must_be_the_shops() {
        let mut line = wanted(1);
        line.lines[0].expected_price = Some(Fen::new(1));
        assert_eq!(refused(price(&line, &facts(100), SHIPPING, NOW)), ShopCode::GoodsPriceInvalid);
        let shipping = Wanted { expected_shipping: Some(Fen::ZERO), ..wanted(1) };
        assert_eq!(refused(price(&shipping, &facts(100), SHIPPING, NOW)), ShopCode::ShippingFeeInvalid);
        let total = Wanted { expected_total: Some(Fen::new(100)), ..wanted(1) };
        assert_eq!(refused(price(&total, &facts(100), SHIPPING, NOW)), ShopCode::OrderAmountInvalid);
    }

    #[test]
    fn coupon_and_balance_never_make_the_amount_due_negative() {
        let exact = Wanted { coupon_id: Some(CouponId::new(1)), balance_used: Fen::new(9_000), ..wanted(1) };
        let facts = Facts { coupon: Some(coupon(2_000)), ..facts(10_000) };
        assert_eq!(price(&exact, &facts, SHIPPING, NOW).unwrap().amount_due, Fen::ZERO);
        let over = Wanted { balance_used: Fen::new(9_001), ..exact };
        assert_eq!(refused(price(&over, &facts, SHIPPING, NOW)), ShopCode::ParameterInvalid);
    }

    #[test]
    fn a_coupon_has_a_window_and_a_minimum() {
        let wanted = Wanted { coupon_id: Some(CouponId::new(1)), ..wanted(1) };
        let with = |coupon| Facts { coupon: Some(coupon), ..facts(10_000) };
        let early = CouponFacts { valid_from: Some(Millis::new(1_001)), ..coupon(1) };
        let late = CouponFacts { valid_until: Some(NOW), ..coupon(1) };
        let poor = CouponFacts { minimum: Fen::new(10_001), ..coupon(1) };
        for bad in [early, late, poor] {
            assert_eq!(refused(price(&wanted, &with(bad), SHIPPING, NOW)), ShopCode::CouponInvalid);
        }
        let edge = CouponFacts {
            valid_from: Some(NOW),
            valid_until: Some(Millis::new(1_001)),
            minimum: Fen::new(10_000),
            ..coupon(1)
        };
        assert!(price(&wanted, &with(edge), SHIPPING, NOW).is_ok());
        assert_eq!(refused(price(&wanted, &facts(10_000), SHIPPING, NOW)), ShopCode::CouponNotFound);
    }

    #[test]
    fn a_look_ahead_refuses_what_is_gone() {
        assert!(look(&wanted(5), &facts(1)).is_ok());
        assert_eq!(refused(look(&wanted(6), &facts(1))), ShopCode::GoodsNotEnough);
        let used = Facts { coupon: Some(CouponFacts { used: true, ..coupon(1) }), ..facts(1) };
        assert_eq!(refused(look(&wanted(1), &used)), ShopCode::CouponInvalid);
        let all_of_it = Wanted { balance_used: Fen::new(50_000), ..wanted(1) };
        assert!(look(&all_of_it, &facts(1)).is_ok());
        let poor = Wanted { balance_used: Fen::new(50_001), ..wanted(1) };
        assert_eq!(refused(look(&poor, &facts(1))), ShopCode::MoneyPaidInvalid);
    }

    #[test]
    fn a_refusal_of_a_line_names_the_line() {
        let mut two = wanted(1);
        two.lines.push(WantedLine { goods_id: GoodsId::new(8), quantity: 6, expected_price: None });
        let field = |result: Result<()>| result.unwrap_err().field.unwrap();
        assert_eq!(field(price(&two, &facts(1), SHIPPING, NOW).map(drop)), "items[1].goods_id");
        two.lines[1].goods_id = GOODS;
        assert_eq!(field(look(&two, &facts(1))), "items[1].quantity");
    }

    #[test]
    fn overflow_is_refused() {
        assert_eq!(refused(price(&wanted(9_999), &facts(i64::MAX / 2), SHIPPING, NOW)), ShopCode::ParameterInvalid);
    }

    /// Of a million orders, each of up to three kinds of goods, every fen of the price is paid by somebody, once.
    #[test]
    fn of_a_million_orders_no_fen_is_lost() {
        let mut random = StdRng::seed_from_u64(77);
        let (mut priced_items, mut paid, mut freight, mut orders) = (0_i128, 0_i128, 0_i128, 0);
        while orders < 1_000_000 {
            let mut wanted = Wanted { lines: Vec::new(), coupon_id: Some(CouponId::new(1)), ..wanted(1) };
            let mut facts = Facts { coupon: Some(coupon(random.random_range(0..500))), ..facts(0) };
            facts.goods.clear();
            wanted.balance_used = Fen::new(random.random_range(0..500));
            let mut items = 0_i128;
            for kind in 0..random.random_range(1..=3) {
                let (unit, quantity) = (random.random_range(1..1_000_000), random.random_range(1..=9));
                let goods_id = GoodsId::new(kind);
                wanted.lines.push(WantedLine { goods_id, quantity, expected_price: None });
                facts.goods.insert(goods_id, Quote { price: Fen::new(unit), on_hand: 9 });
                items += i128::from(unit) * i128::from(quantity);
            }
            let Ok(priced) = price(&wanted, &facts, SHIPPING, NOW) else { continue };
            orders += 1;
            priced_items += items;
            freight += i128::from(priced.shipping.get());
            let shares = [priced.coupon_discount, wanted.balance_used, priced.amount_due];
            assert!(shares.iter().all(|share| !share.is_negative()));
            paid += shares.iter().map(|share| i128::from(share.get())).sum::<i128>();
        }
        assert_eq!(paid, priced_items + freight);
    }

    proptest! {
        #[test]
        fn what_is_priced_adds_up(unit in 0_i64..1_000_000, quantity in 1_i32..=9999, off in 0_i64..1_000_000, balance in 0_i64..1_000_000) {
            let wanted = Wanted { coupon_id: Some(CouponId::new(1)), balance_used: Fen::new(balance), ..wanted(quantity) };
            let facts = Facts { coupon: Some(coupon(off)), ..facts(unit) };
            if let Ok(priced) = price(&wanted, &facts, SHIPPING, NOW) {
                prop_assert_eq!(priced.items_total.get(), unit * i64::from(quantity));
                prop_assert_eq!(priced.order_total.get(), priced.items_total.get() + priced.shipping.get());
                prop_assert_eq!(priced.amount_due.get(), priced.order_total.get() - off - balance);
                prop_assert!(priced.amount_due.get() >= 0);
            }
        }
    }
}
