//! Half plain orders; the rest is what goes wrong or comes twice, each with the class of answer it must get.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use shop_common::code::ShopCode;
use shop_proto::order::v1::{ConfirmItem, ConfirmOrderRequest, OrderStatus};

use super::{Scene, Seen};
use crate::bench::rows;

impl Scene {
    pub(super) async fn mixed(&self, wanted: ConfirmOrderRequest, number: u64) -> Seen {
        match StdRng::seed_from_u64(self.seed.wrapping_add(number)).random_range(0..10) {
            0 => self.refused("goods that are sold out", of(wanted, rows::SOLD_OUT), ShopCode::GoodsNotEnough).await,
            1 => self.refused("goods that do not exist", of(wanted, rows::NO_GOODS), ShopCode::GoodsNotFound).await,
            2 => {
                let wanted = ConfirmOrderRequest { user_id: rows::PENNILESS, ..wanted };
                self.refused("a balance that does not suffice", wanted, ShopCode::MoneyPaidInvalid).await
            }
            3 => self.twice(wanted).await,
            4 => self.changed_mind(wanted).await,
            5 => self.one_coupon(wanted).await,
            _ => self.plain(wanted).await,
        }
    }

    async fn refused(&self, what: &str, wanted: ConfirmOrderRequest, code: ShopCode) -> Seen {
        let mut seen = Seen::default();
        let placed = self.client.confirm(wanted).await;
        seen.is_served = seen.must_refuse(what, &placed, &[code]);
        seen
    }

    /// The same request twice at once is one order.
    async fn twice(&self, wanted: ConfirmOrderRequest) -> Seen {
        let mut seen = Seen::default();
        let (one, other) = tokio::join!(self.client.confirm(wanted.clone()), self.client.confirm(wanted));
        seen.is_served = seen.must_confirm("an order", &one) & seen.must_confirm("the repeat of an order", &other);
        if let (Ok(one), Ok(other)) = (&one, &other) {
            seen.confirmed = 1;
            if one.order_id != other.order_id {
                seen.wrong("one request", "two orders");
            }
        }
        seen
    }

    /// Placed, then cancelled by its user.
    async fn changed_mind(&self, wanted: ConfirmOrderRequest) -> Seen {
        let mut seen = Seen::default();
        let placed = self.client.confirm(wanted).await;
        if !seen.must_confirm("an order to be cancelled", &placed) {
            return seen;
        }
        let Ok(order) = placed else { return seen };
        match self.client.cancel(order.order_id, order.user_id).await {
            Ok(cancelled) if cancelled.status() == OrderStatus::Cancelled => {
                seen.answers.push("cancelled");
                seen.is_served = true;
            }
            Ok(kept) => {
                seen.wrong("a cancelled order", kept.status().as_str_name());
            }
            Err(error) => {
                seen.must_fail("the cancel of an order", &error, &[]);
            }
        }
        seen
    }

    /// Two orders for one coupon at once: at most one has it; cancelled, so that the next one may.
    async fn one_coupon(&self, wanted: ConfirmOrderRequest) -> Seen {
        let mut seen = Seen::default();
        let coupon_id = Some(rows::coupon_of(wanted.user_id));
        let one = ConfirmOrderRequest { coupon_id, ..wanted };
        let other = ConfirmOrderRequest { request_id: format!("{}-other", one.request_id), ..one.clone() };
        let (one, other) = tokio::join!(self.client.confirm(one), self.client.confirm(other));
        let mut winners = Vec::new();
        seen.is_served = true;
        for placed in [one, other] {
            seen.is_served &= match &placed {
                Ok(_) => seen.must_confirm("an order with a coupon", &placed),
                Err(_) => seen.must_refuse("an order with a coupon", &placed, &[ShopCode::CouponInvalid]),
            };
            winners.extend(placed);
        }
        if winners.len() > 1 {
            seen.wrong("one coupon", "two orders");
        }
        for order in winners {
            seen.is_served &= self.client.cancel(order.order_id, order.user_id).await.is_ok();
        }
        seen
    }
}

fn of(wanted: ConfirmOrderRequest, goods_id: i64) -> ConfirmOrderRequest {
    let item = ConfirmItem { goods_id, quantity: 1, expected_price_fen: None };
    ConfirmOrderRequest { items: vec![item], ..wanted }
}
